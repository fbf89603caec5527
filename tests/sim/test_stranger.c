/*
 * A million datagrams at one node in each state it can be in: noise, calls of nobody, what was recorded,
 * and that with one bit turned. Not one byte is answered (I5), and nothing grows (I9). Its own calls, too,
 * come back to it.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/sim/need.h"
#include "tools/sim/world.h"
#include "transport/call.h"

#include "tests/unit/unit.h"

#define SECOND_US UINT64_C(1000000)

enum {
	DATAGRAMS = 1000000,
	BATCH = 40, /* in a turn, and a second: twice the calls that are examined */
	KEPT_MAX = 512,
	CONTACTS = 12,
	OWN_CALLS =
	        4096, /* if those of others, with as many contacts: more tags than are computed in a second */
};

struct kept {
	uint16_t port;
	size_t len;
	struct address source, target;
	uint8_t bytes[NET_FRAME_MAX];
};

/* Somebody, a friend with whom things go on, others who are away, and what was recorded of all that. */
struct scene {
	struct world *w;
	struct person *me, *friend;
	int home, elsewhere;
	struct kept kept[KEPT_MAX];
	size_t kept_len;
	struct random_seeded rng;
	struct dice dice;
	uint64_t said;
};

static void record(void *arg, struct world *w, const struct frame *f)
{
	struct scene *s = arg;
	struct kept *k = &s->kept[s->kept_len % KEPT_MAX];

	(void)w;
	if (f->place != s->home || f->bytes.len > NET_FRAME_MAX || f->from == NULL)
		return;
	*k = (struct kept){ .port = f->port, .len = f->bytes.len, .source = f->source, .target = f->target };
	memcpy(k->bytes, f->bytes.p, f->bytes.len);
	s->kept_len++;
}

static void begin(struct scene *s, uint64_t seed, enum contact_mode mode)
{
	memset(s, 0, sizeof(*s));
	s->w = world_new(seed, CONTACTS + 1);
	s->w->devices = DEVICE_LIGHT;
	s->home = net_add_place(&s->w->net, "home", NET_LAN);
	s->elsewhere = net_add_place(&s->w->net, "elsewhere", NET_LAN);
	s->me = world_add(s->w, "me");
	s->friend = world_add(s->w, "friend");
	person_pair(s->w, s->me, s->friend, mode, MODE_CALL);
	for (unsigned i = 1; i < CONTACTS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "away%u", i);
		person_pair(s->w, s->me, world_add(s->w, name), mode, MODE_ANSWER);
	}
	s->w->hooks.arg = s;
	s->w->hooks.frame = record;
	random_seeded_init(&s->rng, seed);
	s->dice = dice_new(seed, 9);
	person_go(s->w, s->me, s->home);
	person_open(s->w, s->me);
	person_go(s->w, s->friend, s->home);
	person_open(s->w, s->friend);
	for (unsigned i = 0; i < 30; i++) {
		person_write(s->w, talk_with(s->friend, s->me), 100 + i * 40);
		world_run(s->w, s->w->now_us + 10 * SECOND_US);
	}
	assert_true(s->kept_len > 50);
	assert_int_equal(s->w->counts.arrived, 30);
}

static void end(struct scene *s)
{
	if (s->w->broken[0] != '\0')
		fail_msg("%s", s->w->broken);
	print_message("%llu datagrams, no answer\n", (unsigned long long)s->said);
	world_free(s->w);
}

/* ---- What a stranger says --------------------------------------------------- */

static void flip(struct scene *s, uint8_t *bytes, size_t len)
{
	const uint64_t bit = dice_below(&s->dice, MAX(len, (size_t)1) * 8);

	if (len != 0)
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static size_t noise(struct scene *s, uint8_t *bytes)
{
	static const size_t sizes[] = { 256, 1232, 396, 1164, 0, 1, 23, 24, 40, 255, 257, 1231, 1233, 1500 };

	for (size_t i = 0; i < 1536; i += 8)
		store_u64(bytes + i, dice_draw(&s->dice));
	return sizes[dice_below(&s->dice, COUNT_OF(sizes))];
}

static size_t strange_call(struct scene *s, uint8_t *bytes)
{
	struct writer w = writer_on(bytes, CALL_LARGE_LEN);
	struct call call;

	call_make(&call, dice_below(&s->dice, 2) == 0 ? CALL_SMALL : CALL_LARGE, NULL, 0, &s->rng.base);
	call_write(&w, &call);
	return w.len;
}

static void say(struct scene *s)
{
	uint8_t bytes[NET_FRAME_MAX];
	const struct kept *k = &s->kept[dice_below(&s->dice, MIN(s->kept_len, (size_t)KEPT_MAX))];
	struct event ev = { .kind = EV_CALL, .ttl = 255, .from = k->source };
	const uint64_t how = dice_below(&s->dice, 8);
	size_t len = k->len;

	memcpy(bytes, k->bytes, len);
	if (how == 0)
		len = noise(s, bytes);
	else if (how == 1)
		len = strange_call(s, bytes);
	else if (how < 5)
		flip(s, bytes, len);
	if (how == 7) /* a valid one from a wrong address */
		ev.from = net_address(&s->w->net.places[s->home], s->home, WORLD_PEOPLE_MAX - 1, 0);
	if (s->me->paths_len != 0 && (how == 0 || k->port != 0)) {
		ev.kind = EV_DATAGRAM;
		ev.path = s->me->paths[dice_below(&s->dice, s->me->paths_len)].id;
	}
	ev.bytes = span_from(bytes, len);
	person_event(s->w, s->me, &ev);
	s->said++;
}

/* What is due by itself is done first; then a second stands still, and whatever leaves is an answer. */
static void batch(struct scene *s, void (*say_one)(struct scene *s))
{
	struct person *me = s->me;
	uint64_t before;

	world_run(s->w, s->w->now_us + SECOND_US);
	person_end_turn(s->w, me);
	before = me->sent_calls + me->sent_datagrams;
	for (unsigned i = 0; i < BATCH; i++)
		say_one(s);
	person_end_turn(s->w, me);
	if (me->sent_calls + me->sent_datagrams != before)
		fail_msg("a stranger is answered, at %llu us", (unsigned long long)s->w->now_us);
}

/* The disk aside: time passes, and the notebook remembers how late it is. */
static size_t memory_in_use(void)
{
	return mallinfo2().uordblks - blocks_memory();
}

static void hear(struct scene *s, unsigned datagrams)
{
	size_t before = 0;
	int64_t more;

	s->w->hooks.frame = NULL;
	s->w->checks = false;
	for (unsigned i = 0; i < datagrams / BATCH; i++) {
		if (i == datagrams / BATCH / 4)
			before = memory_in_use();
		batch(s, say);
	}
	more = (int64_t)memory_in_use() - (int64_t)before;
	assert_true(more < 65536);
}

/* ---- States ------------------------------------------------------------------ */

static void while_it_waits(void **state)
{
	struct scene *s = need(malloc(sizeof(*s)));

	(void)state;
	begin(s, 1, MODE_ANSWER);
	person_go(s->w, s->friend, s->elsewhere);
	world_run(s->w, s->w->now_us + 600 * SECOND_US);
	assert_int_equal(s->me->paths_len, 0);
	hear(s, 3 * DATAGRAMS / 10);
	end(s);
	free(s);
}

static void while_it_calls(void **state)
{
	struct scene *s = need(malloc(sizeof(*s)));

	(void)state;
	begin(s, 2, MODE_CALL);
	person_go(s->w, s->friend, s->elsewhere);
	hear(s, 2 * DATAGRAMS / 10);
	end(s);
	free(s);
}

static void while_it_is_linked(void **state)
{
	struct scene *s = need(malloc(sizeof(*s)));

	(void)state;
	begin(s, 3, MODE_ANSWER);
	assert_true(s->me->paths_len > 0);
	hear(s, 3 * DATAGRAMS / 10);
	/* The friend is still there, and is heard. */
	assert_true(talk_with(s->me, s->friend)->linked);
	end(s);
	free(s);
}

static void while_it_pairs(struct scene *s, enum request_kind kind, const char *text)
{
	const struct request q = { .kind = kind, .name = span_str("new"), .text = span_str(text) };

	person_go(s->w, s->friend, s->elsewhere);
	for (unsigned i = 0; i < DATAGRAMS / 10; i += DATAGRAMS / 200) {
		const struct request stop = { .kind = REQ_PAIR_CANCEL };

		person_ask(s->w, s->me, &stop);
		assert_int_equal(person_ask(s->w, s->me, &q), REPLY_OK);
		hear(s, DATAGRAMS / 200);
	}
}

static void while_a_code_is_shown(void **state)
{
	struct scene *s = need(malloc(sizeof(*s)));

	(void)state;
	begin(s, 4, MODE_ANSWER);
	while_it_pairs(s, REQ_PAIR_SHOW, "");
	end(s);
	free(s);
}

static void while_a_code_is_entered(void **state)
{
	struct scene *s = need(malloc(sizeof(*s)));

	(void)state;
	begin(s, 5, MODE_ANSWER);
	while_it_pairs(s, REQ_PAIR_ENTER, "48 yellow lemon window");
	end(s);
	free(s);
}

/* ---- Its own calls ----------------------------------------------------------- */

/* Back to it, as others on the network hear it. */
static void say_own_call(struct scene *s)
{
	const struct kept *k = &s->kept[dice_below(&s->dice, s->kept_len)];
	struct event ev = {
		.kind = EV_CALL, .ttl = 255, .from = k->source, .bytes = span_from(k->bytes, k->len)
	};

	person_event(s->w, s->me, &ev);
	s->said++;
}

/* Nobody else is there: every call that is recorded is its own. */
static void record_own_calls(struct scene *s)
{
	size_t calls = 0;

	s->kept_len = 0;
	s->w->hooks.frame = record;
	world_run(s->w, s->w->now_us + 300 * SECOND_US);
	s->w->hooks.frame = NULL;
	assert_true(s->kept_len <= KEPT_MAX);
	for (size_t i = 0; i < s->kept_len; i++)
		if (s->kept[i].port == 0)
			s->kept[calls++] = s->kept[i];
	s->kept_len = calls;
	assert_true(calls > 20);
}

static void only_answers(struct scene *s)
{
	for (size_t i = 0; i < s->me->ties_len; i++) {
		const struct request q = { .kind = REQ_MODE,
			                   .name = span_str(s->me->ties[i]->other->name),
			                   .mode = MODE_ANSWER };

		assert_int_equal(person_ask(s->w, s->me, &q), REPLY_OK);
	}
}

/* PROTOCOL section 3: who called is in the key, so that one's own call is nobody's, also where the process
 * that made it is not the one that hears it. Section 4: only the calls of others are counted, so that however
 * many of the own come back, a contact is heard among them. */
static void its_own_calls_come_back(void **state)
{
	struct scene *s = need(malloc(sizeof(*s)));
	uint64_t before;

	(void)state;
	begin(s, 6, MODE_CALL);
	person_go(s->w, s->friend, s->elsewhere);
	world_run(s->w, s->w->now_us + SECOND_US);
	record_own_calls(s);
	for (unsigned i = 0; i < 50; i++)
		batch(s, say_own_call);
	person_kill(s->w, s->me, SECOND_US);
	world_run(s->w, s->w->now_us + 2 * SECOND_US);
	assert_non_null(s->me->node);
	for (unsigned i = 0; i < 50; i++)
		batch(s, say_own_call);

	record_own_calls(s);
	only_answers(s);
	world_run(s->w, s->w->now_us + 2 * SECOND_US);
	before = s->me->sent_calls;
	for (unsigned i = 0; i < OWN_CALLS; i++)
		say_own_call(s);
	person_go(s->w, s->friend, s->home);
	world_run(s->w, s->w->now_us + SECOND_US / 2);
	assert_int_equal(s->me->sent_calls, before + 1); /* the answer */
	end(s);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_it_waits),          cmocka_unit_test(while_it_calls),
		cmocka_unit_test(while_it_is_linked),      cmocka_unit_test(while_a_code_is_shown),
		cmocka_unit_test(while_a_code_is_entered), cmocka_unit_test(its_own_calls_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
