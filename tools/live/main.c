/*
 * flyleaf-sim-live: the people of a scenario, to be paired with and written to. See flyleaf-sim(1).
 *
 * Whoever is online shows a code, and a new one as soon as that is spent; confirms whoever has entered it,
 * calls, answers what is written, and writes as often as the scenario says. All of it happens in one timer.
 */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/messages.h"
#include "tools/live/resident.h"
#include "tools/sim/dice.h"
#include "tools/sim/scenario.h"

enum {
	PEOPLE_MAX = 64, /* who can be joined at a time */
	PEOPLE_USUAL = 4,
	TESTERS_MAX = 16, /* testers of one person */
	LINE_LEN_MAX = 4096,
	CRASHED_S = 3,
	QUOTE_MAX = 60,
	SAY_MAX = 2000,
	TURN_MS = 200,
	LOOK_FIRST_MS = 1000,
	LOOK_LAST_MS = 60000,
	MILLION = 1000000,
};
#define DAY_MS 86400000

static const char usage[] =
        "usage: flyleaf-sim live SCENARIO [--people N] [--interfaces NAME=ADDRESS,...] [--day TIME]\n"
        "\n"
        "Puts the first people of a scenario on this machine's network, in real time, so that your own\n"
        "flyleaf can pair with them and chat. Give it another address: flyleaf run --interfaces "
        "lo=127.0.0.2\n"
        "\n"
        "  --people N            how many, up to 64 (4)\n"
        "  --interfaces LIST     where each of them is (lo=127.0.1.1,lo=127.0.1.2,...); whoever has no\n"
        "                        address stays away\n"
        "  --day TIME            how long a day of the scenario lasts, as 90s, 10m or 2h (24h)\n"
        "\n"
        "Commands: list; code NAME; say NAME TEXT; offline NAME; online NAME; crash NAME; quit.\n"
        "What is written to them is answered. All of it is forgotten at the end.\n";

/* One tester, as somebody's contact. */
struct tester {
	uint32_t id;
	int64_t answered; /* all before this position is */
};

struct soul {
	struct resident resident;
	char interface[64];
	const char *interfaces[1];
	bool shows; /* a code */
	char code[RESIDENT_TEXT_MAX];
	unsigned names; /* of testers, given so far */
	struct tester testers[TESTERS_MAX];
	size_t testers_len;
	uint64_t write_ms; /* when it writes by itself; UINT64_MAX: never */
	uint64_t rate_ppm; /* messages a day */
	struct range bytes;
	uint64_t back_ms;                /* after a crash; 0: none */
	uint64_t look_ms, look_again_ms; /* when it looks for its testers, and how long after that again */
};

struct live {
	uv_loop_t uv;
	uv_timer_t turn;
	uv_poll_t input;
	uv_signal_t signals[2];
	bool reads, ending;
	char line[LINE_LEN_MAX];
	size_t line_len;
	bool line_skipped;
	struct dice dice;
	uint64_t day_ms;
	struct soul *souls; /* owned */
	size_t souls_len;
	struct scenario scenario;
	int failure;
};

struct options {
	const char *scenario, *interfaces;
	uint64_t people, day_ms;
};

/* ---- Saying ----------------------------------------------------------------- */

static uint64_t now_ms(const struct live *l)
{
	return uv_now(&l->uv);
}

static const char *const sentences[] = {
	"I was at the soup kitchen today.", "Is the office open tomorrow?", "The rain has stopped.",
	"I will be there at ten.",          "Could you bring the form?",    "Somebody asked about you.",
	"It is quieter here now.",          "Thank you for yesterday.",     "I have found a dry place.",
	"Tell me when you are near.",
};

/* Sentences of about len bytes. */
static size_t compose(struct live *l, char out[static SAY_MAX], size_t len)
{
	size_t used = 0;

	do {
		const char *s = sentences[dice_below(&l->dice, COUNT_OF(sentences))];

		if (used + strlen(s) + 2 > SAY_MAX)
			break;
		used += (size_t)snprintf(out + used, SAY_MAX - used, "%s%s", used == 0 ? "" : " ", s);
	} while (used < len);
	return used;
}

static void send_text(struct soul *s, uint32_t contact, struct span text)
{
	struct contact_view view;

	for (size_t i = 0; i < node_contact_count(s->resident.node); i++) {
		char name[CONTACT_NAME_MAX + 1];

		node_contact_view(s->resident.node, i, &view);
		if (view.record->id != contact)
			continue;
		snprintf(name, sizeof(name), "%s", view.record->name);
		(void)resident_ask(&s->resident, &(struct request){ .kind = REQ_SEND,
		                                                    .name = span_str(name),
		                                                    .text = text });
		return;
	}
}

/* What somebody has written, until it is answered. */
struct unanswered {
	int64_t next;
	bool found;
	char text[QUOTE_MAX + 1];
};

/* Not within a character, and none that would end a line or move on a terminal. */
static void quote(char out[static QUOTE_MAX + 1], struct span text)
{
	size_t n = MIN(text.len, (size_t)QUOTE_MAX);

	while (n > 0 && n < text.len && (text.p[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = text.p[i] < ' ' || text.p[i] == 0x7f ? ' ' : (char)text.p[i];
	out[n] = '\0';
}

static int found_message(void *arg, const struct message *m)
{
	struct unanswered *u = arg;

	u->next = m->position + 1;
	u->found = !m->own && m->kind == 0;
	if (u->found)
		quote(u->text, m->content);
	return 0;
}

static void answer(struct live *l, struct soul *s, struct tester *t)
{
	struct unanswered u = { .next = t->answered };
	char text[SAY_MAX], rest[SAY_MAX];
	int len;

	do {
		u.found = false;
		l->failure =
		        messages_each(s->resident.device.store, t->id, t->answered, 1, found_message, &u);
		if (l->failure != 0 || u.next == t->answered)
			return;
		t->answered = u.next;
	} while (!u.found);
	printf("%s reads: %s\n", s->resident.name, u.text);
	compose(l, rest, 1);
	len = snprintf(text, sizeof(text), "You wrote \"%s\". %s", u.text, rest);
	send_text(s, t->id, span_from(text, (size_t)len));
}

/* Times between what happens at this rate are drawn even, from nothing to twice as long. */
static void write_later(struct live *l, struct soul *s)
{
	const uint64_t mean_ms = s->rate_ppm == 0 ? 0 : l->day_ms * MILLION / s->rate_ppm;

	s->write_ms = s->rate_ppm == 0 ? UINT64_MAX : now_ms(l) + 1 + dice_below(&l->dice, 2 * mean_ms + 1);
}

static void write_something(struct live *l, struct soul *s)
{
	char text[SAY_MAX];
	size_t len = (size_t)dice_between(&l->dice, (uint64_t)s->bytes.low, (uint64_t)s->bytes.high);

	write_later(l, s);
	if (s->testers_len == 0)
		return;
	len = compose(l, text, MIN(len, (size_t)SAY_MAX / 2));
	send_text(s, s->testers[dice_below(&l->dice, s->testers_len)].id, span_from(text, len));
	printf("%s writes: %s\n", s->resident.name, text);
}

/* ---- Pairing ---------------------------------------------------------------- */

static void show_code(struct soul *s)
{
	char name[CONTACT_NAME_MAX + 1];

	if (s->testers_len == TESTERS_MAX)
		return;
	snprintf(name, sizeof(name), "tester%u", ++s->names);
	if (resident_ask(&s->resident, &(struct request){ .kind = REQ_PAIR_SHOW, .name = span_str(name) }) !=
	    REPLY_OK) {
		s->names--;
		return;
	}
	s->shows = true;
	snprintf(s->code, sizeof(s->code), "%s", s->resident.reply_text);
	printf("pair with \"%s\" by: flyleaf join %s \"%s\"\n", s->resident.name, s->resident.name, s->code);
}

static void look_soon(struct soul *s)
{
	s->look_ms = 0;
	s->look_again_ms = LOOK_FIRST_MS;
}

/* Somebody has entered the code: shown, and taken for the same. Then this side calls. */
static void confirm(struct soul *s, const struct contact_record *record)
{
	char name[CONTACT_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s", record->name);
	if (s->testers_len < TESTERS_MAX)
		s->testers[s->testers_len++] = (struct tester){ .id = record->id };
	look_soon(s);
	printf("%s is paired; the safety number is %s\n", s->resident.name, record->safety);
	(void)resident_ask(&s->resident, &(struct request){ .kind = REQ_PAIR_CONFIRM,
	                                                    .name = span_str(name),
	                                                    .flag = true });
	(void)resident_ask(&s->resident,
	                   &(struct request){ .kind = REQ_MODE, .name = span_str(name), .mode = MODE_CALL });
}

static void noticed(void *arg, const struct effect *e, struct span text)
{
	struct soul *s = arg;

	if (e->notice == NOTICE_PAIR_COMPARE || e->notice == NOTICE_PAIR_FAILED)
		s->shows = false;
	if (e->notice == NOTICE_PAIR_FAILED)
		printf("%s: %.*s\n", s->resident.name, (int)text.len, (const char *)text.p);
	if (e->notice == NOTICE_LINKED)
		printf("%s is connected\n", s->resident.name);
	if (e->notice == NOTICE_UNLINKED) {
		look_soon(s);
		printf("%s is no longer connected\n", s->resident.name);
	}
}

/* ---- Turns ------------------------------------------------------------------ */

/* Sooner than a real person's device would: a tester waits. */
static void look(struct live *l, struct soul *s)
{
	struct contact_view view;
	bool missing = false;

	for (size_t i = 0; i < node_contact_count(s->resident.node); i++) {
		node_contact_view(s->resident.node, i, &view);
		missing |= !view.linked;
	}
	if (!missing || now_ms(l) < s->look_ms)
		return;
	s->look_ms = now_ms(l) + s->look_again_ms;
	s->look_again_ms = MIN(2 * s->look_again_ms, (uint64_t)LOOK_LAST_MS);
	(void)resident_ask(&s->resident, &(struct request){ .kind = REQ_LOOK, .flag = true });
}

static void go_online(struct live *l, struct soul *s)
{
	const int r = resident_open(&s->resident);

	s->back_ms = 0;
	look_soon(s);
	if (r != 0) {
		fprintf(stderr, "flyleaf-sim: %s: %s\n", s->resident.name, err_str(r));
		l->failure = r;
	}
}

static void take_turn(struct live *l, struct soul *s)
{
	struct contact_view view;

	if (s->back_ms != 0 && now_ms(l) >= s->back_ms) {
		printf("%s is back\n", s->resident.name);
		go_online(l, s);
	}
	if (s->resident.node == NULL || l->failure != 0)
		return;
	for (size_t i = 0; i < node_contact_count(s->resident.node); i++) {
		node_contact_view(s->resident.node, i, &view);
		if (view.record->state == CONTACT_PENDING)
			confirm(s, view.record);
	}
	look(l, s);
	if (!s->shows && lan_locals(s->resident.lan, &(const struct address *){ NULL }) != 0)
		show_code(s);
	for (size_t i = 0; i < s->testers_len && l->failure == 0; i++)
		answer(l, s, &s->testers[i]);
	if (now_ms(l) >= s->write_ms)
		write_something(l, s);
	if (l->failure == 0)
		l->failure = s->resident.failure;
}

static void end(struct live *l)
{
	if (l->ending)
		return;
	l->ending = true;
	for (size_t i = 0; i < l->souls_len; i++)
		resident_close(&l->souls[i].resident);
	for (size_t i = 0; i < COUNT_OF(l->signals); i++)
		uv_close((uv_handle_t *)&l->signals[i], NULL);
	uv_close((uv_handle_t *)&l->turn, NULL);
	if (l->reads)
		uv_close((uv_handle_t *)&l->input, NULL);
}

static void on_turn(uv_timer_t *timer)
{
	struct live *l = timer->data;

	for (size_t i = 0; i < l->souls_len && l->failure == 0; i++)
		take_turn(l, &l->souls[i]);
	fflush(stdout);
	if (l->failure != 0)
		end(l);
}

/* ---- Commands --------------------------------------------------------------- */

static void do_list(struct live *l, struct soul *one, const char *text)
{
	(void)one;
	(void)text;
	for (size_t i = 0; i < l->souls_len; i++) {
		const struct soul *s = &l->souls[i];
		struct contact_view view = { 0 };
		size_t linked = 0;

		for (size_t k = 0; s->resident.node != NULL && k < node_contact_count(s->resident.node);
		     k++) {
			node_contact_view(s->resident.node, k, &view);
			linked += view.linked;
		}
		printf("%-12s %-8s %s, %zu paired, %zu connected%s%s\n", s->resident.name,
		       s->resident.node != NULL ? "online" : "offline", s->interface, s->testers_len, linked,
		       s->shows ? ", code " : "", s->shows ? s->code : "");
	}
}

static void do_code(struct live *l, struct soul *s, const char *text)
{
	(void)l;
	(void)text;
	if (s->resident.node == NULL) {
		printf("%s is offline\n", s->resident.name);
		return;
	}
	(void)resident_ask(&s->resident, &(struct request){ .kind = REQ_PAIR_CANCEL });
	s->shows = false;
	show_code(s);
}

static void do_say(struct live *l, struct soul *s, const char *text)
{
	(void)l;
	if (s->resident.node == NULL || s->testers_len == 0) {
		printf("%s is %s\n", s->resident.name,
		       s->resident.node == NULL ? "offline" : "paired with nobody");
		return;
	}
	for (size_t i = 0; i < s->testers_len; i++)
		send_text(s, s->testers[i].id, span_str(text));
}

static void do_offline(struct live *l, struct soul *s, const char *text)
{
	(void)l;
	(void)text;
	resident_lock(&s->resident);
	s->shows = false;
	s->back_ms = 0;
	printf("%s is offline\n", s->resident.name);
}

static void do_online(struct live *l, struct soul *s, const char *text)
{
	(void)text;
	if (s->resident.node == NULL)
		go_online(l, s);
	printf("%s is online\n", s->resident.name);
}

static void do_crash(struct live *l, struct soul *s, const char *text)
{
	(void)text;
	resident_crash(&s->resident);
	s->shows = false;
	s->back_ms = now_ms(l) + CRASHED_S * 1000;
	printf("%s has crashed, and is back in %d s\n", s->resident.name, CRASHED_S);
}

static void do_quit(struct live *l, struct soul *s, const char *text)
{
	(void)s;
	(void)text;
	end(l);
}

static const struct command {
	const char *word;
	bool of_somebody, with_text;
	void (*what)(struct live *l, struct soul *s, const char *text);
} commands[] = {
	{ "list", false, false, do_list },    { "code", true, false, do_code },
	{ "say", true, true, do_say },        { "offline", true, false, do_offline },
	{ "online", true, false, do_online }, { "crash", true, false, do_crash },
	{ "quit", false, false, do_quit },
};

static struct soul *find(struct live *l, const char *name)
{
	for (size_t i = 0; i < l->souls_len; i++)
		if (strcmp(l->souls[i].resident.name, name) == 0)
			return &l->souls[i];
	return NULL;
}

static void obey(struct live *l, char *line)
{
	char *rest = line, *word = strsep(&rest, " "), *name = NULL;
	const struct command *c = NULL;
	struct soul *s = NULL;

	if (*word == '\0')
		return;
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (strcmp(word, commands[i].word) == 0)
			c = &commands[i];
	if (c != NULL && c->of_somebody) {
		name = rest == NULL ? NULL : strsep(&rest, " ");
		s = name == NULL ? NULL : find(l, name);
	}
	if (c == NULL || (c->with_text && rest == NULL))
		printf("list; code NAME; say NAME TEXT; offline NAME; online NAME; crash NAME; quit\n");
	else if (c->of_somebody && s == NULL)
		printf("nobody here is called \"%s\"\n", name == NULL ? "" : name);
	else
		c->what(l, s, rest);
}

static void take_byte(struct live *l, char byte)
{
	if (byte != '\n') {
		l->line_skipped |= l->line_len == sizeof(l->line) - 1;
		if (!l->line_skipped)
			l->line[l->line_len++] = byte;
		return;
	}
	l->line[l->line_len] = '\0';
	if (l->line_skipped)
		printf("this line is too long\n");
	else
		obey(l, l->line);
	l->line_len = 0;
	l->line_skipped = false;
}

static void on_input(uv_poll_t *poll, int status, int events)
{
	struct live *l = poll->data;
	char bytes[1024];
	const ssize_t n = status == 0 && events != 0 ? read(STDIN_FILENO, bytes, sizeof(bytes)) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	for (ssize_t i = 0; i < n && !l->ending; i++)
		take_byte(l, bytes[i]);
	if (n <= 0)
		end(l);
	fflush(stdout);
}

static void on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	end(signal->data);
}

/* ---- Beginning and end ------------------------------------------------------ */

static int read_scenario(struct scenario *out, const char *path)
{
	char error[SCENARIO_ERROR_MAX], *text = malloc(SCENARIO_BYTES_MAX + 1);
	FILE *f = fopen(path, "r");
	size_t len;
	int r = ERR_NOMEM;

	if (f == NULL || text == NULL) {
		fprintf(stderr, "flyleaf-sim: %s: %s\n", path, strerror(errno));
		goto out;
	}
	len = fread(text, 1, SCENARIO_BYTES_MAX + 1, f);
	r = scenario_parse(out, path, span_from(text, len), error);
	if (r != 0)
		fprintf(stderr, "%s\n", error);
out:
	if (f != NULL)
		fclose(f);
	free(text);
	return r;
}

static bool has(const struct group *g, uint32_t who)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i] == who)
			return true;
	return false;
}

/* As much as the scenario lets somebody write to anybody. */
static void take_habits(struct soul *s, const struct scenario *from, uint32_t who)
{
	s->bytes = (struct range){ 1, 80 };
	for (size_t i = 0; i < from->writes_len; i++)
		if (has(&from->writes[i].who, who)) {
			s->rate_ppm += from->writes[i].rate_ppm;
			s->bytes = from->writes[i].bytes;
		}
}

/* The next one of the list, or one of the loopback's when there is no list. */
static bool take_interface(struct soul *s, size_t number, const char **list)
{
	const size_t len = *list == NULL ? 0 : strcspn(*list, ",");

	s->interfaces[0] = s->interface;
	if (*list == NULL) {
		snprintf(s->interface, sizeof(s->interface), "lo=127.0.1.%zu", number + 1);
		return true;
	}
	if (len == 0 || len >= sizeof(s->interface))
		return false;
	memcpy(s->interface, *list, len);
	*list += len + ((*list)[len] == ',');
	return true;
}

static int populate(struct live *l, const struct options *o)
{
	const char *list = o->interfaces;
	const size_t n = MIN(o->people, l->scenario.people_len);
	int r = 0;

	l->souls = calloc(n + 1, sizeof(*l->souls));
	if (l->souls == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct soul *s = &l->souls[i];

		if (!take_interface(s, i, &list))
			break;
		s->resident = (struct resident){
			.name = l->scenario.people[i].name,
			.uv = &l->uv,
			.where = { .interfaces = s->interfaces, .interfaces_len = 1 },
			.noticed = noticed,
			.arg = s,
		};
		take_habits(s, &l->scenario, (uint32_t)i);
		write_later(l, s);
		r = resident_init(&s->resident);
		l->souls_len++;
		if (r == 0)
			go_online(l, s);
	}
	return r == 0 ? l->failure : r;
}

static int init_handles(struct live *l)
{
	static const int numbers[COUNT_OF(l->signals)] = { SIGINT, SIGTERM };
	int r = uv_loop_init(&l->uv);

	if (r == 0)
		r = uv_timer_init(&l->uv, &l->turn);
	for (size_t i = 0; i < COUNT_OF(l->signals) && r == 0; i++) {
		l->signals[i].data = l;
		r = uv_signal_init(&l->uv, &l->signals[i]);
		if (r == 0)
			r = uv_signal_start(&l->signals[i], on_signal, numbers[i]);
	}
	l->turn.data = l->input.data = l;
	if (r == 0)
		r = uv_timer_start(&l->turn, on_turn, TURN_MS, TURN_MS);
	/* What cannot be waited for, as /dev/null, says nothing. */
	l->reads = r == 0 && uv_poll_init(&l->uv, &l->input, STDIN_FILENO) == 0;
	if (l->reads)
		uv_poll_start(&l->input, UV_READABLE, on_input);
	return r == 0 ? 0 : ERR_SYSTEM;
}

static int serve(struct live *l, const struct options *o)
{
	int r = init_handles(l);

	if (r != 0)
		return r;
	random_bytes(random_system(), &l->dice.state, sizeof(l->dice.state));
	l->failure = populate(l, o);
	if (l->failure == 0)
		printf("%zu people of %s are here; give your own node another address, as in: "
		       "flyleaf run --interfaces lo=127.0.0.2\n",
		       l->souls_len, o->scenario);
	else
		end(l);
	fflush(stdout);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	for (size_t i = 0; i < l->souls_len; i++)
		resident_deinit(&l->souls[i].resident);
	if (uv_loop_close(&l->uv) != 0)
		assert(false);
	free(l->souls);
	return l->failure;
}

static bool read_number(const char *text, uint64_t *out, char **end)
{
	errno = 0;
	*out = strtoull(text, end, 10);
	return errno == 0 && *end != text && *text != '-' && *out > 0;
}

static bool read_day(const char *text, uint64_t *out_ms)
{
	char *unit;

	if (!read_number(text, out_ms, &unit) || *out_ms > 86400 || strlen(unit) != 1 ||
	    strchr("smh", *unit) == NULL)
		return false;
	*out_ms *= *unit == 's' ? 1000 : *unit == 'm' ? 60000 : 3600000;
	return true;
}

static bool take_option(struct options *o, const char *name, const char *value)
{
	char *end;

	if (strcmp(name, "--people") == 0)
		return read_number(value, &o->people, &end) && *end == '\0' && o->people <= PEOPLE_MAX;
	if (strcmp(name, "--interfaces") == 0)
		return o->interfaces = value, true;
	if (strcmp(name, "--day") == 0)
		return read_day(value, &o->day_ms);
	return false;
}

int main(int argc, char **argv)
{
	struct options o = { .people = PEOPLE_USUAL, .day_ms = DAY_MS };
	struct live l = { 0 };
	int r;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			return 0;
		}
		if (argv[i][0] != '-' && o.scenario == NULL) {
			o.scenario = argv[i];
		} else if (i + 1 < argc && take_option(&o, argv[i], argv[i + 1])) {
			i++;
		} else {
			fprintf(stderr, "flyleaf-sim: %s: not understood; see flyleaf-sim live --help\n",
			        argv[i]);
			return 2;
		}
	}
	if (o.scenario == NULL) {
		fputs("flyleaf-sim: live needs a scenario, as tools/sim/scenarios/street.sim; see "
		      "flyleaf-sim live --help\n",
		      stderr);
		return 2;
	}
	if (sodium_init() < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	if (read_scenario(&l.scenario, o.scenario) != 0)
		r = 2;
	else {
		l.day_ms = o.day_ms;
		r = serve(&l, &o);
		if (r != 0)
			fprintf(stderr, "flyleaf-sim: %s\n", err_str(r));
		r = r != 0;
	}
	scenario_deinit(&l.scenario);
	return r;
}
