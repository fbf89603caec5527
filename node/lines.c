#include "node/lines.h"

#include "node/object.h"
#include "store/messages.h"

enum { PROTOCOL_VERSION = 1, NAME_TYPED_MAX = 256, CODE_TYPED_MAX = 512, READ_USUAL = 50 };

/* ---- The tables ------------------------------------------------------------ */

enum field { F_NAME, F_TEXT, F_TO, F_CODE, F_MODE, F_ON, F_QR, F_SAME, F_FROM, F_LAST, F_LIMIT, FIELDS };

enum field_kind { FIELD_TEXT, FIELD_BOOL, FIELD_NUMBER, FIELD_MODE };

static const struct {
	const char *key;
	enum field_kind kind;
	json_int_t max; /* bytes of a text (a line bounds what has none here), or the largest number */
} fields[FIELDS] = {
	[F_NAME] = { "name", FIELD_TEXT, NAME_TYPED_MAX },
	[F_TEXT] = { "text", FIELD_TEXT, 0 },
	[F_TO] = { "to", FIELD_TEXT, NAME_TYPED_MAX },
	[F_CODE] = { "code", FIELD_TEXT, CODE_TYPED_MAX },
	[F_MODE] = { "mode", FIELD_MODE, 0 },
	[F_ON] = { "on", FIELD_BOOL, 0 },
	[F_QR] = { "qr", FIELD_BOOL, 0 },
	[F_SAME] = { "same", FIELD_BOOL, 0 },
	[F_FROM] = { "from", FIELD_NUMBER, POSITION_MAX },
	[F_LAST] = { "last", FIELD_NUMBER, LINES_READ_MAX },
	[F_LIMIT] = { "limit", FIELD_NUMBER, LINES_READ_MAX },
};

static const char *const modes[] = {
	[MODE_ANSWER] = "answer", [MODE_CALL] = "call", [MODE_SILENT] = "silent"
};

static const char *const states[] = {
	[CONTACT_PENDING] = "pending", [CONTACT_CONFIRMED] = "confirmed", [CONTACT_MET] = "met"
};

static const char *const rooms[] = {
	[LOOP_ROOM_ENOUGH] = "enough", [LOOP_ROOM_LOW] = "low", [LOOP_ROOM_NONE] = "none"
};

struct word {
	const char *word;
	enum lines_kind kind;
	enum request_kind request;                                               /* LINES_CHANGES */
	int (*look)(json_t *reply, const struct asked *a, const struct loop *l); /* LINES_LOOKS */
	unsigned needs, may;                                                     /* BIT(enum field) */
};

static int look_hello(json_t *reply, const struct asked *a, const struct loop *l);
static int look_status(json_t *reply, const struct asked *a, const struct loop *l);
static int look_contacts(json_t *reply, const struct asked *a, const struct loop *l);
static int look_show(json_t *reply, const struct asked *a, const struct loop *l);
static int look_read(json_t *reply, const struct asked *a, const struct loop *l);

static const struct word table[] = {
	{ "hello", LINES_LOOKS, 0, look_hello, 0, 0 },
	{ "status", LINES_LOOKS, 0, look_status, 0, 0 },
	{ "contacts", LINES_LOOKS, 0, look_contacts, 0, 0 },
	{ "show", LINES_LOOKS, 0, look_show, BIT(F_NAME), 0 },
	{ "read", LINES_LOOKS, 0, look_read, BIT(F_NAME), BIT(F_FROM) | BIT(F_LAST) | BIT(F_LIMIT) },
	{ "send", LINES_CHANGES, REQ_SEND, NULL, BIT(F_NAME) | BIT(F_TEXT), 0 },
	{ "mode", LINES_CHANGES, REQ_MODE, NULL, BIT(F_NAME) | BIT(F_MODE), 0 },
	{ "rename", LINES_CHANGES, REQ_RENAME, NULL, BIT(F_NAME) | BIT(F_TO), 0 },
	{ "block", LINES_CHANGES, REQ_BLOCK, NULL, BIT(F_NAME) | BIT(F_ON), 0 },
	{ "forget", LINES_CHANGES, REQ_FORGET, NULL, BIT(F_NAME), 0 },
	{ "look", LINES_CHANGES, REQ_LOOK, NULL, BIT(F_ON), 0 },
	{ "pair_show", LINES_CHANGES, REQ_PAIR_SHOW, NULL, BIT(F_NAME) | BIT(F_QR), 0 },
	{ "pair_enter", LINES_CHANGES, REQ_PAIR_ENTER, NULL, BIT(F_NAME) | BIT(F_CODE), 0 },
	{ "pair_both", LINES_CHANGES, REQ_PAIR_BOTH, NULL, BIT(F_NAME), BIT(F_TEXT) },
	{ "pair_cancel", LINES_CHANGES, REQ_PAIR_CANCEL, NULL, 0, 0 },
	{ "pair_confirm", LINES_CHANGES, REQ_PAIR_CONFIRM, NULL, BIT(F_NAME) | BIT(F_SAME), 0 },
	{ "start_again", LINES_CHANGES, REQ_START_AGAIN, NULL, BIT(F_NAME), 0 },
	{ "follow", LINES_FOLLOW, 0, NULL, 0, 0 },
	{ "lock", LINES_LOCK, 0, NULL, 0, 0 },
};

/* ---- Reading --------------------------------------------------------------- */

/* Counts brackets outside of strings: the parser below recurses. */
static bool is_shallow(struct span line)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < line.len; i++) {
		const uint8_t c = line.p[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '[') && ++depth > LINES_DEPTH_MAX)
			return false;
		else if (!in_string && (c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return true;
}

static int mode_of(const char *text)
{
	for (size_t i = 0; text != NULL && i < COUNT_OF(modes); i++)
		if (strcmp(text, modes[i]) == 0)
			return (int)i;
	return -1;
}

static bool field_fits(enum field f, const json_t *v)
{
	switch (fields[f].kind) {
	case FIELD_TEXT:
		return json_typeof(v) == JSON_STRING &&
		       (fields[f].max == 0 || json_string_length(v) <= (size_t)fields[f].max);
	case FIELD_BOOL:
		return json_typeof(v) == JSON_TRUE || json_typeof(v) == JSON_FALSE;
	case FIELD_NUMBER:
		return json_typeof(v) == JSON_INTEGER && json_integer_value(v) >= 0 &&
		       json_integer_value(v) <= fields[f].max;
	case FIELD_MODE:
		return mode_of(json_string_value(v)) >= 0;
	}
	return false;
}

static const json_t *field(const struct asked *a, enum field f)
{
	return json_object_get(a->root, fields[f].key);
}

static struct span field_span(const struct asked *a, enum field f)
{
	const json_t *v = field(a, f);

	return span_from(json_string_value(v), json_string_length(v));
}

static json_int_t field_number(const struct asked *a, enum field f, json_int_t none)
{
	const json_t *v = field(a, f);

	return v == NULL ? none : json_integer_value(v);
}

/* The fields that the word needs or may have, and no other. */
static bool fields_fit(const json_t *root, const struct word *w)
{
	size_t known = 3; /* v, id, do */

	for (unsigned f = 0; f < FIELDS; f++) {
		const json_t *v = json_object_get(root, fields[f].key);

		if (v == NULL && (w->needs & BIT(f)) != 0)
			return false;
		if (v == NULL)
			continue;
		if (((w->needs | w->may) & BIT(f)) == 0 || !field_fits(f, v))
			return false;
		known++;
	}
	return json_object_size(root) == known;
}

static const struct word *find_word(const char *text)
{
	for (size_t i = 0; i < COUNT_OF(table); i++)
		if (strcmp(table[i].word, text) == 0)
			return &table[i];
	return NULL;
}

static void fill_request(struct asked *a)
{
	const enum request_kind kind = a->word->request;

	a->request.kind = kind;
	a->request.name = field_span(a, F_NAME);
	a->request.text = field_span(a, kind == REQ_RENAME ? F_TO : kind == REQ_PAIR_ENTER ? F_CODE : F_TEXT);
	if (kind == REQ_MODE)
		a->request.mode = (enum contact_mode)mode_of(json_string_value(field(a, F_MODE)));
	a->request.flag = json_is_true(field(a, F_ON)) || json_is_true(field(a, F_QR)) ||
	                  json_is_true(field(a, F_SAME));
}

void lines_parse(struct asked *out, struct span line)
{
	const json_t *id, *word;
	int r = OBJECT_MALFORMED;

	*out = (struct asked){ 0 };
	if (is_shallow(line))
		r = object_load(&out->root, line, JSON_REJECT_DUPLICATES);
	if (r < 0) {
		out->bad = lines_error(0, "failed", err_str(r));
		return;
	}
	id = json_object_get(out->root, "id");
	if (json_is_integer(id) && json_integer_value(id) >= 0)
		out->id = json_integer_value(id);
	else
		id = NULL;
	word = json_object_get(out->root, "do");
	if (id == NULL || !json_is_string(word) ||
	    json_integer_value(json_object_get(out->root, "v")) != LINES_VERSION) {
		out->bad = lines_error(out->id, "bad-request", "this is not a request of version 1");
		return;
	}
	out->word = find_word(json_string_value(word));
	if (out->word == NULL) {
		out->bad = lines_error(out->id, "unknown-request", "there is no such request");
	} else if (!fields_fit(out->root, out->word)) {
		out->word = NULL;
		out->bad = lines_error(out->id, "bad-request",
		                       "a field is missing, unknown or out of its bounds");
	} else {
		fill_request(out);
	}
}

void lines_forget(struct asked *a)
{
	json_decref(a->root);
	json_decref(a->bad);
	*a = (struct asked){ 0 };
}

enum lines_kind lines_kind(const struct asked *a)
{
	return a->word->kind;
}

/* ---- Telling --------------------------------------------------------------- */

json_t *lines_ok(json_int_t id)
{
	return json_pack("{s:i, s:I, s:b}", "v", LINES_VERSION, "id", id, "ok", 1);
}

json_t *lines_error(json_int_t id, const char *word, const char *text)
{
	return json_pack("{s:i, s:I, s:b, s:s, s:s}", "v", LINES_VERSION, "id", id, "ok", 0, "error", word,
	                 "text", text);
}

static int set_text(json_t *o, const char *key, struct span text)
{
	return json_object_set_new(o, key, json_stringn((const char *)text.p, text.len));
}

/* The object, or NULL where a part of it could not be made: a face is told all or nothing. */
static json_t *whole(json_t *o, int result)
{
	if (result == 0)
		return o;
	json_decref(o);
	return NULL;
}

json_t *lines_reply(json_int_t id, const struct request *request, const struct effect *e, struct span text)
{
	json_t *reply = e->code == REPLY_OK ? lines_ok(id)
	                                    : lines_error(id, reply_word(e->code), reply_text(e->code));
	const char *key = NULL;
	int r = 0;

	if (e->code != REPLY_OK) /* the core may have said it more closely */
		return whole(reply, text.len > 0 ? set_text(reply, "text", text) : 0);
	if (request->kind == REQ_SEND)
		r = json_object_set_new(reply, "position", json_integer(e->number));
	else if (request->kind == REQ_PAIR_SHOW)
		key = request->flag ? "qr" : "code";
	else if (request->kind == REQ_PAIR_BOTH)
		key = "qr";
	if (key != NULL && text.len > 0)
		r = set_text(reply, key, text);
	return whole(reply, r);
}

static bool view_of(struct contact_view *out, const struct node *n, uint32_t contact)
{
	const size_t count = node_contact_count(n);

	for (size_t i = 0; i < count; i++) {
		node_contact_view(n, i, out);
		if (out->record->id == contact)
			return true;
	}
	return false;
}

static const struct {
	const char *event;
	const char *state;  /* of a pairing */
	const char *number; /* the key of the notice's number */
	const char *text;   /* and of its text */
} notices[] = {
	[NOTICE_MESSAGE] = { "message", NULL, "from", NULL },
	[NOTICE_STORED] = { "stored", NULL, "before", NULL },
	[NOTICE_LINKED] = { "linked", NULL, NULL, NULL },
	[NOTICE_UNLINKED] = { "unlinked", NULL, NULL, NULL },
	[NOTICE_PAIR_TALKING] = { "pair", "talking", NULL, NULL },
	[NOTICE_PAIR_COMPARE] = { "pair", "compare", NULL, "safety" },
	[NOTICE_PAIR_FAILED] = { "pair", "failed", "reason", "text" },
	[NOTICE_ASKS_AGAIN] = { "asks_again", NULL, NULL, NULL },
	[NOTICE_LOOK_ENDED] = { "look_ended", NULL, NULL, NULL },
	[NOTICE_CONTACTS] = { "contacts", NULL, NULL, NULL },
	[NOTICE_HELD] = { "held", NULL, NULL, NULL },
	[NOTICE_CLOCK] = { "clock", NULL, NULL, NULL },
};

static json_t *event(const char *word)
{
	return json_pack("{s:i, s:s}", "v", LINES_VERSION, "event", word);
}

json_t *lines_event(const struct loop *l, const struct effect *e, struct span text)
{
	json_t *o = event(notices[e->notice].event);
	struct contact_view view;
	int r = 0;

	if (notices[e->notice].state != NULL)
		r |= json_object_set_new(o, "state", json_string(notices[e->notice].state));
	if (e->contact != 0 && view_of(&view, loop_node(l), e->contact))
		r |= json_object_set_new(o, "name", json_string(view.record->name));
	if (notices[e->notice].number != NULL)
		r |= json_object_set_new(o, notices[e->notice].number, json_integer(e->number));
	if (notices[e->notice].text != NULL)
		r |= set_text(o, notices[e->notice].text, text);
	return whole(o, r);
}

json_t *lines_room(enum loop_room room)
{
	json_t *o = event("room");

	return whole(o, json_object_set_new(o, "room", json_string(rooms[room])));
}

json_t *lines_locked(void)
{
	return event("locked");
}

/* ---- Looking --------------------------------------------------------------- */

/* Each fills the reply. Returns 0, -1 for out of memory (jansson's word), an enum err, or 1: no such contact.
 */
enum { NO_CONTACT = 1 };

json_t *lines_look(const struct asked *a, const struct loop *l, int *err)
{
	json_t *reply = lines_ok(a->id);
	const int r = reply == NULL ? ERR_NOMEM : a->word->look(reply, a, l);

	*err = MIN(r, 0);
	if (r == 0)
		return reply;
	json_decref(reply);
	return r == NO_CONTACT ? lines_error(a->id, reply_word(REPLY_UNKNOWN), reply_text(REPLY_UNKNOWN))
	                       : NULL;
}

static int look_hello(json_t *reply, const struct asked *a, const struct loop *l)
{
	(void)a;
	(void)l;
	return json_object_set_new(reply, "program", json_string("flyleaf")) |
	       json_object_set_new(reply, "version", json_string(FLYLEAF_VERSION)) |
	       json_object_set_new(reply, "protocol", json_integer(PROTOCOL_VERSION));
}

static int add_carrier(json_t *list, json_t *o, const char *why_not)
{
	int r = json_object_set_new(o, "works", json_boolean(why_not == NULL));

	if (why_not != NULL)
		r |= json_object_set_new(o, "why", json_string(why_not));
	return json_array_append_new(list, whole(o, r));
}

static int add_lan(json_t *list, const struct lan *lan)
{
	struct lan_status status[INTERFACES_MAX];
	const size_t n = lan != NULL ? lan_status(lan, status) : 0;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		r |= add_carrier(list,
		                 json_pack("{s:s, s:s, s:s}", "carrier", "lan", "interface", status[i].name,
		                           "family", status[i].ipv6 ? "ipv6" : "ipv4"),
		                 status[i].why_not);
	return r;
}

static int add_bluetooth(json_t *list, const struct bluetooth *bluetooth)
{
	struct bluetooth_status status[RADIOS_MAX];
	const size_t n = bluetooth != NULL ? bluetooth_status(bluetooth, status) : 0;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		r |= add_carrier(list,
		                 json_pack("{s:s, s:s}", "carrier", "bluetooth", "interface", status[i].name),
		                 status[i].why_not);
	return r;
}

static json_t *carriers(const struct loop *l)
{
	json_t *list = json_array();
	const int r = add_lan(list, loop_lan(l)) | add_bluetooth(list, loop_bluetooth(l));

	return whole(list, r);
}

static int look_status(json_t *reply, const struct asked *a, const struct loop *l)
{
	const struct node *n = loop_node(l);
	const size_t count = node_contact_count(n);
	json_t *linked = json_array();
	json_int_t waiting = 0;
	int r = 0;

	(void)a;
	for (size_t i = 0; i < count; i++) {
		struct contact_view v;

		node_contact_view(n, i, &v);
		waiting += v.waiting;
		if (v.linked)
			r |= json_array_append_new(linked, json_string(v.record->name));
	}
	return json_object_set_new(reply, "contacts", json_integer((json_int_t)count)) |
	       json_object_set_new(reply, "linked", whole(linked, r)) |
	       json_object_set_new(reply, "waiting", json_integer(waiting)) |
	       json_object_set_new(reply, "carriers", carriers(l)) |
	       json_object_set_new(reply, "looking", json_boolean(node_is_looking(n))) |
	       json_object_set_new(reply, "clock_wrong", json_boolean(node_clock_is_wrong(n))) |
	       json_object_set_new(reply, "on_battery", json_boolean(loop_on_battery(l))) |
	       json_object_set_new(reply, "room", json_string(rooms[loop_room(l)])) |
	       (loop_options(l)->report == NULL
	                ? 0
	                : json_object_set_new(reply, "report", json_string(loop_options(l)->report)));
}

static json_t *contact_json(const struct contact_view *v)
{
	const struct contact_record *r = v->record;

	json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I}", "name", r->name,
	                      "mode", modes[r->mode], "state", states[r->state], "blocked", r->blocked,
	                      "linked", v->linked, "asks_again", v->asks_again, "held", v->held, "by_code",
	                      r->by_code, "paired", (json_int_t)r->paired_at, "waiting",
	                      (json_int_t)v->waiting, "stored_before", (json_int_t)v->stored_before, "next",
	                      (json_int_t)v->next_position);
	const char *over = v->by_bluetooth ? "bluetooth" : "lan";

	return whole(o, v->linked ? json_object_set_new(o, "over", json_string(over)) : 0);
}

static int look_contacts(json_t *reply, const struct asked *a, const struct loop *l)
{
	const struct node *n = loop_node(l);
	const size_t count = node_contact_count(n);
	json_t *list = json_array();
	int r = 0;

	(void)a;
	for (size_t i = 0; i < count; i++) {
		struct contact_view v;

		node_contact_view(n, i, &v);
		r |= json_array_append_new(list, contact_json(&v));
	}
	return json_object_set_new(reply, "contacts", whole(list, r));
}

static bool named(struct contact_view *out, const struct asked *a, const struct node *n)
{
	const int i = node_contact_find(n, field_span(a, F_NAME));

	if (i >= 0)
		node_contact_view(n, (size_t)i, out);
	return i >= 0;
}

static int look_show(json_t *reply, const struct asked *a, const struct loop *l)
{
	struct contact_view v;
	json_t *contact;

	if (!named(&v, a, loop_node(l)))
		return NO_CONTACT;
	contact = contact_json(&v);
	return json_object_set_new(contact, "safety", json_string(v.record->safety)) |
	       json_object_set_new(contact, "restored", json_boolean(v.record->restored)) |
	       json_object_set_new(reply, "contact", contact);
}

struct reading {
	json_t *list; /* borrowed */
	int64_t stored_before, next;
	size_t bytes;
};

enum { READ_ENOUGH = 1 };

static int read_one(void *arg, const struct message *m)
{
	struct reading *r = arg;
	json_t *o;
	int e;

	if (json_array_size(r->list) > 0 && r->bytes + m->content.len > LINES_READ_BYTES)
		return READ_ENOUGH;
	o = json_pack("{s:I, s:b, s:I}", "position", (json_int_t)m->position, "own", m->own, "claimed",
	              (json_int_t)m->claimed);
	if (m->kind == 0)
		e = set_text(o, "text", m->content);
	else
		e = json_object_set_new(o, "kind", json_integer(m->kind));
	if (m->own)
		e |= json_object_set_new(o, "state",
		                         json_string(m->position < r->stored_before ? "stored" : "waiting"));
	else
		e |= json_object_set_new(o, "arrived", json_integer((json_int_t)m->arrived));
	r->bytes += m->content.len;
	r->next = m->position + 1;
	return json_array_append_new(r->list, whole(o, e)) == 0 ? 0 : ERR_NOMEM;
}

static int look_read(json_t *reply, const struct asked *a, const struct loop *l)
{
	struct contact_view v;
	struct reading r = { .list = json_array() };
	const json_int_t last = field_number(a, F_LAST, READ_USUAL);
	int64_t from;
	int err;

	if (json_object_set_new(reply, "messages", r.list) != 0) /* and the list is gone */
		return ERR_NOMEM;
	if (!named(&v, a, loop_node(l)))
		return NO_CONTACT;
	from = field_number(a, F_FROM, MAX(v.next_position - last, 0));
	r.next = from;
	r.stored_before = v.stored_before;
	err = messages_each(loop_store(l), v.record->id, from, field_number(a, F_LIMIT, LINES_READ_MAX),
	                    read_one, &r);
	if (err < 0)
		return err;
	return json_object_set_new(reply, "next", json_integer(r.next));
}
