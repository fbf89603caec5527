#include "tests/bluetooth/tie.h"

#include <string.h>
#include <unistd.h>

static json_t *contact_of(struct tie *t)
{
	json_t *reply = device_ask(t->at, json_pack("{s:s}", "do", "contacts")), *c, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(reply, "contacts"), i, c)
	{
		const char *name = json_string_value(json_object_get(c, "name"));

		if (name != NULL && strcmp(name, t->other) == 0)
			found = json_incref(c);
	}
	json_decref(reply);
	return found;
}

static bool says(struct tie *t, const char *key, const char *text)
{
	json_t *c = contact_of(t);
	const char *value = json_string_value(json_object_get(c, key));
	const bool yes = value != NULL && strcmp(value, text) == 0;

	json_decref(c);
	return yes;
}

static bool is_pending(struct tie *t)
{
	return says(t, "state", "pending");
}

bool tie_is_over(struct tie *t, const char *carrier)
{
	return says(t, "over", carrier);
}

bool tie_is_linked(struct tie *t)
{
	json_t *c = contact_of(t);
	const bool yes = json_is_true(json_object_get(c, "linked"));

	json_decref(c);
	return yes;
}

static bool nothing_waits(struct tie *t)
{
	json_t *c = contact_of(t);
	const bool yes = json_integer_value(json_object_get(c, "waiting")) == 0;

	json_decref(c);
	return yes;
}

void tie_print(struct tie *t)
{
	json_t *status = device_ask(t->at, json_pack("{s:s}", "do", "status")), *c = contact_of(t);

	json_dumpf(status, stdout, 0);
	json_dumpf(c, stdout, 0);
	puts("");
	json_decref(status);
	json_decref(c);
}

void tie_wait(bool (*is)(struct tie *t), struct tie *t, const char *what)
{
	const double until = device_now_s() + DEVICE_PATIENCE_S;

	while (!is(t)) {
		if (device_now_s() > until) {
			tie_print(t);
			device_fail("%s: not within %d s: %s", t->at->name, DEVICE_PATIENCE_S, what);
		}
		usleep(50000);
	}
}

static void confirm(struct tie *t)
{
	device_demand(t->at, json_pack("{s:s, s:s, s:b}", "do", "pair_confirm", "name", t->other, "same", 1));
}

void tie_mode(struct tie *t, const char *mode)
{
	device_demand(t->at, json_pack("{s:s, s:s, s:s}", "do", "mode", "name", t->other, "mode", mode));
}

void tie_pair(struct tie *a, struct tie *b)
{
	json_t *shown;
	double began;
	const char *code;

	a->peer = b;
	b->peer = a;
	device_wait_for_radio(a->at, true);
	device_wait_for_radio(b->at, true);
	began = device_now_s();
	shown = device_ask(a->at, json_pack("{s:s, s:s, s:b}", "do", "pair_show", "name", a->other, "qr", 0));
	code = json_string_value(json_object_get(shown, "code"));
	if (code == NULL)
		device_fail("%s shows no code", a->at->name);
	device_demand(b->at,
	              json_pack("{s:s, s:s, s:s}", "do", "pair_enter", "name", b->other, "code", code));
	json_decref(shown);
	tie_wait(is_pending, a, "pairing");
	tie_wait(is_pending, b, "pairing");
	printf("%s and %s have paired by a spoken code after %.1f s\n", a->at->name, b->at->name,
	       device_now_s() - began);
	confirm(a);
	confirm(b);
	tie_mode(a, "call");
}

void tie_begin(struct tie *a, struct tie *b)
{
	device_init(a->at);
	device_start(a->at);
	device_init(b->at);
	device_start(b->at);
	tie_pair(a, b);
}

static void text_of(char *out, const struct tie *t, unsigned number)
{
	const int len = snprintf(out, TIE_LONGEST + 1,
	                         "%s writes number %u: nothing new here, the way along the river is open "
	                         "again, see you at the usual place",
	                         t->at->name, number);

	if (number % 500 == 100) {
		memset(out + len, 'x', TIE_LONGEST - (size_t)len);
		out[TIE_LONGEST] = '\0';
	}
}

void tie_write(struct tie *t, unsigned n)
{
	static char text[TIE_LONGEST + 1];

	for (; n > 0; n--) {
		text_of(text, t, t->written++);
		device_demand(t->at,
		              json_pack("{s:s, s:s, s:s}", "do", "send", "name", t->other, "text", text));
	}
}

/* The messages of the other in one part of the conversation: they go on with number next. */
static unsigned look_at(struct tie *t, const json_t *messages, unsigned next)
{
	static char text[TIE_LONGEST + 1];
	const json_t *m;
	size_t i;

	json_array_foreach(messages, i, m)
	{
		const char *found = json_string_value(json_object_get(m, "text"));

		if (json_is_true(json_object_get(m, "own")))
			continue;
		text_of(text, t->peer, next);
		if (found == NULL || strcmp(found, text) != 0)
			device_fail("%s has \"%.60s\" where number %u of %s should be", t->at->name, found,
			            next, t->peer->at->name);
		next++;
	}
	return next;
}

static void look(struct tie *t)
{
	unsigned next = 0;
	json_int_t from = 0;

	for (bool more = true; more;) {
		json_t *reply = device_ask(t->at, json_pack("{s:s, s:s, s:I}", "do", "read", "name", t->other,
		                                            "from", from));
		const json_t *messages = json_object_get(reply, "messages");
		const json_int_t end = json_integer_value(json_object_get(reply, "next"));

		next = look_at(t, messages, next);
		more = json_array_size(messages) > 0 && end > from;
		from = end;
		json_decref(reply);
	}
	if (next != t->peer->written)
		device_fail("%s has %u of the %u messages of %s", t->at->name, next, t->peer->written,
		            t->peer->at->name);
}

void tie_audit(struct tie *a, struct tie *b)
{
	tie_wait(nothing_waits, a, "everything to be stored");
	tie_wait(nothing_waits, b, "everything to be stored");
	look(a);
	look(b);
}
