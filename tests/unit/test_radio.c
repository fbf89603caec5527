#include <stdio.h>

#include "node/core/state.h"
#include "transport/call.h"
#include "tests/unit/world.h"

#include "tests/unit/unit.h"

#define S(seconds) ((uint64_t)(seconds)*1000000)

static struct world *two(uint64_t seed, bool network)
{
	struct world *w = world_new(seed, 2);

	world_pair(w, 0, 1);
	for (size_t i = 0; i < 2; i++) {
		world_network(w, i, network);
		world_radio(w, i, true);
	}
	return w;
}

static void two_contacts_meet_without_a_network(void **state)
{
	struct world *w = two(1, false);

	(void)state;
	world_say(w, 1, 0, "before");
	world_run(w, S(60));
	assert_true(w->nodes[0].scans && w->nodes[1].scans); /* both only listen */
	assert_int_equal(w->nodes[0].advertisements + w->nodes[1].advertisements, 0);
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(2));
	assert_true(world_linked(w, 0, 1) && world_linked(w, 1, 0));
	assert_string_equal(world_texts(w, 0, 1, false), "before");
	world_say(w, 0, 1, "one");
	world_run(w, S(1));
	assert_string_equal(world_texts(w, 1, 0, false), "one");
	/* Who is linked neither advertises nor listens. */
	assert_int_equal(w->nodes[0].adverts_len, 0);
	assert_false(w->nodes[0].scans || w->nodes[1].scans);
	world_free(w);
}

/* ---- Codes ----------------------------------------------------------------- */

static void pair_by_code(struct world *w)
{
	const struct request show = { .kind = REQ_PAIR_SHOW, .name = span_str("bob") };
	struct request enter = { .kind = REQ_PAIR_ENTER, .name = span_str("ann") };

	assert_int_equal(world_ask(w, 0, &show), REPLY_OK);
	enter.text = span_str(w->nodes[0].reply_text);
	assert_int_equal(world_ask(w, 1, &enter), REPLY_OK);
}

static void a_code_needs_no_network(void **state)
{
	const struct request show = { .kind = REQ_PAIR_SHOW, .name = span_str("bob") };
	struct world *w = world_new(2, 2);

	(void)state;
	world_network(w, 0, false);
	world_network(w, 1, false);
	assert_int_equal(world_ask(w, 0, &show), REPLY_NO_NETWORK);
	for (size_t i = 0; i < 2; i++)
		world_radio(w, i, true);
	assert_false(w->nodes[0].scans);
	pair_by_code(w);
	assert_true(w->nodes[0].scans && w->nodes[1].adverts_len == 1);
	assert_false(w->nodes[1].scans || w->nodes[0].adverts_len > 0);
	world_run(w, S(5));
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(w->nodes[i].notices[NOTICE_PAIR_COMPARE], 1);
		assert_int_equal(w->nodes[i].adverts_len, 0);
		assert_false(w->nodes[i].scans); /* nobody is confirmed yet */
	}
	assert_string_equal(w->nodes[0].notice_text, w->nodes[1].notice_text);
	world_free(w);
}

static void a_code_on_both_carriers(void **state)
{
	(void)state;
	for (uint64_t seed = 30; seed < 40; seed++) {
		struct world *w = world_new(seed, 2);

		for (size_t i = 0; i < 2; i++)
			world_radio(w, i, true);
		pair_by_code(w);
		world_run(w, S(10));
		assert_int_equal(w->nodes[0].notices[NOTICE_PAIR_COMPARE], 1);
		assert_int_equal(w->nodes[1].notices[NOTICE_PAIR_COMPARE], 1);
		world_free(w);
	}
}

static void a_code_without_an_adapter_that_sends(void **state)
{
	struct world *w = world_new(3, 2);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		world_network(w, i, false);
		world_radio(w, i, true);
	}
	pair_by_code(w);
	world_radio(w, 1, false);
	assert_int_equal(w->nodes[1].adverts_len, 0);
	world_run(w, S(5));
	world_radio(w, 1, true); /* it comes back, and the code still stands */
	world_run(w, S(10));
	assert_int_equal(w->nodes[1].notices[NOTICE_PAIR_COMPARE], 1);
	world_free(w);
}

/* ---- Two carriers ---------------------------------------------------------- */

static bool by_bluetooth(const struct world *w, size_t i)
{
	struct contact_view v;

	node_contact_view(w->nodes[i].node, 0, &v);
	return v.linked && v.by_bluetooth;
}

/* PROTOCOL section 9: over the local network where both have it. */
static void the_network_goes_first(void **state)
{
	struct world *w = two(4, false);

	(void)state;
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(3));
	assert_true(by_bluetooth(w, 0) && by_bluetooth(w, 1));
	world_network(w, 0, true);
	world_network(w, 1, true);
	world_run(w, S(13)); /* who is linked over Bluetooth is still called there */
	assert_true(world_linked(w, 0, 1) && !by_bluetooth(w, 0));
	assert_true(world_linked(w, 1, 0) && !by_bluetooth(w, 1));
	assert_int_equal(w->nodes[0].adverts_len, 0);
	world_say(w, 0, 1, "over the network");
	world_run(w, S(1));
	assert_string_equal(world_texts(w, 1, 0, false), "over the network");
	/* The network goes on both sides. */
	world_network(w, 0, false);
	world_network(w, 1, false);
	world_run(w, S(5));
	assert_true(by_bluetooth(w, 0) && by_bluetooth(w, 1));
	world_free(w);
}

static void add(char *to, const char *text)
{
	strcat(to, *to == '\0' ? "" : "|");
	strcat(to, text);
}

/* One of 32,000 bytes and many short ones while the two come and go: nothing lost, nothing twice. */
static void back_and_forth(uint64_t seed, enum contact_mode other)
{
	static char large[32001], want[2][1 << 17];
	struct world *w = two(seed, true);
	struct random *rng = &w->rng.base;

	memset(large, 'x', sizeof(large) - 1);
	want[0][0] = want[1][0] = '\0';
	world_mode(w, 0, 1, MODE_CALL);
	world_mode(w, 1, 0, other);
	for (unsigned i = 0; i < 200; i++) {
		const unsigned from = random_below(rng, 2);
		char small[32];
		const char *text = i == 20 || i == 100 ? large : small;

		snprintf(small, sizeof(small), "%u.%u", from, i);
		assert_int_equal(world_say(w, from, 1 - from, text), REPLY_OK);
		add(want[from], text);
		if (i % 5 == 0) {
			const bool up = i % 2 == 0;

			if (random_below(rng, 3) != 0)
				world_network(w, 0, up);
			if (random_below(rng, 3) != 0)
				world_network(w, 1, up);
		}
		if (random_below(rng, 20) == 0)
			world_break(w);
		if (random_below(rng, 30) == 0)
			world_crash(w, random_below(rng, 2));
		if (random_below(rng, 30) == 0) {
			const size_t who = random_below(rng, 2);

			world_radio(w, who, false);
			world_run(w, random_below(rng, 3000000));
			world_radio(w, who, true);
		}
		world_run(w, random_below(rng, 1500000));
	}
	world_network(w, 0, seed % 3 == 0);
	world_network(w, 1, seed % 3 == 0);
	world_run(w, S(400));
	assert_string_equal(world_texts(w, 1, 0, false), want[0]);
	assert_string_equal(world_texts(w, 0, 1, false), want[1]);
	assert_int_equal(world_waiting(w, 0, 1) + world_waiting(w, 1, 0), 0);
	world_free(w);
}

static void nothing_is_lost_between_two_carriers(void **state)
{
	(void)state;
	for (uint64_t seed = 50; seed < 62; seed++)
		back_and_forth(seed, seed % 2 == 0 ? MODE_CALL : MODE_ANSWER);
}

/* Who lost the link says so by calling: it is not waited until the other side notices. */
static void who_calls_has_lost_the_link(void **state)
{
	struct world *w = world_new(5, 3);

	(void)state;
	world_pair(w, 0, 1);
	world_pair(w, 1, 2); /* somebody else to listen for */
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(1));
	for (size_t i = 0; i < 2; i++)
		world_radio(w, i, true);
	world_run(w, S(20));
	assert_true(world_linked(w, 0, 1) && !by_bluetooth(w, 0) && w->nodes[1].scans);
	world_network(w, 0, false);
	assert_true(world_linked(w, 1, 0)); /* as it seems */
	world_run(w, S(3));
	assert_true(by_bluetooth(w, 0) && by_bluetooth(w, 1));
	world_free(w);
}

/* ---- Whom, when ------------------------------------------------------------ */

static void turns_go_through_everybody(void **state)
{
	enum { OTHERS = 7 };
	struct world *w = world_new(6, OTHERS + 1);
	unsigned heard[OTHERS + 1] = { 0 };

	(void)state;
	for (size_t i = 1; i <= OTHERS; i++)
		world_pair(w, 0, i);
	for (size_t i = 0; i <= OTHERS; i++)
		world_network(w, i, false);
	for (size_t i = 1; i <= OTHERS; i++)
		world_mode(w, 0, i, MODE_CALL);
	world_say(w, 0, 6, "first");
	w->nodes[0].adverts_at_once = 2;
	world_radio(w, 0, true);
	for (unsigned t = 0; t < 120; t++) {
		for (size_t k = 0; k < w->nodes[0].adverts_len; k++)
			for (size_t i = 1; i <= OTHERS; i++) {
				const struct contact *c = w->nodes[i].node->contacts[0];
				struct call call;

				assert_int_equal(call_advert_read(&call, SPAN(w->nodes[0].adverts[k])), 0);
				if (call_find(&call, &c->keys[SECRET_CUR].in) < 0)
					continue;
				assert_true(t > 0 || k > 0 || i == 6); /* a message waits for it */
				heard[i]++;
			}
		world_run(w, S(1));
	}
	for (size_t i = 1; i <= OTHERS; i++)
		assert_in_range(heard[i], i == 6 ? 40 : 18, i == 6 ? 120 : 50);
	world_free(w);
}

static void everything_stops(void **state)
{
	struct world *w = two(7, false);
	struct event lock = { .kind = EV_LOCK };
	const struct request block = { .kind = REQ_BLOCK, .name = span_str("n1"), .flag = true };
	const struct request let_in = { .kind = REQ_BLOCK, .name = span_str("n1") };
	const struct request forget = { .kind = REQ_FORGET, .name = span_str("n1") };

	(void)state;
	w->far = true;
	world_mode(w, 0, 1, MODE_CALL);
	assert_true(w->nodes[0].adverts_len == 1 && w->nodes[0].scans);
	world_mode(w, 0, 1, MODE_SILENT);
	assert_false(w->nodes[0].adverts_len > 0 || w->nodes[0].scans);
	assert_true(node_deadline_us(w->nodes[0].node) == UINT64_MAX);
	world_mode(w, 0, 1, MODE_ANSWER);
	assert_true(w->nodes[0].adverts_len == 0 && w->nodes[0].scans);
	world_mode(w, 0, 1, MODE_CALL);
	world_ask(w, 0, &block);
	assert_false(w->nodes[0].adverts_len > 0 || w->nodes[0].scans);
	world_ask(w, 0, &let_in);
	assert_true(w->nodes[0].adverts_len == 1 && w->nodes[0].scans);
	world_event(w, 0, &lock);
	assert_false(w->nodes[0].adverts_len > 0 || w->nodes[0].scans);
	world_crash(w, 0);
	assert_true(w->nodes[0].adverts_len == 1 && w->nodes[0].scans);
	world_ask(w, 0, &forget);
	assert_false(w->nodes[0].adverts_len > 0 || w->nodes[0].scans);
	world_free(w);
}

static void look_calls_everybody_for_two_minutes(void **state)
{
	struct world *w = two(8, false);
	struct request look = { .kind = REQ_LOOK, .flag = true };

	(void)state;
	w->far = true;
	assert_int_equal(world_ask(w, 0, &look), REPLY_OK);
	assert_int_equal(w->nodes[0].adverts_len, 1);
	world_run(w, S(LOOK_S) - 1);
	assert_int_equal(w->nodes[0].adverts_len, 1);
	world_run(w, 2);
	assert_int_equal(w->nodes[0].adverts_len, 0);
	world_radio(w, 0, false);
	assert_int_equal(world_ask(w, 0, &look), REPLY_NO_NETWORK);
	world_free(w);
}

static void on_battery_it_listens_now_and_then(void **state)
{
	struct world *w = two(9, false);
	struct event battery = { .kind = EV_NETWORK, .power = POWER_BATTERY };
	unsigned on = 0, changes = 0;
	bool was = true;

	(void)state;
	w->far = true;
	world_event(w, 0, &battery);
	for (unsigned t = 0; t < 36000; t++) { /* an hour */
		world_run(w, S(1) / 10);
		on += w->nodes[0].scans;
		changes += w->nodes[0].scans != was;
		was = w->nodes[0].scans;
	}
	assert_in_range(on, 36000 * 3 / 16, 36000 * 3 / 14);
	assert_in_range(changes, 2 * 225, 2 * 255);
	/* While a person waits it listens all the time. */
	world_ask(w, 0, &(struct request){ .kind = REQ_LOOK, .flag = true });
	for (unsigned t = 0; t < 1000; t++) {
		world_run(w, S(1) / 10);
		assert_true(w->nodes[0].scans);
	}
	world_free(w);
}

/* The table of PROTOCOL section 9: seconds of an hour in which a node calls, and in which another listens. */
static void radio_time_of_an_hour(void **state)
{
	static const struct {
		enum power power;
		unsigned calls_low, calls_high, listens_low, listens_high;
	} rows[] = {
		{ POWER_MAINS, 3600, 3600, 3600, 3600 },
		{ POWER_BATTERY, 3600, 3600, 675, 771 },
		{ POWER_LOW, 1750, 1850, 212, 277 },
	};

	(void)state;
	for (size_t row = 0; row < COUNT_OF(rows); row++) {
		struct world *w = two(40 + row, false);
		struct event power = { .kind = EV_NETWORK, .power = rows[row].power };
		unsigned calls = 0, listens = 0;

		w->far = true;
		world_mode(w, 0, 1, MODE_CALL);
		for (size_t i = 0; i < 2; i++)
			world_event(w, i, &power);
		for (unsigned t = 0; t < 36000; t++) {
			world_run(w, S(1) / 10);
			calls += w->nodes[0].adverts_len > 0;
			listens += w->nodes[1].scans;
		}
		print_message("# power %u: calls %u s, listens %u s\n", rows[row].power, calls / 10,
		              listens / 10);
		assert_in_range(calls / 10, rows[row].calls_low, rows[row].calls_high);
		assert_in_range(listens / 10, rows[row].listens_low, rows[row].listens_high);
		world_free(w);
	}
}

static void low_battery_delays_and_no_more(void **state)
{
	struct event low = { .kind = EV_NETWORK, .power = POWER_LOW };

	(void)state;
	for (uint64_t seed = 50; seed < 60; seed++) {
		struct world *w = two(seed, false);

		for (size_t i = 0; i < 2; i++)
			world_event(w, i, &low);
		world_mode(w, 0, 1, MODE_CALL);
		assert_int_equal(w->nodes[0].adverts_len, 1); /* the first turn is not left out */
		world_run(w, S(120));
		assert_true(world_linked(w, 0, 1));
		world_free(w);
	}
}

static void who_looks_saves_nothing(void **state)
{
	struct world *w = two(60, false);
	struct event low = { .kind = EV_NETWORK, .power = POWER_LOW };

	(void)state;
	w->far = true;
	world_event(w, 0, &low);
	world_ask(w, 0, &(struct request){ .kind = REQ_LOOK, .flag = true });
	for (unsigned t = 0; t < 1000; t++) {
		world_run(w, S(1) / 10);
		assert_true(w->nodes[0].scans && w->nodes[0].adverts_len > 0);
	}
	world_free(w);
}

/* What 100 messages of so many bytes that waited cost on the air, the handshake and the acks with them. */
static uint64_t cost_of_a_hundred(size_t len)
{
	struct world *w = two(61, false);
	char text[256];
	uint64_t before, bytes;

	w->far = true;
	for (unsigned i = 0; i < 100; i++) {
		memset(text, 'a' + (int)(i % 26), len);
		text[len] = '\0';
		world_say(w, 0, 1, text);
	}
	before = w->nodes[0].sent_bytes + w->nodes[1].sent_bytes;
	world_mode(w, 0, 1, MODE_CALL);
	w->far = false;
	world_run(w, S(10));
	assert_true(world_linked(w, 0, 1));
	bytes = w->nodes[0].sent_bytes + w->nodes[1].sent_bytes - before;
	world_free(w);
	print_message("# 100 messages of %zu bytes: %llu bytes\n", len, (unsigned long long)bytes);
	return bytes;
}

static void a_hundred_that_waited_cost_little(void **state)
{
	(void)state;
	for (size_t len = 60; len < 256; len += 20)
		assert_true(cost_of_a_hundred(len) <= 100 * len * (len < 140 ? 20 : 15) / 10);
}

/* One that is too long for a smaller envelope goes into a larger one, with those that fit beside it. */
static void a_long_one_before_short_ones(void **state)
{
	struct world *w = two(62, false);
	static char text[5001];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	world_say(w, 0, 1, text);
	world_say(w, 0, 1, "short");
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(10));
	assert_non_null(strstr(world_texts(w, 1, 0, false), "short"));
	world_free(w);
}

/* ---- Strangers ------------------------------------------------------------- */

struct heard_adverts {
	uint8_t v[512][ADVERT_LEN];
	size_t n;
};

static void overhear(struct world *w, struct heard_adverts *h)
{
	for (size_t k = 0; k < w->nodes[0].adverts_len; k++)
		memcpy(h->v[h->n++ % COUNT_OF(h->v)], w->nodes[0].adverts[k], ADVERT_LEN);
}

static void say_advert(struct world *w, size_t to, const uint8_t bytes[static ADVERT_LEN])
{
	struct event ev = {
		.kind = EV_ADVERT,
		.bytes = span_from(bytes, ADVERT_LEN),
		.from = { { 2, 0, 0, 0, 0, 7, 1 }, ADDRESS_BLUETOOTH },
	};

	world_event(w, to, &ev);
}

static void nothing_of_a_stranger_is_answered(void **state)
{
	struct world *w = two(10, false);
	struct heard_adverts h = { .n = 0 };
	uint64_t before;

	(void)state;
	world_radio(w, 1, false);
	world_mode(w, 0, 1, MODE_CALL);
	for (unsigned i = 0; i < 300; i++) {
		overhear(w, &h);
		world_run(w, S(1));
	}
	world_radio(w, 1, true);
	world_run(w, S(5));
	assert_true(world_linked(w, 1, 0));
	world_radio(w, 0, false);
	world_run(w, S(40 * 60)); /* all of it is too old by now */
	assert_true(w->nodes[1].scans);
	before = w->nodes[1].sent_datagrams + w->nodes[1].sent_calls;
	for (size_t i = 0; i < h.n; i++)
		say_advert(w, 1, h.v[i]);
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t noise[ADVERT_LEN];

		random_bytes(&w->rng.base, noise, sizeof(noise));
		say_advert(w, 1, noise);
		memcpy(noise, h.v[i % h.n], sizeof(noise));
		noise[random_below(&w->rng.base, ADVERT_LEN)] ^=
		        (uint8_t)(1u << random_below(&w->rng.base, 8));
		say_advert(w, 1, noise);
	}
	assert_int_equal(w->nodes[1].sent_datagrams + w->nodes[1].sent_calls, before);
	assert_int_equal(w->nodes[1].node->sessions == NULL, true);
	world_free(w);
}

static unsigned opened;

static void watch_opens(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	(void)w;
	(void)bytes;
	opened += node == 1 && e->kind == FX_OPEN;
}

/* Each second another nonce, for many minutes: none of them is answered again while it is live. */
static void a_call_counts_once_however_many_came(void **state)
{
	struct world *w = two(13, false);
	struct heard_adverts h = { .n = 0 };

	(void)state;
	world_mode(w, 0, 1, MODE_CALL);
	w->watch = watch_opens;
	w->shut = true;
	opened = 0;
	for (unsigned i = 0; i < 400; i++) {
		overhear(w, &h);
		world_run(w, S(1));
	}
	assert_in_range(opened, 60, 120); /* once in 5 s */
	world_radio(w, 0, false);
	world_run(w, S(10));
	opened = 0;
	for (size_t i = 0; i < h.n; i++) {
		say_advert(w, 1, h.v[i]);
		w->now_us += S(1) / 10;
		if (opened > 0)
			world_run(w, S(6));
	}
	assert_int_equal(opened, 0);
	world_free(w);
}

struct closed {
	unsigned n;
	uint32_t last;
};

static struct closed closed;

static void watch_closes(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	(void)w;
	(void)node;
	(void)bytes;
	closed.n += e->kind == FX_CLOSE;
	closed.last = e->kind == FX_CLOSE ? e->path : closed.last;
}

/* Every PSM, every length, noise: closed without a byte, and the real contact is linked all the same. */
static void strangers_channels_are_closed(void **state)
{
	struct world *w = two(11, false);
	uint8_t noise[1232];

	(void)state;
	world_mode(w, 0, 1, MODE_CALL);
	w->far = true;
	world_run(w, S(3));
	w->watch = watch_closes;
	for (unsigned i = 0; i < 2560; i++) {
		static const size_t sizes[] = { 256, 0, 255, 257, 1232, 26 };
		const struct address from = world_radio_address(1);
		const unsigned n = closed.n;
		const uint64_t sent = w->nodes[0].sent_datagrams;
		uint32_t path;

		random_bytes(&w->rng.base, noise, sizeof(noise));
		path = world_stranger(w, 0, &from, (uint16_t)(0x80 + i % 128),
		                      span_from(noise, sizes[i % COUNT_OF(sizes)]));
		world_run(w, 30000); /* its end lands */
		assert_int_equal(closed.n, n + 1);
		assert_int_equal(closed.last, path);
		assert_int_equal(w->nodes[0].sent_datagrams, sent);
	}
	w->far = false;
	world_run(w, S(10));
	assert_true(world_linked(w, 0, 1));
	world_free(w);
}

/* No constant bytes, no nonce twice. */
static void advertisements_look_random(void **state)
{
	struct world *w = two(12, false);
	unsigned ones[ADVERT_LEN * 8] = { 0 }, n = 0;

	(void)state;
	w->far = true;
	world_mode(w, 0, 1, MODE_CALL);
	for (; n < 1000; n++) {
		for (size_t bit = 0; bit < ADVERT_LEN * 8; bit++)
			ones[bit] += w->nodes[0].adverts[0][bit / 8] >> bit % 8 & 1;
		world_run(w, 1200001);
	}
	for (size_t bit = 0; bit < ADVERT_LEN * 8; bit++)
		assert_in_range(ones[bit], 400, 600);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_contacts_meet_without_a_network),
		cmocka_unit_test(a_code_needs_no_network),
		cmocka_unit_test(a_code_on_both_carriers),
		cmocka_unit_test(a_code_without_an_adapter_that_sends),
		cmocka_unit_test(the_network_goes_first),
		cmocka_unit_test(nothing_is_lost_between_two_carriers),
		cmocka_unit_test(who_calls_has_lost_the_link),
		cmocka_unit_test(turns_go_through_everybody),
		cmocka_unit_test(everything_stops),
		cmocka_unit_test(look_calls_everybody_for_two_minutes),
		cmocka_unit_test(on_battery_it_listens_now_and_then),
		cmocka_unit_test(radio_time_of_an_hour),
		cmocka_unit_test(low_battery_delays_and_no_more),
		cmocka_unit_test(who_looks_saves_nothing),
		cmocka_unit_test(a_hundred_that_waited_cost_little),
		cmocka_unit_test(a_long_one_before_short_ones),
		cmocka_unit_test(nothing_of_a_stranger_is_answered),
		cmocka_unit_test(a_call_counts_once_however_many_came),
		cmocka_unit_test(strangers_channels_are_closed),
		cmocka_unit_test(advertisements_look_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
