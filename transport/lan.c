/*
 * One group socket for each interface and family in use, one connected socket for each path. Every handle is
 * embedded in its owner, and the owner is freed in the handle's close callback.
 *
 * Sending never waits: a batch goes out at lan_flush(); what a full socket does not take is copied to the
 * path's queue and follows when it can. What fits nowhere is lost, as datagrams may be.
 *
 * What goes wrong inside lan_open() and lan_send() is kept as news of the path and told from the loop, so
 * that no callback runs inside its own cause.
 */
#include "transport/lan.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "transport/udp.h"

enum { BUCKETS = 256, ROUNDS_PER_WAKE = 4 };
/* Who sends to the group faster than this is read at intervals: the kernel drops what it has no room for, and
 * a wake for each datagram is what a flood would cost us. */
enum { BUSY_WINDOW_MS = 100, BUSY_CALLS = 16, REST_MS = 10, ROUNDS_AFTER_REST = 32 };

struct group {
	struct group *next;
	struct lan *lan;
	uv_poll_t poll;
	int fd;
	struct address local;
	uint64_t window_ms; /* when the count of `came` began */
	unsigned came;
	bool resting; /* not polled; read when the timer `rest` is due */
};

struct datagram {
	size_t len;
	uint8_t b[CARRIER_LARGE];
};

struct path {
	struct path *next; /* in its bucket */
	struct lan *lan;
	uv_poll_t poll;
	uint32_t number;
	int fd; /* -1: it could not be opened */
	bool segments;
	bool draining;        /* to be closed when the queue is empty */
	bool failed, refused; /* news to be told */
	struct address local;
	struct datagram *queue; /* owned; a ring of LAN_QUEUE_MAX, NULL while nothing waits */
	size_t first, waiting;
};

struct lan {
	uv_loop_t *loop; /* borrowed */
	const struct lan_options *options;
	struct lan_callbacks callbacks;
	void *arg;
	struct udp_inbox *inbox;
	int watch_fd;
	uv_poll_t watch;
	uv_timer_t refresh; /* debounces the watch, and looks again where something failed */
	uv_timer_t news;
	uv_timer_t rest; /* of groups that are flooded */
	size_t handles;  /* not closed yet */
	struct group *groups;
	struct path *buckets[BUCKETS];
	size_t path_count;
	struct interface interfaces[INTERFACES_MAX];
	size_t interfaces_len;
	struct address locals[INTERFACES_MAX];
	size_t locals_len;
	bool announced;
	bool closing;
	struct path *batch_path;
	struct span batch[UDP_BATCH];
	size_t batch_len;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void finish_closing(struct lan *l)
{
	void (*const closed)(void *arg) = l->closed;
	void *const arg = l->closed_arg;

	if (!l->closing || l->handles > 0)
		return;
	udp_inbox_free(l->inbox);
	free(l);
	closed(arg);
}

/* ---- Paths ----------------------------------------------------------------- */

static struct path **bucket_of(struct lan *l, uint32_t number)
{
	return &l->buckets[number % BUCKETS];
}

static struct path *path_find(struct lan *l, uint32_t number)
{
	struct path *p = *bucket_of(l, number);

	while (p != NULL && p->number != number)
		p = p->next;
	return p;
}

static void path_closed(uv_handle_t *handle)
{
	struct path *p = handle->data;
	struct lan *l = p->lan;

	free(p->queue);
	free(p);
	l->handles--;
	finish_closing(l);
}

static void path_drop(struct path *p)
{
	struct lan *l = p->lan;
	struct path **at = bucket_of(l, p->number);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	l->path_count--;
	if (l->batch_path == p) {
		l->batch_path = NULL;
		l->batch_len = 0;
	}
	if (p->fd < 0) {
		free(p);
		return;
	}
	uv_close((uv_handle_t *)&p->poll, path_closed);
	close(p->fd);
}

static void tell_news(uv_timer_t *timer)
{
	struct lan *l = timer->data;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct path *p = l->buckets[i], *next; p != NULL; p = next) {
			const uint32_t number = p->number;
			const bool failed = p->failed, refused = p->refused;

			next = p->next;
			p->refused = false;
			if (failed)
				path_drop(p);
			if (failed)
				l->callbacks.failed(l->arg, number);
			else if (refused)
				l->callbacks.refused(l->arg, number);
		}
}

static void path_news(struct path *p, bool failed)
{
	struct lan *l = p->lan;

	p->failed |= failed;
	p->refused = true;
	if (!uv_is_active((uv_handle_t *)&l->news))
		uv_timer_start(&l->news, tell_news, 0, 0);
}

static void path_poll(uv_poll_t *poll, int status, int events);

static void path_listen(struct path *p)
{
	const int events = UV_READABLE | (p->waiting > 0 ? UV_WRITABLE : 0);

	if (uv_poll_start(&p->poll, events, path_poll) != 0)
		path_news(p, true);
}

/* Sends v; returns how many are dealt with, sent or lost. The others wait for a writable socket. */
static size_t path_push(struct path *p, const struct span *v, size_t n)
{
	size_t done = 0;
	bool hinted = false;

	while (done < n) {
		size_t sent;
		const int r = udp_send(p->fd, &v[done], n - done, &p->segments, &sent);

		done += sent;
		if (r == UDP_WAIT)
			return done;
		if (r == UDP_BROKEN) {
			path_news(p, true);
			return n;
		}
		if (r == UDP_HINT) {
			path_news(p, false);
			done += hinted; /* the first hint is about a datagram before: try this one once more
			                 */
			hinted = true;
		}
		if (r == UDP_LOST)
			done++;
	}
	return n;
}

static void path_enqueue(struct path *p, struct span bytes)
{
	struct datagram *d;

	if (p->queue == NULL)
		p->queue = malloc(LAN_QUEUE_MAX * sizeof(*p->queue));
	if (p->queue == NULL || p->waiting == LAN_QUEUE_MAX)
		return; /* lost */
	d = &p->queue[(p->first + p->waiting++) % LAN_QUEUE_MAX];
	d->len = bytes.len;
	memcpy(d->b, bytes.p, bytes.len);
}

static void path_flush_queue(struct path *p)
{
	while (p->waiting > 0) {
		struct span v[UDP_BATCH];
		const size_t n = MIN(p->waiting, (size_t)UDP_BATCH);
		size_t done;

		for (size_t i = 0; i < n; i++) {
			const struct datagram *d = &p->queue[(p->first + i) % LAN_QUEUE_MAX];

			v[i] = span_from(d->b, d->len);
		}
		done = path_push(p, v, n);
		p->first = (p->first + done) % LAN_QUEUE_MAX;
		p->waiting -= done;
		if (done < n)
			return;
	}
	free(p->queue);
	p->queue = NULL;
	p->first = 0;
	if (p->draining)
		path_drop(p);
	else
		path_listen(p);
}

static void path_datagram(void *arg, struct span bytes)
{
	struct path *p = arg;

	if (!p->draining)
		p->lan->callbacks.datagram(p->lan->arg, p->number, bytes);
}

static void path_receive(struct path *p)
{
	struct lan *l = p->lan;

	for (int i = 0; i < ROUNDS_PER_WAKE; i++) {
		const int r = udp_receive_path(p->fd, l->inbox, path_datagram, p);

		if (r == UDP_WAIT)
			return;
		if (r == UDP_HINT)
			path_news(p, false);
		if (r == UDP_BROKEN || r == UDP_LOST) {
			path_news(p, true);
			return;
		}
	}
}

static void path_poll(uv_poll_t *poll, int status, int events)
{
	struct path *p = poll->data;

	/* libuv stops a handle whose socket has an error; receiving takes the error off it. */
	if (status < 0 || (events & UV_READABLE) != 0)
		path_receive(p);
	if (p->failed)
		return;
	if (status < 0)
		path_listen(p);
	if (p->waiting > 0 && (status < 0 || (events & UV_WRITABLE) != 0))
		path_flush_queue(p);
}

int lan_open(struct lan *l, uint32_t number, const struct address *local, const struct address *remote,
             uint16_t port)
{
	struct path *p = calloc(1, sizeof(*p));

	assert(path_find(l, number) == NULL);
	if (p == NULL)
		return ERR_NOMEM;
	*p = (struct path){ .lan = l, .number = number, .fd = -1, .segments = true, .local = *local };
	p->next = *bucket_of(l, number);
	*bucket_of(l, number) = p;
	if (l->path_count++ < LAN_PATHS_MAX)
		p->fd = udp_open_path(local, remote, port);
	if (p->fd >= 0 && uv_poll_init(l->loop, &p->poll, p->fd) != 0) {
		close(p->fd);
		p->fd = -1;
	}
	if (p->fd < 0) {
		path_news(p, true);
		return 0;
	}
	p->poll.data = p;
	l->handles++;
	path_listen(p);
	return 0;
}

void lan_send(struct lan *l, uint32_t path, struct span bytes)
{
	struct path *p =
	        l->batch_path != NULL && l->batch_path->number == path ? l->batch_path : path_find(l, path);

	assert(bytes.len <= CARRIER_LARGE);
	if (p == NULL || p->failed || p->draining)
		return;
	if (l->batch_path != p || l->batch_len == UDP_BATCH)
		lan_flush(l);
	if (p->waiting > 0) {
		path_enqueue(p, bytes);
		return;
	}
	l->batch_path = p;
	l->batch[l->batch_len++] = bytes;
}

void lan_flush(struct lan *l)
{
	struct path *p = l->batch_path;
	const size_t n = l->batch_len;
	size_t done;

	l->batch_path = NULL;
	l->batch_len = 0;
	if (p == NULL || p->failed)
		return;
	done = path_push(p, l->batch, n);
	for (; done < n; done++)
		path_enqueue(p, l->batch[done]);
	if (p->waiting > 0 && !p->failed)
		path_listen(p);
}

void lan_close_path(struct lan *l, uint32_t path)
{
	struct path *p = path_find(l, path);

	if (p == NULL)
		return;
	if (l->batch_path == p)
		lan_flush(l);
	p->draining = true;
	if (p->waiting == 0 || p->failed)
		path_drop(p);
}

void lan_drop_paths(struct lan *l)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (l->buckets[i] != NULL)
			path_drop(l->buckets[i]);
}

/* ---- The group ------------------------------------------------------------- */

static void group_closed(uv_handle_t *handle)
{
	struct group *g = handle->data;
	struct lan *l = g->lan;

	free(g);
	l->handles--;
	finish_closing(l);
}

static void group_drop(struct group *g)
{
	uv_close((uv_handle_t *)&g->poll, group_closed);
	close(g->fd);
}

static void group_call(void *arg, const struct address *from, uint8_t ttl, struct span bytes)
{
	struct group *g = arg;

	g->came++;
	g->lan->callbacks.call(g->lan->arg, from, ttl, bytes);
}

static void group_receive(struct group *g, int rounds)
{
	for (int i = 0; i < rounds; i++)
		if (udp_receive_calls(g->fd, g->lan->inbox, g->local.interface, group_call, g) == UDP_WAIT)
			break;
}

static void group_poll(uv_poll_t *poll, int status, int events);

static void rest_over(uv_timer_t *timer)
{
	struct lan *l = timer->data;
	bool again = false;

	for (struct group *g = l->groups; g != NULL; g = g->next) {
		if (!g->resting)
			continue;
		g->came = 0;
		group_receive(g, ROUNDS_AFTER_REST);
		g->resting = g->came > 0 || uv_poll_start(&g->poll, UV_READABLE, group_poll) != 0;
		again |= g->resting;
	}
	if (again)
		uv_timer_start(timer, rest_over, REST_MS, 0);
}

static void group_poll(uv_poll_t *poll, int status, int events)
{
	struct group *g = poll->data;
	struct lan *l = g->lan;
	const uint64_t now_ms = uv_now(l->loop);

	(void)events;
	if (now_ms - g->window_ms > BUSY_WINDOW_MS) {
		g->window_ms = now_ms;
		g->came = 0;
	}
	group_receive(g, ROUNDS_PER_WAKE);
	if (g->came > BUSY_CALLS) {
		g->resting = true;
		uv_poll_stop(&g->poll);
		if (!uv_is_active((uv_handle_t *)&l->rest))
			uv_timer_start(&l->rest, rest_over, REST_MS, 0);
	} else if (status < 0) { /* libuv stopped it for an error that is taken off by now */
		(void)uv_poll_start(&g->poll, UV_READABLE, group_poll);
	}
}

/* Sets *why_not when it cannot be; an ERR_NOMEM is such a reason too: it is tried again in a minute. */
static struct group *group_open(struct lan *l, const struct address *local, const char **why_not)
{
	struct group *g = calloc(1, sizeof(*g));

	*why_not = "out of memory";
	if (g == NULL)
		return NULL;
	*g = (struct group){ .lan = l, .local = *local };
	g->fd = udp_open_group(local, why_not);
	if (g->fd < 0) {
		free(g);
		return NULL;
	}
	if (uv_poll_init(l->loop, &g->poll, g->fd) != 0) {
		close(g->fd);
		free(g);
		return NULL;
	}
	*why_not = NULL;
	g->poll.data = g;
	l->handles++;
	if (uv_poll_start(&g->poll, UV_READABLE, group_poll) != 0) {
		*why_not = "the system does not watch the socket";
		group_drop(g);
		return NULL;
	}
	return g;
}

/* Takes the group of this interface and family out of the list. */
static struct group *group_take(struct group **list, const struct interface *i)
{
	for (struct group **at = list; *at != NULL; at = &(*at)->next) {
		struct group *g = *at;

		if (g->local.interface != i->address.interface || address_is_ipv4(&g->local) == i->ipv6)
			continue;
		*at = g->next;
		return g;
	}
	return NULL;
}

void lan_call(struct lan *l, const struct address *local, struct span bytes)
{
	for (const struct group *g = l->groups; g != NULL; g = g->next)
		if (address_equal(&g->local, local))
			udp_call(g->fd, local, bytes);
}

/* ---- Interfaces ------------------------------------------------------------ */

/* Keeps the groups whose interface is still in use: leaving and joining again would be seen. */
static void regroup(struct lan *l)
{
	struct group *old = l->groups, **end = &l->groups;

	l->groups = NULL;
	for (size_t i = 0; i < l->interfaces_len; i++) {
		struct interface *face = &l->interfaces[i];
		struct group *g;

		if (face->why_not != NULL)
			continue;
		g = group_take(&old, face);
		if (g == NULL)
			g = group_open(l, &face->address, &face->why_not);
		if (g == NULL)
			continue;
		if (!address_equal(&g->local, &face->address)) {
			g->local = face->address;
			udp_readdress_group(g->fd, &g->local);
		}
		g->next = NULL;
		*end = g;
		end = &g->next;
	}
	while (old != NULL) {
		struct group *g = old;

		old = g->next;
		group_drop(g);
	}
}

static bool has_local(const struct lan *l, const struct address *local)
{
	for (size_t i = 0; i < l->locals_len; i++)
		if (address_equal(&l->locals[i], local))
			return true;
	return false;
}

static void fail_paths_without_address(struct lan *l)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct path *p = l->buckets[i]; p != NULL; p = p->next)
			if (!has_local(l, &p->local))
				path_news(p, true);
}

static void look_again(uv_timer_t *timer)
{
	struct lan *l = timer->data;
	struct address locals[INTERFACES_MAX];
	size_t n = 0;

	uv_timer_start(&l->refresh, look_again, LAN_REFRESH_MS, 0);
	if (interfaces_list(l->interfaces, &l->interfaces_len, l->options->interfaces,
	                    l->options->interfaces_len) != 0)
		return; /* the old list holds until the next look */
	regroup(l);
	for (const struct group *g = l->groups; g != NULL; g = g->next)
		locals[n++] = g->local;
	if (l->announced && n == l->locals_len && memcmp(locals, l->locals, n * sizeof(locals[0])) == 0)
		return;
	l->announced = true;
	l->locals_len = n;
	memcpy(l->locals, locals, n * sizeof(locals[0]));
	fail_paths_without_address(l);
	l->callbacks.network(l->arg, l->locals, l->locals_len);
}

static void watch_poll(uv_poll_t *poll, int status, int events)
{
	struct lan *l = poll->data;

	(void)events;
	interfaces_seen(l->watch_fd);
	if (status < 0)
		(void)uv_poll_start(&l->watch, UV_READABLE, watch_poll);
	uv_timer_start(&l->refresh, look_again, LAN_DEBOUNCE_MS, 0);
}

size_t lan_locals(const struct lan *l, const struct address **out)
{
	*out = l->locals;
	return l->locals_len;
}

size_t lan_status(const struct lan *l, struct lan_status out[static INTERFACES_MAX])
{
	for (size_t i = 0; i < l->interfaces_len; i++) {
		out[i] = (struct lan_status){ .ipv6 = l->interfaces[i].ipv6,
			                      .why_not = l->interfaces[i].why_not };
		memcpy(out[i].name, l->interfaces[i].name, sizeof(out[i].name));
	}
	return l->interfaces_len;
}

/* ---- Beginning and end ----------------------------------------------------- */

static void handle_closed(uv_handle_t *handle)
{
	struct lan *l = handle->data;

	l->handles--;
	finish_closing(l);
}

int lan_new(struct lan **out, uv_loop_t *loop, const struct lan_options *options,
            const struct lan_callbacks *callbacks, void *arg)
{
	struct lan *l = calloc(1, sizeof(*l));
	int r = ERR_NOMEM;

	if (l == NULL)
		return ERR_NOMEM;
	*l = (struct lan){
		.loop = loop, .options = options, .callbacks = *callbacks, .arg = arg, .watch_fd = -1
	};
	r = udp_inbox_new(&l->inbox);
	if (r == 0)
		r = interfaces_watch(&l->watch_fd);
	if (r == 0 && uv_poll_init(loop, &l->watch, l->watch_fd) != 0)
		r = ERR_SYSTEM;
	if (r != 0) {
		if (l->watch_fd >= 0)
			close(l->watch_fd);
		udp_inbox_free(l->inbox);
		free(l);
		return r;
	}
	l->watch.data = l->refresh.data = l->news.data = l->rest.data = l;
	uv_timer_init(loop, &l->refresh);
	uv_timer_init(loop, &l->news);
	uv_timer_init(loop, &l->rest);
	l->handles = 4;
	(void)uv_poll_start(&l->watch, UV_READABLE, watch_poll); /* without it: looks once a minute */
	uv_timer_start(&l->refresh, look_again, 0, 0);
	*out = l;
	return 0;
}

void lan_close(struct lan *l, void (*closed)(void *arg), void *arg)
{
	if (l == NULL) {
		closed(arg);
		return;
	}
	l->closing = true;
	l->closed = closed;
	l->closed_arg = arg;
	lan_drop_paths(l);
	while (l->groups != NULL) {
		struct group *g = l->groups;

		l->groups = g->next;
		group_drop(g);
	}
	uv_close((uv_handle_t *)&l->refresh, handle_closed);
	uv_close((uv_handle_t *)&l->news, handle_closed);
	uv_close((uv_handle_t *)&l->rest, handle_closed);
	uv_close((uv_handle_t *)&l->watch, handle_closed);
	close(l->watch_fd);
}
