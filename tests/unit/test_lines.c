/*
 * The lines of the control socket, each kind of them, with stand-ins for what they tell of; and that one is
 * whole or is not there, wherever memory is short.
 */
#include "node/lines.h"

#include <stdlib.h>

#include "node/object.h"
#include "store/messages.h"
#include "tests/failing_memory.h"
#include "tests/unit/unit.h"

/* ---- The stand-ins --------------------------------------------------------- */

static const struct contact_record anna = { .id = 1,
	                                    .name = "Anna",
	                                    .mode = MODE_CALL,
	                                    .state = CONTACT_MET,
	                                    .restored = true,
	                                    .paired_at = 5,
	                                    .safety = "12345 67890" };
static const struct contact_record ben = { .id = 2, .name = "Ben", .blocked = true, .by_code = true };

static struct {
	bool no_carrier, true_ones;
	const struct message *messages;
	size_t messages_len;
	int store_fails;
} world;
static struct loop_options options;

const struct node *loop_node(const struct loop *l)
{
	(void)l;
	return NULL;
}

struct store *loop_store(const struct loop *l)
{
	(void)l;
	return NULL;
}

const struct lan *loop_lan(const struct loop *l)
{
	(void)l;
	return world.no_carrier ? NULL : (const struct lan *)&world;
}

const struct bluetooth *loop_bluetooth(const struct loop *l)
{
	(void)l;
	return world.no_carrier ? NULL : (const struct bluetooth *)&world;
}

const struct loop_options *loop_options(const struct loop *l)
{
	(void)l;
	return &options;
}

enum loop_room loop_room(const struct loop *l)
{
	(void)l;
	return world.true_ones ? LOOP_ROOM_LOW : LOOP_ROOM_ENOUGH;
}

bool loop_on_battery(const struct loop *l)
{
	(void)l;
	return world.true_ones;
}

bool node_is_looking(const struct node *n)
{
	(void)n;
	return world.true_ones;
}

bool node_clock_is_wrong(const struct node *n)
{
	(void)n;
	return world.true_ones;
}

size_t node_contact_count(const struct node *n)
{
	(void)n;
	return 2;
}

void node_contact_view(const struct node *n, size_t i, struct contact_view *out)
{
	(void)n;
	*out = (struct contact_view){ .record = i == 0 ? &anna : &ben,
		                      .linked = i == 0,
		                      .by_bluetooth = i == 0 && world.true_ones,
		                      .asks_again = i == 1,
		                      .held = i == 1,
		                      .waiting = (int64_t)i + 1,
		                      .stored_before = 2,
		                      .next_position = i == 0 ? 4 : 0 };
}

int node_contact_find(const struct node *n, struct span name)
{
	(void)n;
	return span_equal(name, span_str("Anna")) ? 0 : span_equal(name, span_str("Ben")) ? 1 : -1;
}

size_t lan_status(const struct lan *l, struct lan_status out[static INTERFACES_MAX])
{
	(void)l;
	out[0] = (struct lan_status){ "eth0", false, NULL };
	out[1] = (struct lan_status){ "eth0", true, "switched off" };
	return 2;
}

size_t bluetooth_status(const struct bluetooth *b, struct bluetooth_status out[static RADIOS_MAX])
{
	(void)b;
	out[0] = (struct bluetooth_status){ "hci0", NULL };
	out[1] = (struct bluetooth_status){ "", "gone" };
	return 2;
}

int messages_each(struct store *s, uint32_t contact, int64_t from, int64_t limit,
                  int (*each)(void *arg, const struct message *message), void *arg)
{
	int r = 0;

	(void)s;
	assert_int_equal(contact, anna.id);
	for (size_t i = (size_t)from; r == 0 && i < world.messages_len && i < (size_t)(from + limit); i++)
		r = each(arg, &world.messages[i]);
	return world.store_fails != 0 ? world.store_fails : r;
}

#define X(name, word, text) [name] = word,
static const char *const reply_words[] = { REPLY_LIST(X) };
#undef X

const char *reply_word(enum reply_code code)
{
	return reply_words[code];
}

const char *reply_text(enum reply_code code)
{
	(void)code;
	return "-";
}

/* ---- What a line is read as -------------------------------------------------- */

#define ASKS(rest) "{\"v\":1,\"id\":7,\"do\":" rest "}"

static void a_request_takes_its_fields(void **state)
{
	static const struct {
		const char *line;
		enum request_kind kind;
		const char *name, *text;
		enum contact_mode mode;
		bool flag;
	} table[] = {
		{ ASKS("\"send\",\"name\":\"A\",\"text\":\"t\""), REQ_SEND, "A", "t", 0, false },
		{ ASKS("\"rename\",\"name\":\"A\",\"to\":\"B\""), REQ_RENAME, "A", "B", 0, false },
		{ ASKS("\"mode\",\"name\":\"A\",\"mode\":\"silent\""), REQ_MODE, "A", "", MODE_SILENT,
		  false },
		{ ASKS("\"block\",\"name\":\"A\",\"on\":true"), REQ_BLOCK, "A", "", 0, true },
		{ ASKS("\"block\",\"name\":\"A\",\"on\":false"), REQ_BLOCK, "A", "", 0, false },
		{ ASKS("\"pair_show\",\"name\":\"A\",\"qr\":true"), REQ_PAIR_SHOW, "A", "", 0, true },
		{ ASKS("\"pair_show\",\"name\":\"A\",\"qr\":false"), REQ_PAIR_SHOW, "A", "", 0, false },
		{ ASKS("\"pair_enter\",\"name\":\"A\",\"code\":\"c\""), REQ_PAIR_ENTER, "A", "c", 0, false },
		{ ASKS("\"pair_both\",\"name\":\"A\""), REQ_PAIR_BOTH, "A", "", 0, false },
		{ ASKS("\"pair_confirm\",\"name\":\"A\",\"same\":true"), REQ_PAIR_CONFIRM, "A", "", 0, true },
		{ ASKS("\"pair_confirm\",\"name\":\"A\",\"same\":false"), REQ_PAIR_CONFIRM, "A", "", 0,
		  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct asked a;

		lines_parse(&a, span_str(table[i].line));
		assert_non_null(a.word);
		assert_int_equal(lines_kind(&a), LINES_CHANGES);
		assert_int_equal(a.id, 7);
		assert_int_equal(a.request.kind, table[i].kind);
		assert_true(span_equal(a.request.name, span_str(table[i].name)));
		assert_true(span_equal(a.request.text, span_str(table[i].text)));
		assert_int_equal(a.request.mode, table[i].mode);
		assert_int_equal(a.request.flag, table[i].flag);
		lines_forget(&a);
	}
}

static void a_field_of_another_kind_is_refused(void **state)
{
	static const char *const table[] = {
		ASKS("\"forget\",\"name\":7"),
		ASKS("\"forget\",\"name\":[]"),
		ASKS("\"mode\",\"name\":\"A\",\"mode\":7"),
		ASKS("\"mode\",\"name\":\"A\",\"mode\":\"loud\""),
		ASKS("\"block\",\"name\":\"A\",\"on\":1"),
		ASKS("\"block\",\"name\":\"A\",\"on\":null"),
		ASKS("\"read\",\"name\":\"A\",\"last\":\"1\""),
		ASKS("\"read\",\"name\":\"A\",\"last\":1.0"),
		ASKS("\"read\",\"name\":\"A\",\"last\":-1"),
		ASKS("\"read\",\"name\":\"A\",\"last\":201"),
		ASKS("\"read\",\"name\":\"A\",\"from\":2147483648"),
		ASKS("\"read\",\"name\":\"A\",\"text\":\"\""),
		ASKS("7"),
	};
	char line[400], name[300];

	(void)state;
	for (size_t i = 0; i <= COUNT_OF(table); i++) {
		struct asked a;

		if (i == COUNT_OF(table)) { /* a name is at most 256 bytes */
			memset(name, 'n', 257);
			name[257] = '\0';
			snprintf(line, sizeof(line), ASKS("\"forget\",\"name\":\"%s\""), name);
		}
		lines_parse(&a, span_str(i < COUNT_OF(table) ? table[i] : line));
		assert_null(a.word);
		assert_string_equal(json_string_value(json_object_get(a.bad, "error")), "bad-request");
		assert_int_equal(json_integer_value(json_object_get(a.bad, "id")), 7);
		lines_forget(&a);
	}
}

/* ---- What is told -------------------------------------------------------------- */

/* One line that is told: request for a look or a reply, effect for a reply or a notice. */
struct told {
	const char *line; /* a look */
	int request;      /* a reply to a request of this kind, or -1 */
	bool flag;
	struct effect effect; /* the reply, or the notice */
	const char *text;
	const char *is;
	int err; /* of a look that is NULL */
};

#define OK    "{\"v\":1,\"id\":7,\"ok\":true"
#define BAD   "{\"v\":1,\"id\":7,\"ok\":false,\"error\":"
#define EVENT "{\"v\":1,\"event\":"
#define ANNA                                                                                                 \
	"{\"name\":\"Anna\",\"mode\":\"call\",\"state\":\"met\",\"blocked\":false,\"linked\":true,"          \
	"\"asks_again\":false,\"held\":false,\"by_code\":false,\"paired\":5,\"waiting\":1,"                  \
	"\"stored_before\":2,\"next\":4,\"over\":"
#define LAN       "\"lan\""
#define BLUETOOTH "\"bluetooth\""
#define BEN                                                                                                  \
	"{\"name\":\"Ben\",\"mode\":\"answer\",\"state\":\"pending\",\"blocked\":true,\"linked\":false,"     \
	"\"asks_again\":true,\"held\":true,\"by_code\":true,\"paired\":0,\"waiting\":2,"                     \
	"\"stored_before\":2,\"next\":0"

static const struct message written[] = {
	{ .position = 0, .own = true, .claimed = 10, .content = { (const uint8_t *)"one", 3 } },
	{ .position = 1, .claimed = 11, .arrived = 12, .content = { (const uint8_t *)"two", 3 } },
	{ .position = 2, .own = true, .claimed = 13, .content = { (const uint8_t *)"three", 5 } },
	{ .position = 3, .kind = 9, .claimed = 14, .arrived = 15 },
};

static json_t *tell(const struct told *t, int *err)
{
	struct request request = { .kind = (enum request_kind)MAX(t->request, 0), .flag = t->flag };
	struct asked a;
	json_t *o;

	*err = 0;
	if (t->line != NULL) {
		const bool armed = failing_memory.armed;

		failing_memory.armed = false;
		lines_parse(&a, span_str(t->line));
		assert_int_equal(lines_kind(&a), LINES_LOOKS);
		failing_memory.armed = armed;
		o = lines_look(&a, NULL, err);
		failing_memory.armed = false;
		lines_forget(&a);
		return o;
	}
	if (t->request >= 0)
		return lines_reply(7, &request, &t->effect, span_str(t->text));
	return lines_event(NULL, &t->effect, span_str(t->text));
}

static void is(json_t *o, const char *text)
{
	char *dumped = json_dumps(o, JSON_COMPACT);

	assert_string_equal(dumped, text);
	free(dumped);
}

/* What t tells; and that it is the same or nothing when memory is short, wherever that is, once and for good.
 */
static void tells(const struct told *t)
{
	int err;
	json_t *o = tell(t, &err);

	assert_int_equal(err, t->err);
	if (t->is == NULL)
		assert_null(o);
	else
		is(o, t->is);
	json_decref(o);
	for (int on = 0; on <= 1; on++) {
		uint64_t at = 1;
		bool reached;

		do {
			failing_memory_arm(at++, on);
			o = tell(t, &err);
			reached = failing_memory.seen >= failing_memory.at;
			failing_memory.armed = false;
			if (o != NULL)
				is(o, t->is);
			json_decref(o);
		} while (reached);
		assert_true(at > 2 || t->is == NULL);
	}
}

static void each_look_is_whole(void **state)
{
	static const struct told looks[] = {
		{ ASKS("\"hello\""),
		  .is = OK ",\"program\":\"flyleaf\",\"version\":\"0.1.0\",\"protocol\":1}" },
		{ ASKS("\"status\""),
		  .is = OK ",\"contacts\":2,\"linked\":[\"Anna\"],\"waiting\":3,\"carriers\":["
		           "{\"carrier\":\"lan\",\"interface\":\"eth0\",\"family\":\"ipv4\",\"works\":true},"
		           "{\"carrier\":\"lan\",\"interface\":\"eth0\",\"family\":\"ipv6\",\"works\":false,"
		           "\"why\":\"switched off\"},"
		           "{\"carrier\":\"bluetooth\",\"interface\":\"hci0\",\"works\":true},"
		           "{\"carrier\":\"bluetooth\",\"interface\":\"\",\"works\":false,\"why\":\"gone\"}"
		           "],\"looking\":false,\"clock_wrong\":false,\"on_battery\":false,"
		           "\"room\":\"enough\"}" },
		{ ASKS("\"contacts\""), .is = OK ",\"contacts\":[" ANNA LAN "}," BEN "}]}" },
		{ ASKS("\"show\",\"name\":\"Anna\""),
		  .is = OK ",\"contact\":" ANNA LAN ",\"safety\":\"12345 67890\",\"restored\":true}}" },
		{ ASKS("\"show\",\"name\":\"Ben\""),
		  .is = OK ",\"contact\":" BEN ",\"safety\":\"\",\"restored\":false}}" },
		{ ASKS("\"show\",\"name\":\"Eve\""), .is = BAD "\"unknown-contact\",\"text\":\"-\"}" },
		{ ASKS("\"read\",\"name\":\"Eve\""), .is = BAD "\"unknown-contact\",\"text\":\"-\"}" },
		{ ASKS("\"read\",\"name\":\"Anna\",\"last\":0"), .is = OK ",\"messages\":[],\"next\":4}" },
		{ ASKS("\"read\",\"name\":\"Anna\""),
		  .is = OK
		  ",\"messages\":["
		  "{\"position\":0,\"own\":true,\"claimed\":10,\"text\":\"one\",\"state\":\"stored\"},"
		  "{\"position\":1,\"own\":false,\"claimed\":11,\"text\":\"two\",\"arrived\":12},"
		  "{\"position\":2,\"own\":true,\"claimed\":13,\"text\":\"three\",\"state\":\"waiting\"},"
		  "{\"position\":3,\"own\":false,\"claimed\":14,\"kind\":9,\"arrived\":15}],\"next\":4}" },
	};

	(void)state;
	world.messages = written;
	world.messages_len = COUNT_OF(written);
	for (size_t i = 0; i < COUNT_OF(looks); i++)
		tells(&looks[i]);
	world.messages_len = 0;
}

static void the_status_says_what_is_so(void **state)
{
	static const struct told status = {
		ASKS("\"status\""),
		.is = OK
		",\"contacts\":2,\"linked\":[\"Anna\"],\"waiting\":3,\"carriers\":[],\"looking\":true,"
		"\"clock_wrong\":true,\"on_battery\":true,\"room\":\"low\",\"report\":\"it was mended\"}"
	};

	static const struct told shown = { ASKS("\"show\",\"name\":\"Anna\""),
		                           .is = OK ",\"contact\":" ANNA BLUETOOTH
		                                    ",\"safety\":\"12345 67890\",\"restored\":true}}" };

	(void)state;
	world.true_ones = world.no_carrier = true;
	options.report = "it was mended";
	tells(&status);
	tells(&shown);
	world.true_ones = world.no_carrier = false;
	options.report = NULL;
}

/* The first message comes however long it is; what would be too much with it is read next time. */
static void a_reply_has_a_bound(void **state)
{
	static uint8_t text[LINES_READ_BYTES];
	const struct message messages[] = {
		{ .position = 0, .content = { text, sizeof(text) } },
		{ .position = 1, .content = { text, 1 } },
	};
	const struct told read = { ASKS("\"read\",\"name\":\"Anna\""), .err = 0 };
	json_t *o;
	int err;

	(void)state;
	memset(text, 'x', sizeof(text));
	world.messages = messages;
	world.messages_len = 2;
	o = tell(&read, &err);
	assert_int_equal(json_array_size(json_object_get(o, "messages")), 1);
	assert_int_equal(json_integer_value(json_object_get(o, "next")), 1);
	json_decref(o);
	world.store_fails = ERR_IO;
	assert_null(tell(&read, &err));
	assert_int_equal(err, ERR_IO);
	world.store_fails = 0;
	world.messages_len = 0;
}

static void each_reply_is_whole(void **state)
{
	static const struct told replies[] = {
		{ .request = REQ_SEND,
		  .effect = { .code = REPLY_OK, .number = 3 },
		  .text = "",
		  .is = OK ",\"position\":3}" },
		{ .request = REQ_FORGET, .effect = { .code = REPLY_OK }, .text = "", .is = OK "}" },
		{ .request = REQ_PAIR_SHOW,
		  .effect = { .code = REPLY_OK },
		  .text = "1 a b c",
		  .is = OK ",\"code\":\"1 a b c\"}" },
		{ .request = REQ_PAIR_SHOW,
		  .flag = true,
		  .effect = { .code = REPLY_OK },
		  .text = "Q",
		  .is = OK ",\"qr\":\"Q\"}" },
		{ .request = REQ_PAIR_BOTH,
		  .effect = { .code = REPLY_OK },
		  .text = "Q",
		  .is = OK ",\"qr\":\"Q\"}" },
		{ .request = REQ_PAIR_BOTH, .effect = { .code = REPLY_OK }, .text = "", .is = OK "}" },
		{ .request = REQ_SEND,
		  .effect = { .code = REPLY_UNKNOWN },
		  .text = "",
		  .is = BAD "\"unknown-contact\",\"text\":\"-\"}" },
		{ .request = REQ_SEND,
		  .effect = { .code = REPLY_UNKNOWN },
		  .text = "nobody here",
		  .is = BAD "\"unknown-contact\",\"text\":\"nobody here\"}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(replies); i++)
		tells(&replies[i]);
}

static void each_event_is_whole(void **state)
{
	static const struct told events[] = {
		{ .request = -1,
		  .effect = { .notice = NOTICE_MESSAGE, .contact = 2, .number = 4 },
		  .text = "",
		  .is = EVENT "\"message\",\"name\":\"Ben\",\"from\":4}" },
		{ .request = -1,
		  .effect = { .notice = NOTICE_LINKED, .contact = 9 },
		  .text = "",
		  .is = EVENT "\"linked\"}" }, /* forgotten in the same turn */
		{ .request = -1,
		  .effect = { .notice = NOTICE_PAIR_TALKING },
		  .text = "",
		  .is = EVENT "\"pair\",\"state\":\"talking\"}" },
		{ .request = -1,
		  .effect = { .notice = NOTICE_PAIR_COMPARE, .contact = 1 },
		  .text = "12345",
		  .is = EVENT "\"pair\",\"state\":\"compare\",\"name\":\"Anna\",\"safety\":\"12345\"}" },
		{ .request = -1,
		  .effect = { .notice = NOTICE_PAIR_FAILED, .number = 2 },
		  .text = "too late",
		  .is = EVENT "\"pair\",\"state\":\"failed\",\"reason\":2,\"text\":\"too late\"}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(events); i++)
		tells(&events[i]);
}

static void what_room_there_is_is_whole(void **state)
{
	(void)state;
	for (uint64_t at = 1, more = 1; more != 0; at++) {
		json_t *o;

		failing_memory_arm(at, false);
		o = lines_room(LOOP_ROOM_NONE);
		more = failing_memory.seen >= at;
		failing_memory.armed = false;
		if (o != NULL)
			is(o, EVENT "\"room\",\"room\":\"none\"}");
		else
			assert_true(more != 0);
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_takes_its_fields),
		cmocka_unit_test(a_field_of_another_kind_is_refused),
		cmocka_unit_test(each_look_is_whole),
		cmocka_unit_test(the_status_says_what_is_so),
		cmocka_unit_test(a_reply_has_a_bound),
		cmocka_unit_test(each_reply_is_whole),
		cmocka_unit_test(each_event_is_whole),
		cmocka_unit_test(what_room_there_is_is_whole),
	};

	object_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
