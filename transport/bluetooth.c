/*
 * One listening socket for each PSM that is advertised or was a short time ago, one socket for each channel.
 * Every handle is embedded in its owner, and the owner is freed in the handle's close callback.
 *
 * A channel goes through these states; the deadline is of the first two:
 *
 *     CONNECTING -> OPEN      bluetooth_open(): the kernel has opened it
 *     WAITING    -> OPEN      somebody opened it to us, and his first SDU came
 *
 * Who opens channels and says nothing is closed without a byte after BLUETOOTH_WAIT_MS. When all places for
 * that are taken, a newcomer takes the oldest one of the device that holds most of them, be it his own:
 * nobody keeps others out, and who has the address of somebody else does not either, since one who knows what
 * to say says it at once.
 *
 * What goes wrong is kept as news of the path and told from the loop, so that no callback runs inside its own
 * cause.
 */
#include "transport/bluetooth.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "transport/bluez.h"
#include "transport/hci.h"
#include "transport/l2cap.h"

enum { SDUS_PER_WAKE = 16 };

static_assert((int)BLUETOOTH_ADVERTS_MAX == (int)BLUEZ_SLOTS_MAX &&
                      (int)BLUETOOTH_PSM_FIRST == (int)L2CAP_PSM_FIRST,
              "said in two headers");

struct listener {
	struct listener *next;
	struct bluetooth *bluetooth;
	uv_poll_t poll;
	int fd;
	uint8_t psm;
	struct address local;
	uint64_t until_ms; /* UINT64_MAX while it is advertised */
};

struct datagram {
	size_t len;
	uint8_t b[CARRIER_LARGE];
};

enum path_state { CONNECTING, WAITING, OPEN };

struct path {
	struct path *next;
	struct bluetooth *bluetooth;
	uv_poll_t poll;
	int fd; /* -1: it could not be opened */
	uint32_t number;
	enum path_state state;
	uint64_t due_ms; /* unless OPEN */
	struct address remote;
	uint8_t psm;
	int polled;             /* the events that are waited for */
	bool draining;          /* to be closed when the queue is empty */
	bool failed;            /* news to be told */
	struct datagram *queue; /* owned; a ring of BLUETOOTH_QUEUE_MAX, NULL while nothing waits */
	size_t first, waiting;
};

struct bluetooth {
	uv_loop_t *loop; /* borrowed */
	struct bluetooth_callbacks callbacks;
	void *arg;
	struct bluez *bluez;
	uv_timer_t news;
	uv_timer_t deadline;
	size_t handles; /* not closed yet, bluez among them */
	struct listener *listeners;
	struct path *paths;
	size_t path_count;
	uint32_t accepted; /* counts the numbers of accepted paths */
	struct radio radios[RADIOS_MAX];
	size_t radios_len;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void finish_closing(struct bluetooth *b)
{
	void (*const closed)(void *arg) = b->closed;
	void *const arg = b->closed_arg;

	if (!b->closing || b->handles > 0)
		return;
	free(b);
	closed(arg);
}

static bool same_device(const struct address *a, const struct address *b)
{
	return a->interface == b->interface && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Calls in time: at the next deadline of a path or a listener. */
static void on_deadline(uv_timer_t *timer);

static void watch_deadlines(struct bluetooth *b)
{
	const uint64_t now_ms = uv_now(b->loop);
	uint64_t due_ms = UINT64_MAX;

	for (const struct path *p = b->paths; p != NULL; p = p->next)
		if (p->state != OPEN)
			due_ms = MIN(due_ms, p->due_ms);
	for (const struct listener *s = b->listeners; s != NULL; s = s->next)
		due_ms = MIN(due_ms, s->until_ms);
	if (due_ms == UINT64_MAX)
		uv_timer_stop(&b->deadline);
	else
		uv_timer_start(&b->deadline, on_deadline, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* ---- Paths ------------------------------------------------------------------ */

static struct path *path_find(const struct bluetooth *b, uint32_t number)
{
	struct path *p = b->paths;

	while (p != NULL && p->number != number)
		p = p->next;
	return p;
}

static void path_closed(uv_handle_t *handle)
{
	struct path *const p = handle->data;
	struct bluetooth *const b = p->bluetooth;

	free(p->queue);
	free(p);
	b->handles--;
	finish_closing(b);
}

static void path_drop(struct path *p)
{
	struct bluetooth *const b = p->bluetooth;
	struct path **at = &b->paths;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	b->path_count--;
	if (p->fd < 0) {
		free(p->queue);
		free(p);
		return;
	}
	uv_close((uv_handle_t *)&p->poll, path_closed);
	close(p->fd);
}

static void tell_news(uv_timer_t *timer)
{
	struct bluetooth *const b = timer->data;

	for (struct path *p = b->paths, *next; p != NULL; p = next) {
		const uint32_t number = p->number;
		const bool known = p->state != WAITING && !p->draining;

		next = p->next;
		if (!p->failed)
			continue;
		path_drop(p);
		if (known)
			b->callbacks.failed(b->arg, number);
	}
}

static void path_fail(struct path *p)
{
	p->failed = true;
	if (p->fd >= 0)
		uv_poll_stop(&p->poll);
	uv_timer_start(&p->bluetooth->news, tell_news, 0, 0);
}

static void path_poll(uv_poll_t *poll, int status, int events);

static void path_listen(struct path *p)
{
	const int events =
	        p->state == CONNECTING ? UV_WRITABLE : UV_READABLE | (p->waiting > 0 ? UV_WRITABLE : 0);

	if (events == p->polled)
		return;
	p->polled = events;
	if (uv_poll_start(&p->poll, events, path_poll) != 0)
		path_fail(p);
}

/* The path may be gone after it. */
static void path_push(struct path *p)
{
	while (p->waiting > 0) {
		const struct datagram *const d = &p->queue[p->first];
		const int r = l2cap_send(p->fd, span_from(d->b, d->len));

		if (r == L2CAP_BROKEN) {
			path_fail(p);
			return;
		}
		if (r == L2CAP_WAIT)
			break;
		p->first = (p->first + 1) % BLUETOOTH_QUEUE_MAX;
		p->waiting--;
	}
	if (p->waiting == 0) {
		free(p->queue);
		p->queue = NULL;
		p->first = 0;
	}
	if (p->waiting == 0 && p->draining)
		path_drop(p);
	else
		path_listen(p);
}

static void path_take(struct path *p, struct span sdu)
{
	struct bluetooth *const b = p->bluetooth;

	if (p->draining)
		return;
	if (p->state == OPEN) {
		b->callbacks.datagram(b->arg, p->number, sdu);
		return;
	}
	p->state = OPEN;
	b->callbacks.channel(b->arg, p->number, &p->remote, p->psm, sdu);
}

static void path_receive(struct path *p)
{
	uint8_t sdu[CARRIER_LARGE];
	size_t len;

	for (int i = 0; i < SDUS_PER_WAKE; i++) {
		const int r = l2cap_receive(p->fd, sdu, &len);

		if (r == L2CAP_BROKEN)
			path_fail(p);
		if (r != 0)
			return;
		path_take(p, span_from(sdu, len));
	}
}

static void path_poll(uv_poll_t *poll, int status, int events)
{
	struct path *const p = poll->data;

	if (status < 0)
		p->polled = 0; /* libuv stops a handle whose socket has an error; receiving takes the error
		                  off it */
	if (p->state == CONNECTING) {
		if (status < 0 || l2cap_connected(p->fd) != 0) {
			path_fail(p);
			return;
		}
		p->state = OPEN;
		path_push(p);
		return;
	}
	if (status < 0 || (events & UV_READABLE) != 0)
		path_receive(p);
	if (!p->failed && (status < 0 || (events & UV_WRITABLE) != 0))
		path_push(p);
}

/* Takes fd over; -1: a path that has failed already. NULL: no memory, and fd is closed. */
static struct path *path_new(struct bluetooth *b, uint32_t number, int fd, enum path_state state,
                             uint64_t due_ms)
{
	struct path *const p = calloc(1, sizeof(*p));

	if (p == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	*p = (struct path){ .bluetooth = b, .fd = fd, .number = number, .state = state, .due_ms = due_ms };
	if (fd >= 0 && uv_poll_init(b->loop, &p->poll, fd) != 0) {
		close(fd);
		p->fd = -1;
	}
	p->next = b->paths;
	b->paths = p;
	b->path_count++;
	if (p->fd < 0) {
		path_fail(p);
		return p;
	}
	p->poll.data = p;
	b->handles++;
	path_listen(p);
	return p;
}

/* False: it cannot be used. */
static bool adapter_of(const struct bluetooth *b, uint32_t interface, struct bluez_adapter *out)
{
	struct bluez_adapter adapters[RADIOS_MAX];
	const size_t n = bluez_adapters(b->bluez, adapters);

	for (size_t i = 0; i < n; i++) {
		*out = adapters[i];
		if ((ADDRESS_BLUETOOTH | out->number) == interface && bluez_adapter_is_usable(out))
			return true;
	}
	return false;
}

static struct address local_of(const struct bluez_adapter *a)
{
	struct address local = { .interface = ADDRESS_BLUETOOTH | a->number };

	memcpy(local.ip, a->address, sizeof(a->address));
	local.ip[sizeof(a->address)] = a->address_type;
	return local;
}

int bluetooth_open(struct bluetooth *b, uint32_t number, const struct address *remote, uint16_t psm)
{
	struct bluez_adapter adapter;
	struct address local;
	struct path *p;
	int fd = -1;

	assert((number & PATH_ACCEPTED) == 0 && path_find(b, number) == NULL);
	assert(psm >= L2CAP_PSM_FIRST && psm <= L2CAP_PSM_LAST);
	if (b->path_count < BLUETOOTH_PATHS_MAX && adapter_of(b, remote->interface, &adapter)) {
		local = local_of(&adapter);
		fd = l2cap_connect(&local, remote, (uint8_t)psm);
	}
	p = path_new(b, number, fd, CONNECTING, uv_now(b->loop) + BLUETOOTH_CONNECT_MS);
	if (p == NULL)
		return ERR_NOMEM;
	p->remote = *remote;
	watch_deadlines(b);
	return 0;
}

bool bluetooth_send(struct bluetooth *b, uint32_t path, struct span bytes)
{
	struct path *const p = path_find(b, path);
	struct datagram *d;

	assert(bytes.len > 0 && bytes.len <= CARRIER_LARGE);
	if (p == NULL)
		return false;
	if (p->failed || p->draining)
		return true;
	if (p->queue == NULL)
		p->queue = malloc(BLUETOOTH_QUEUE_MAX * sizeof(*p->queue));
	if (p->queue == NULL || p->waiting == BLUETOOTH_QUEUE_MAX) {
		path_fail(p);
		return true;
	}
	d = &p->queue[(p->first + p->waiting++) % BLUETOOTH_QUEUE_MAX];
	d->len = bytes.len;
	memcpy(d->b, bytes.p, bytes.len);
	return true;
}

void bluetooth_flush(struct bluetooth *b)
{
	for (struct path *p = b->paths, *next; p != NULL; p = next) {
		next = p->next;
		if (p->waiting > 0 && p->state == OPEN && !p->failed)
			path_push(p);
	}
}

bool bluetooth_close_path(struct bluetooth *b, uint32_t path)
{
	struct path *const p = path_find(b, path);

	if (p == NULL)
		return false;
	p->draining = true;
	if (p->waiting == 0 || p->state == CONNECTING || p->failed)
		path_drop(p);
	else
		path_push(p);
	return true;
}

void bluetooth_drop_paths(struct bluetooth *b)
{
	while (b->paths != NULL)
		path_drop(b->paths);
}

/* ---- Listening -------------------------------------------------------------- */

static void listener_closed(uv_handle_t *handle)
{
	struct listener *const s = handle->data;
	struct bluetooth *const b = s->bluetooth;

	free(s);
	b->handles--;
	finish_closing(b);
}

static void listener_drop(struct listener *s)
{
	struct listener **at = &s->bluetooth->listeners;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	uv_close((uv_handle_t *)&s->poll, listener_closed);
	close(s->fd);
}

static size_t waiting_of(const struct bluetooth *b, const struct address *device)
{
	size_t n = 0;

	for (const struct path *p = b->paths; p != NULL; p = p->next)
		n += p->state == WAITING && !p->failed && (device == NULL || same_device(&p->remote, device));
	return n;
}

/* Whether there is a place for one more channel of this device, if need be after another was dropped: the
 * oldest one of the device that holds most of them, of two that hold as many the newcomer's own. */
static bool make_place(struct bluetooth *b, const struct address *device)
{
	struct path *oldest = NULL;
	size_t most = 0;

	if (b->path_count >= BLUETOOTH_PATHS_MAX)
		return false;
	if (waiting_of(b, NULL) < BLUETOOTH_WAITING_MAX)
		return true;
	/* The list begins with the newest. */
	for (struct path *p = b->paths; p != NULL; p = p->next) {
		const size_t n = p->state == WAITING && !p->failed
		                         ? 2 * waiting_of(b, &p->remote) + same_device(&p->remote, device)
		                         : 0;

		if (n == 0 || n < most)
			continue;
		most = n;
		oldest = p;
	}
	path_drop(oldest);
	return true;
}

static void listener_poll(uv_poll_t *poll, int status, int events)
{
	struct listener *const s = poll->data;
	struct bluetooth *const b = s->bluetooth;
	struct address from;
	int fd, r;

	(void)events;
	while ((r = l2cap_accept(&fd, s->fd, &s->local, &from)) == 0) {
		struct path *p;

		if (!make_place(b, &from)) {
			close(fd);
			continue;
		}
		p = path_new(b, PATH_ACCEPTED | (b->accepted++ & ~PATH_ACCEPTED), fd, WAITING,
		             uv_now(b->loop) + BLUETOOTH_WAIT_MS);
		if (p == NULL)
			continue;
		p->remote = from;
		p->psm = s->psm;
	}
	if (r == L2CAP_BROKEN || (status < 0 && uv_poll_start(&s->poll, UV_READABLE, listener_poll) != 0))
		listener_drop(s);
	watch_deadlines(b);
}

/* What cannot be listened on is not answered there: the next advertisement has another PSM. */
static void listen_on(struct bluetooth *b, const struct address *local, uint8_t psm)
{
	struct listener *s = b->listeners;

	while (s != NULL && (s->psm != psm || s->local.interface != local->interface))
		s = s->next;
	if (s != NULL) {
		s->until_ms = UINT64_MAX;
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return;
	*s = (struct listener){ .bluetooth = b, .psm = psm, .local = *local, .until_ms = UINT64_MAX };
	s->fd = l2cap_listen(local, psm);
	if (s->fd < 0 || uv_poll_init(b->loop, &s->poll, s->fd) != 0) {
		if (s->fd >= 0)
			close(s->fd);
		free(s);
		return;
	}
	s->poll.data = s;
	b->handles++;
	s->next = b->listeners;
	b->listeners = s;
	if (uv_poll_start(&s->poll, UV_READABLE, listener_poll) != 0)
		listener_drop(s);
}

static void on_deadline(uv_timer_t *timer)
{
	struct bluetooth *const b = timer->data;
	const uint64_t now_ms = uv_now(b->loop);

	for (struct path *p = b->paths, *next; p != NULL; p = next) {
		next = p->next;
		if (p->state == OPEN || p->due_ms > now_ms)
			continue;
		if (p->state == WAITING)
			path_drop(p);
		else
			path_fail(p);
	}
	for (struct listener *s = b->listeners, *next; s != NULL; s = next) {
		next = s->next;
		if (s->until_ms <= now_ms)
			listener_drop(s);
	}
	watch_deadlines(b);
}

/* ---- Advertising and scanning ----------------------------------------------- */

void bluetooth_advertise(struct bluetooth *b, uint32_t interface, struct span bytes)
{
	const uint64_t until_ms = uv_now(b->loop) + BLUETOOTH_LISTEN_MS;
	uint8_t adverts[BLUETOOTH_ADVERTS_MAX][ADVERT_LEN];
	struct reader r = reader_from(bytes);
	struct bluez_adapter adapter;
	struct address local;
	size_t n = 0;

	assert(bytes.len % BLUETOOTH_ADVERT_LEN == 0);
	if (!adapter_of(b, interface, &adapter))
		return;
	local = local_of(&adapter);
	for (struct listener *s = b->listeners; s != NULL; s = s->next)
		if (s->local.interface == interface && s->until_ms == UINT64_MAX)
			s->until_ms = until_ms;
	for (; n < MIN(COUNT_OF(adverts), (size_t)adapter.adverts) && r.len > 0; n++) {
		reader_bytes(&r, adverts[n], sizeof(adverts[n]));
		listen_on(b, &local, reader_u8(&r));
	}
	watch_deadlines(b);
	bluez_advertise(b->bluez, interface & ~ADDRESS_BLUETOOTH, (const uint8_t(*)[ADVERT_LEN])adverts, n);
}

void bluetooth_scan(struct bluetooth *b, bool on)
{
	bluez_scan(b->bluez, on);
}

static void on_changed(void *arg)
{
	struct bluetooth *const b = arg;
	struct bluez_adapter adapters[RADIOS_MAX];
	struct radio radios[RADIOS_MAX] = { 0 };
	size_t n = 0;
	const size_t all = bluez_adapters(b->bluez, adapters);

	for (size_t i = 0; i < all; i++) {
		if (!bluez_adapter_is_usable(&adapters[i]))
			continue;
		radios[n].interface = ADDRESS_BLUETOOTH | adapters[i].number;
		radios[n++].adverts = (uint8_t)MIN(adapters[i].adverts, BLUETOOTH_ADVERTS_MAX);
	}
	if (n == b->radios_len && memcmp(radios, b->radios, sizeof(radios)) == 0)
		return;
	memcpy(b->radios, radios, sizeof(radios));
	b->radios_len = n;
	for (struct listener *s = b->listeners, *next; s != NULL; s = next) {
		struct bluez_adapter adapter;

		next = s->next;
		if (!adapter_of(b, s->local.interface, &adapter))
			listener_drop(s);
	}
	b->callbacks.radios(b->arg, b->radios, b->radios_len);
}

static void on_advert(void *arg, const struct address *from, struct span uuid_and_data)
{
	struct bluetooth *const b = arg;

	b->callbacks.advert(b->arg, from, uuid_and_data);
}

static const char *why_not(const struct bluez_adapter *a)
{
	if (bluez_adapter_is_usable(a))
		return NULL;
	if (a->no_le)
		return "this adapter cannot do Low Energy";
	return hci_blocked(a->number) ? "blocked by a switch (rfkill)" : "Bluetooth is switched off";
}

size_t bluetooth_status(const struct bluetooth *b, struct bluetooth_status out[static RADIOS_MAX])
{
	struct bluez_adapter adapters[RADIOS_MAX];
	const size_t n = bluez_adapters(b->bluez, adapters);

	for (size_t i = 0; i < n; i++) {
		snprintf(out[i].name, sizeof(out[i].name), "hci%u", adapters[i].number);
		out[i].why_not = why_not(&adapters[i]);
	}
	if (n > 0)
		return n;
	out[0] = (struct bluetooth_status){
		.why_not = bluez_is_running(b->bluez) || !hci_present()
		                   ? "there is no Bluetooth adapter"
		                   : "the system's Bluetooth service is not running"
	};
	return 1;
}

/* ---- Beginning and end ------------------------------------------------------ */

static void handle_closed(uv_handle_t *handle)
{
	struct bluetooth *const b = handle->data;

	b->handles--;
	finish_closing(b);
}

static void bluez_is_closed(void *arg)
{
	struct bluetooth *const b = arg;

	b->handles--;
	finish_closing(b);
}

int bluetooth_new(struct bluetooth **out, uv_loop_t *loop, const struct bluetooth_options *options,
                  const struct bluetooth_callbacks *callbacks, void *arg)
{
	static const struct bluez_callbacks bluez_callbacks = { on_changed, on_advert };
	struct bluetooth *const b = calloc(1, sizeof(*b));
	int r;

	if (b == NULL)
		return ERR_NOMEM;
	*b = (struct bluetooth){ .loop = loop, .callbacks = *callbacks, .arg = arg, .handles = 3 };
	r = bluez_new(&b->bluez, loop, options->adapters, options->adapters_len, &bluez_callbacks, b);
	if (r != 0) {
		free(b);
		return r;
	}
	uv_timer_init(loop, &b->news);
	uv_timer_init(loop, &b->deadline);
	b->news.data = b->deadline.data = b;
	*out = b;
	return 0;
}

void bluetooth_close(struct bluetooth *b, void (*closed)(void *arg), void *arg)
{
	if (b == NULL) {
		closed(arg);
		return;
	}
	b->closing = true;
	b->closed = closed;
	b->closed_arg = arg;
	bluetooth_drop_paths(b);
	while (b->listeners != NULL)
		listener_drop(b->listeners);
	uv_close((uv_handle_t *)&b->news, handle_closed);
	uv_close((uv_handle_t *)&b->deadline, handle_closed);
	bluez_close(b->bluez, bluez_is_closed, b);
}
