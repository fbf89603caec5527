#include "tests/unit/world.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/crypto/kdf.h"
#include "node/crypto/ratchet.h"
#include "node/crypto/secrets.h"
#include "store/conversations.h"
#include "store/messages.h"

#include "tests/unit/unit.h"

enum { EVERYBODY = -1 };

struct flight {
	struct flight *next;
	uint64_t at_us;
	int to; /* a node, or EVERYBODY but from */
	size_t from;
	struct world_channel *channel; /* over Bluetooth; then no bytes are the end of it */
	uint32_t channel_number;
	struct address source;
	uint16_t port; /* 0: to the group */
	struct address target;
	size_t len;
	uint8_t bytes[];
};

static void must(int r)
{
	if (r != 0)
		fail_msg("%s", err_str(r));
}

/* ---- Nodes ----------------------------------------------------------------- */

static void put_flight(struct world *w, struct flight *f)
{
	struct flight **at = &w->flights;

	while (*at != NULL && (*at)->at_us <= f->at_us)
		at = &(*at)->next;
	f->next = *at;
	*at = f;
}

static void fly(struct world *w, size_t from, const struct address *source, const struct address *target,
                uint16_t port, struct span bytes)
{
	struct random *rng = &w->rng.base;
	struct flight *f;

	if (!w->nodes[from].up || (w->deaf && port == 0) || (w->mtu != 0 && bytes.len > w->mtu) ||
	    random_below(rng, 100) < w->loss)
		return;
	f = malloc(sizeof(*f) + bytes.len);
	assert_non_null(f);
	*f = (struct flight){
		.at_us = w->now_us + random_between(rng, w->delay_low_us, w->delay_high_us),
		.from = from,
		.source = *source,
		.port = port,
		.len = bytes.len,
	};
	if (target != NULL)
		f->target = *target;
	memcpy(f->bytes, bytes.p, bytes.len);
	put_flight(w, f);
}

static struct world_path *path_of(struct world_node *n, uint32_t id)
{
	for (size_t i = 0; i < n->paths_len; i++)
		if (n->paths[i].id == id)
			return &n->paths[i];
	return NULL;
}

static void send_over(struct world *w, size_t i, const struct world_path *p, struct span bytes)
{
	assert_true(bytes.len == 256 || bytes.len == 1232); /* PROTOCOL section 5 */
	w->nodes[i].sent_datagrams++;
	w->nodes[i].sent_bytes += bytes.len;
	do
		fly(w, i, &p->local, &p->remote, p->port, bytes);
	while (random_below(&w->rng.base, 100) < w->twice);
}

/* ---- Bluetooth ------------------------------------------------------------- */

struct address world_radio_address(size_t i)
{
	return (struct address){ { 2, 0, 0, 0, 0, (uint8_t)(i + 1), 1 }, ADDRESS_BLUETOOTH };
}

static void advertise(struct world *w, size_t i, const struct effect *e, struct span bytes)
{
	struct world_node *n = &w->nodes[i];

	assert_int_equal(e->local.interface, ADDRESS_BLUETOOTH);
	assert_int_equal(bytes.len % (ADVERT_LEN + 1), 0);
	n->adverts_len = bytes.len / (ADVERT_LEN + 1);
	assert_true(n->adverts_len <= n->adverts_at_once);
	n->advertisements += n->adverts_len > 0;
	for (size_t k = 0; k < WORLD_PSMS_MAX; k++)
		n->psms[k].until_us = MIN(n->psms[k].until_us, w->now_us + 20 * UINT64_C(1000000));
	for (size_t k = 0; k < n->adverts_len; k++) {
		const uint8_t *at = bytes.p + k * (ADVERT_LEN + 1);

		assert_true(at[ADVERT_LEN] >= 0x80);
		memcpy(n->adverts[k], at, ADVERT_LEN);
		n->psms[n->psms_next++ % WORLD_PSMS_MAX] = (struct world_psm){ at[ADVERT_LEN], UINT64_MAX };
	}
}

static bool listens_on(const struct world *w, size_t i, uint16_t psm)
{
	const struct world_node *n = &w->nodes[i];

	for (size_t k = 0; n->radio && !w->far && !w->shut && k < WORLD_PSMS_MAX; k++)
		if (n->psms[k].psm == psm && n->psms[k].until_us > w->now_us)
			return true;
	return false;
}

static struct world_channel *channel_of(struct world *w, size_t i, uint32_t path, int *side)
{
	for (size_t k = 0; path != 0 && k < WORLD_CHANNELS_MAX; k++)
		for (*side = 0; *side < 2; ++*side)
			if (w->channels[k].used && w->channels[k].node[*side] == i &&
			    w->channels[k].path[*side] == path)
				return &w->channels[k];
	return NULL;
}

static struct world_channel *new_channel(struct world *w)
{
	size_t k = 0;

	while (k < WORLD_CHANNELS_MAX && w->channels[k].used)
		k++;
	assert_true(k < WORLD_CHANNELS_MAX);
	return &w->channels[k];
}

static void open_channel(struct world *w, size_t i, const struct effect *e)
{
	struct world_channel *c = new_channel(w);

	assert_true(e->port >= 0x80 && e->port <= 0xff && (e->path & PATH_ACCEPTED) == 0);
	*c = (struct world_channel){
		.used = true,
		.number = ++w->opened,
		.node = { i, (size_t)e->remote.ip[5] - 1 },
		.path = { e->path },
		.psm = e->port,
	};
	c->ready_us[1] = w->now_us + random_between(&w->rng.base, 30000, 300000);
}

uint32_t world_stranger(struct world *w, size_t to, const struct address *from, uint16_t psm,
                        struct span bytes)
{
	struct event ev = { .kind = EV_CHANNEL, .from = *from, .port = psm, .bytes = bytes };
	struct world_channel *c = new_channel(w);

	ev.path = PATH_ACCEPTED | ++w->accepted;
	*c = (struct world_channel){
		.used = true,
		.taken = true,
		.number = ++w->opened,
		.node = { WORLD_NODES_MAX, to },
		.path = { 0, ev.path },
	};
	world_event(w, to, &ev);
	return ev.path;
}

/* Nothing is lost and nothing overtakes; no bytes are the end. */
static void fly_over(struct world *w, struct world_channel *c, int side, struct span bytes)
{
	struct flight *f = malloc(sizeof(*f) + bytes.len);
	const int other = 1 - side;

	assert_non_null(f);
	*f = (struct flight){
		.at_us = MAX(c->ready_us[other], w->now_us + random_between(&w->rng.base, 5000, 30000)),
		.from = c->node[side],
		.to = other,
		.channel = c,
		.channel_number = c->number,
		.len = bytes.len,
	};
	if (bytes.len != 0)
		memcpy(f->bytes, bytes.p, bytes.len);
	c->ready_us[other] = f->at_us;
	put_flight(w, f);
}

static void close_channel(struct world *w, struct world_channel *c, int side)
{
	c->path[side] = 0;
	fly_over(w, c, side, SPAN_NONE);
}

static void path_fails(struct world *w, struct world_channel *c, int side)
{
	struct event ev = { .kind = EV_PATH_FAILED, .path = c->path[side] };

	if (ev.path != 0)
		world_event(w, c->node[side], &ev);
}

static void land_over(struct world *w, const struct flight *f)
{
	struct world_channel *c = f->channel;
	struct event ev = { .kind = EV_DATAGRAM, .bytes = { f->bytes, f->len } };

	if (!c->used || c->number != f->channel_number)
		return;
	if (f->to == 1 && !c->taken && f->len != 0) {
		if (!listens_on(w, c->node[1], c->psm)) {
			path_fails(w, c, 0);
			c->used = false;
			return;
		}
		ev.kind = EV_CHANNEL;
		ev.from = world_radio_address(c->node[0]);
		ev.port = c->psm;
		c->path[1] = PATH_ACCEPTED | ++w->accepted;
		c->taken = true;
	}
	ev.path = c->path[f->to];
	if (f->len == 0) {
		path_fails(w, c, f->to);
		c->used = false;
	} else if (ev.path != 0) {
		world_event(w, c->node[f->to], &ev);
	}
}

static void break_channel(struct world *w, struct world_channel *c)
{
	if (!c->used)
		return;
	for (int side = 0; side < 2; side++)
		path_fails(w, c, side);
	c->used = false;
}

void world_break(struct world *w)
{
	for (size_t k = 0; k < WORLD_CHANNELS_MAX; k++)
		break_channel(w, &w->channels[k]);
}

static void tell_radios(struct world *w, size_t i)
{
	struct world_node *n = &w->nodes[i];
	const struct radio radio = { ADDRESS_BLUETOOTH, n->adverts_at_once };
	struct event ev = { .kind = EV_RADIOS, .radios = &radio, .radios_len = n->radio };

	world_event(w, i, &ev);
}

static void drop_radio(struct world *w, size_t i)
{
	struct world_node *n = &w->nodes[i];

	n->adverts_len = 0;
	n->scans = false;
	memset(n->psms, 0, sizeof(n->psms));
	for (size_t k = 0; k < WORLD_CHANNELS_MAX; k++)
		if (w->channels[k].node[0] == i || w->channels[k].node[1] == i)
			break_channel(w, &w->channels[k]);
}

void world_radio(struct world *w, size_t i, bool on)
{
	struct world_node *n = &w->nodes[i];

	if (n->adverts_at_once == 0)
		n->adverts_at_once = 5;
	n->radio = on;
	if (!on)
		drop_radio(w, i);
	tell_radios(w, i);
}

static bool anybody_advertises(const struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->nodes[i].adverts_len > 0)
			return true;
	return false;
}

/* Ten times a second each hears what is on the air. */
static void air(struct world *w)
{
	w->next_air_us = w->now_us + 100000;
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->nodes[i].adverts_len; k++)
			for (size_t to = 0; to < w->n && k < w->nodes[i].adverts_len; to++) {
				uint8_t bytes[ADVERT_LEN];
				struct event ev = {
					.kind = EV_ADVERT,
					.bytes = SPAN(bytes),
					.from = world_radio_address(i),
				};

				memcpy(bytes, w->nodes[i].adverts[k], sizeof(bytes));
				if (to != i && w->nodes[to].radio && w->nodes[to].scans && !w->far)
					world_event(w, to, &ev);
			}
}

/* ---- Effects --------------------------------------------------------------- */

static void note(struct world_node *n, const struct effect *e, struct span bytes)
{
	if (e->kind == FX_NOTICE) {
		n->notices[e->notice]++;
		if (bytes.len != 0)
			snprintf(n->notice_text, sizeof(n->notice_text), "%.*s", (int)bytes.len,
			         (const char *)bytes.p);
		return;
	}
	n->reply = e->code;
	n->reply_number = e->number;
	snprintf(n->reply_text, sizeof(n->reply_text), "%.*s", (int)bytes.len, (const char *)bytes.p);
}

static void release(struct world *w, size_t i, const struct effect *e)
{
	struct world_node *n = &w->nodes[i];
	const struct span bytes = effect_bytes(&n->fx, e);
	struct world_path *p = path_of(n, e->path);
	int side;
	struct world_channel *c = channel_of(w, i, e->path, &side);

	if (w->watch != NULL)
		w->watch(w, i, e, bytes);
	switch (e->kind) {
	case FX_CALL:
		n->sent_calls++;
		fly(w, i, &e->local, NULL, 0, bytes);
		break;
	case FX_OPEN:
		if (address_is_bluetooth(&e->remote)) {
			open_channel(w, i, e);
			break;
		}
		assert_true(n->paths_len < WORLD_PATHS_MAX);
		n->paths[n->paths_len++] = (struct world_path){ e->path, e->port, e->local, e->remote };
		break;
	case FX_SEND:
		if (p != NULL)
			send_over(w, i, p, bytes);
		if (c != NULL) {
			assert_true(bytes.len == 256 || bytes.len == 1232);
			n->sent_datagrams++;
			n->sent_bytes += bytes.len;
			fly_over(w, c, side, bytes);
		}
		break;
	case FX_CLOSE:
		if (c != NULL) {
			close_channel(w, c, side);
			break;
		}
		assert_non_null(p); /* what was opened is closed, once */
		*p = n->paths[--n->paths_len];
		break;
	case FX_ADVERTISE:
		advertise(w, i, e, bytes);
		break;
	case FX_SCAN:
		n->scans = e->number != 0;
		break;
	case FX_REPLY:
	case FX_NOTICE:
		note(n, e, bytes);
		break;
	}
}

static uint64_t clock_of(const struct world *w, size_t i)
{
	return w->clock0 + w->now_us / 1000000 + (uint64_t)w->nodes[i].clock_offset;
}

static void around(struct world *w, size_t i, bool begins)
{
	if (w->around != NULL)
		w->around(w, i, begins);
}

/* A failure is for tests that wait for one. */
static void failed(struct world *w, size_t i, int r)
{
	if (w->failed == NULL)
		fail_msg("%s", err_str(r));
	w->failed(w, i, r);
}

static void start(struct world *w, size_t i)
{
	struct world_node *n = &w->nodes[i];
	int r;

	do {
		around(w, i, true);
		r = store_begin(n->store);
		if (r == 0)
			r = node_new(&n->node, n->store, &n->rng.base, clock_of(w, i));
		if (r == 0)
			r = store_commit(n->store);
		around(w, i, false);
		if (r != 0) {
			store_rollback(n->store);
			failed(w, i, r);
		}
	} while (r != 0);
	n->paths_len = 0;
	world_network(w, i, n->up);
	if (n->radio) {
		drop_radio(w, i);
		tell_radios(w, i);
	}
}

/* PROTOCOL section 8, crash rule 4. */
static void start_again(struct world *w, size_t i)
{
	struct world_node *n = &w->nodes[i];

	effects_clear(&n->fx);
	node_free(n->node);
	store_close(n->store);
	must(store_open(&n->store, NULL, n->file));
	start(w, i);
}

void world_event(struct world *w, size_t i, struct event *ev)
{
	struct world_node *n = &w->nodes[i];
	int r;

	ev->now_us = w->now_us;
	ev->clock = clock_of(w, i);
	around(w, i, true);
	r = store_begin(n->store);
	if (r == 0)
		r = node_step(n->node, ev, &n->fx);
	if (r == 0)
		r = node_settle(n->node, w->now_us, ev->clock, &n->fx);
	if (r == 0)
		r = store_commit(n->store);
	around(w, i, false);
	if (r != 0) {
		failed(w, i, r);
		start_again(w, i);
		return;
	}
	for (size_t k = 0; k < n->fx.n; k++)
		release(w, i, &n->fx.v[k]);
	effects_clear(&n->fx);
}

void world_path_fails(struct world *w, size_t i, uint32_t path)
{
	struct event ev = { .kind = EV_PATH_FAILED, .path = path };
	struct world_node *n = &w->nodes[i];
	struct world_path *p;

	world_event(w, i, &ev);
	p = path_of(n, path);
	if (p != NULL) /* what is closed already may be closed again */
		*p = n->paths[--n->paths_len];
}

void world_network(struct world *w, size_t i, bool up)
{
	struct world_node *n = &w->nodes[i];
	struct event ev = { .kind = EV_NETWORK, .locals = &n->address, .locals_len = up };

	n->up = up;
	world_event(w, i, &ev);
}

void world_crash(struct world *w, size_t i)
{
	node_free(w->nodes[i].node);
	start(w, i);
}

static void copy_file(const char *from, const char *to)
{
	char command[1024];

	snprintf(command, sizeof(command), "cp %s %s", from, to);
	assert_int_equal(system(command), 0);
}

void world_backup(struct world *w, size_t i)
{
	struct world_node *n = &w->nodes[i];
	char copy[300];

	snprintf(copy, sizeof(copy), "%s.copy", n->file);
	store_close(n->store);
	copy_file(n->file, copy);
	node_free(n->node);
	must(store_open(&n->store, NULL, n->file));
	start(w, i);
}

void world_restore(struct world *w, size_t i)
{
	struct world_node *n = &w->nodes[i];
	char copy[300];

	snprintf(copy, sizeof(copy), "%s.copy", n->file);
	node_free(n->node);
	store_close(n->store);
	copy_file(copy, n->file);
	must(store_open(&n->store, NULL, n->file));
	start(w, i);
}

/* ---- The world ------------------------------------------------------------- */

struct world *world_new(uint64_t seed, size_t n)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_true(sodium_init() >= 0);
	*w = (struct world){
		.n = n, .now_us = 1000000, .clock0 = 1800000000, .delay_low_us = 200, .delay_high_us = 2000
	};
	random_seeded_init(&w->rng, seed);
	for (size_t i = 0; i < n; i++) {
		struct world_node *node = &w->nodes[i];

		snprintf(node->file, sizeof(node->file), "/dev/shm/flyleaf-world-%d-%zu", (int)getpid(), i);
		unlink(node->file);
		random_seeded_init(&node->rng, seed * 1000 + i + 1);
		node->address =
		        (struct address){ { [10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(i + 1) }, 1 };
		must(store_open(&node->store, NULL, node->file));
		node->up = true;
		start(w, i);
	}
	return w;
}

void world_free(struct world *w)
{
	while (w->flights != NULL) {
		struct flight *f = w->flights;

		w->flights = f->next;
		free(f);
	}
	for (size_t i = 0; i < w->n; i++) {
		char copy[300];

		node_free(w->nodes[i].node);
		store_close(w->nodes[i].store);
		effects_deinit(&w->nodes[i].fx);
		unlink(w->nodes[i].file);
		snprintf(copy, sizeof(copy), "%s.copy", w->nodes[i].file);
		unlink(copy);
	}
	free(w);
}

/* ---- Time and the network -------------------------------------------------- */

static void land_on(struct world *w, size_t i, const struct flight *f)
{
	struct world_node *n = &w->nodes[i];
	struct event ev = { .bytes = { f->bytes, f->len }, .from = f->source, .ttl = 255 };

	if (!n->up)
		return;
	if (f->port == 0) {
		ev.kind = EV_CALL;
		world_event(w, i, &ev);
		return;
	}
	for (size_t k = 0; k < n->paths_len; k++) {
		const struct world_path *p = &n->paths[k];

		if (p->port != f->port || memcmp(p->local.ip, f->target.ip, 16) != 0 ||
		    memcmp(p->remote.ip, f->source.ip, 16) != 0)
			continue;
		ev.kind = EV_DATAGRAM;
		ev.path = p->id;
		world_event(w, i, &ev);
		return;
	}
}

static void land(struct world *w)
{
	struct flight *f = w->flights;

	w->flights = f->next;
	if (f->channel != NULL)
		land_over(w, f);
	for (size_t i = 0; i < w->n; i++)
		if (f->channel == NULL &&
		    (f->port == 0 || memcmp(f->target.ip, w->nodes[i].address.ip, 16) == 0))
			land_on(w, i, f);
	free(f);
}

void world_run(struct world *w, uint64_t for_us)
{
	const uint64_t until = w->now_us + for_us;

	for (;;) {
		uint64_t next = w->flights != NULL ? w->flights->at_us : UINT64_MAX;
		const bool air_next = anybody_advertises(w) && w->next_air_us < next;
		size_t who = w->n;

		next = air_next ? w->next_air_us : next;
		for (size_t i = 0; i < w->n; i++) {
			const uint64_t due = node_deadline_us(w->nodes[i].node);

			if (due < next) {
				next = due;
				who = i;
			}
		}
		if (next > until)
			break;
		w->now_us = MAX(w->now_us, next);
		if (who == w->n && air_next) {
			air(w);
		} else if (who == w->n) {
			land(w);
		} else {
			struct event tick = { .kind = EV_TICK };

			world_event(w, who, &tick);
			w->now_us++; /* a node that is due for ever must not stop the clock */
		}
	}
	w->now_us = until;
}

/* ---- People ---------------------------------------------------------------- */

static void add_contact(struct world *w, size_t i, size_t other, enum pair_role role,
                        const struct key_pair *s, const struct public_key *peer_s,
                        const struct secrets_result *result, const struct ratchet_root *root,
                        const struct key_pair *r, const struct public_key *peer_r)
{
	struct world_node *n = &w->nodes[i];
	struct contact_record c = { .state = CONTACT_CONFIRMED, .s = *s, .peer_s = *peer_s, .role = role };
	struct conversation_record v = { 0 };
	struct writer out = WRITER_ON(v.ratchet);
	struct ratchet ratchet;

	snprintf(c.name, sizeof(c.name), "n%zu", other);
	c.cur = result->l0;
	c.anchor = result->anchor;
	must(ratchet_init(&ratchet, role, root, r, peer_r, &n->rng.base));
	ratchet_encode(&out, &ratchet);
	v.ratchet_len = out.len;
	must(store_begin(n->store));
	must(contacts_add(n->store, &c));
	v.contact = c.id;
	must(conversation_save(n->store, &v));
	must(store_commit(n->store));
	node_free(n->node);
	start(w, i);
}

void world_pair(struct world *w, size_t a, size_t b)
{
	struct key_pair s[2], r[2];
	struct sym_key q[2];
	struct root_secret root;
	struct secrets_result result;
	struct ratchet_root ratchet;
	enum pair_role role;

	for (size_t i = 0; i < 2; i++) {
		key_pair_new(&s[i], &w->rng.base);
		key_pair_new(&r[i], &w->rng.base);
		random_bytes(&w->rng.base, q[i].b, sizeof(q[i].b));
	}
	must(secrets_role(&role, &s[0].public, &s[1].public));
	const size_t ia = role == ROLE_A ? 0 : 1, ib = 1 - ia;
	const struct secrets_pair pair = { s[ia].public, s[ib].public, r[ia].public, r[ib].public };

	must(secrets_root_qr(&root, &pair, role, &s[0].secret, &r[0].secret, &q[ia], &q[ib]));
	secrets_of_root(&result, &root);
	ratchet = (struct ratchet_root){ .rk0 = result.rk0, .ha = result.ha, .nb = result.nb };
	secrets_aid(&ratchet.aid, &pair.s_a, &pair.s_b, 0);
	add_contact(w, a, b, role, &s[0], &s[1].public, &result, &ratchet, &r[0], &r[1].public);
	add_contact(w, b, a, role == ROLE_A ? ROLE_B : ROLE_A, &s[1], &s[0].public, &result, &ratchet, &r[1],
	            &r[0].public);
}

enum reply_code world_ask(struct world *w, size_t i, const struct request *q)
{
	struct event ev = { .kind = EV_REQUEST, .request = q };

	world_event(w, i, &ev);
	return w->nodes[i].reply;
}

static struct span name_of(size_t i, char buf[static 8])
{
	snprintf(buf, 8, "n%zu", i % WORLD_NODES_MAX);
	return span_str(buf);
}

enum reply_code world_say(struct world *w, size_t from, size_t to, const char *text)
{
	char name[8];
	const struct request q = { .kind = REQ_SEND, .name = name_of(to, name), .text = span_str(text) };

	return world_ask(w, from, &q);
}

enum reply_code world_mode(struct world *w, size_t i, size_t contact, enum contact_mode mode)
{
	char name[8];
	const struct request q = { .kind = REQ_MODE, .name = name_of(contact, name), .mode = mode };

	return world_ask(w, i, &q);
}

static void view(const struct world *w, size_t i, size_t contact, struct contact_view *out)
{
	char name[8];
	const int at = node_contact_find(w->nodes[i].node, name_of(contact, name));

	assert_true(at >= 0);
	node_contact_view(w->nodes[i].node, (size_t)at, out);
}

bool world_linked(const struct world *w, size_t i, size_t contact)
{
	struct contact_view v;

	view(w, i, contact, &v);
	return v.linked;
}

int64_t world_waiting(const struct world *w, size_t i, size_t contact)
{
	struct contact_view v;

	view(w, i, contact, &v);
	return v.waiting;
}

struct texts {
	char buf[1 << 20];
	size_t len;
	bool own;
};

static int add_text(void *arg, const struct message *m)
{
	struct texts *t = arg;

	if (m->own == t->own)
		t->len += (size_t)snprintf(t->buf + t->len, sizeof(t->buf) - t->len, "%s%.*s",
		                           t->len == 0 ? "" : "|", (int)m->content.len,
		                           (const char *)m->content.p);
	return 0;
}

const char *world_texts(struct world *w, size_t i, size_t contact, bool own)
{
	static struct texts t;
	struct contact_view v;

	view(w, i, contact, &v);
	t.len = 0;
	t.buf[0] = '\0';
	t.own = own;
	must(messages_each(w->nodes[i].store, v.record->id, 0, INT64_MAX, add_text, &t));
	return t.buf;
}
