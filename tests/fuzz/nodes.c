#include "tests/fuzz/fuzz.h"

#include <stdio.h>

#include "tests/unit/world.h"

enum { TURNS_MAX = 48, KEPT = 32, TEXTS_MAX = 16, CALM_S = 1500, CLOCK_MAX_S = 500 };

/* One that is new takes a place that was free: where the others move, every input of the corpus is another
 * life, and what it was kept for is not looked at any more. */
enum act {
	WRITE,
	RUN,
	NETWORK, /* how much is lost and doubled, how late it comes, whether multicast works */
	OFF,     /* off the network for some time */
	CRASH,
	REPLAY, /* a datagram or call that was sent before, by anybody, reaches a node, as it was or changed
	         */
	CLOCK,  /* a clock jumps */
	MODE,
	REFUSED, /* the system hints that a path is dead */
	RADIO,   /* Bluetooth is switched on or off */
	FAR,     /* nobody is near any more, or is again */
	CHANNEL, /* what was sent before is the first word of a channel */
	ACT_PLACES = 16
};

/* What was sent, to be replayed. */
struct kept {
	enum effect_kind kind;
	size_t len;
	uint8_t bytes[CARRIER_LARGE];
};

static struct kept kept[KEPT];
static unsigned kept_n;
static unsigned texts[2]; /* how many each wrote */

static void keep(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	struct kept *k = &kept[kept_n % KEPT];

	(void)w;
	(void)node;
	if ((e->kind != FX_SEND && e->kind != FX_CALL && e->kind != FX_ADVERTISE) || bytes.len == 0 ||
	    bytes.len > sizeof(k->bytes))
		return;
	if (e->kind == FX_ADVERTISE)
		bytes.len = ADVERT_LEN;
	*k = (struct kept){ .kind = e->kind, .len = bytes.len };
	memcpy(k->bytes, bytes.p, bytes.len);
	kept_n++;
}

static void replay(struct world *w, size_t to, struct reader *in)
{
	static struct kept k; /* a copy: what follows from it is kept too */
	static const enum event_kind kinds[] = {
		[FX_CALL] = EV_CALL,
		[FX_ADVERTISE] = EV_ADVERT,
		[FX_SEND] = EV_DATAGRAM,
	};
	const struct world_node *n = &w->nodes[to];
	struct event ev = { .ttl = 255, .from = w->nodes[1 - to].address };
	const uint8_t which = reader_u8(in), change = reader_u8(in);

	if (kept_n == 0)
		return;
	k = kept[which % MIN(kept_n, (unsigned)KEPT)];
	if (change != 0)
		k.bytes[(size_t)change * 7 % k.len] ^= change;
	ev.kind = kinds[k.kind];
	ev.bytes = span_from(k.bytes, k.len);
	if (ev.kind == EV_ADVERT)
		ev.from = world_radio_address(1 - to);
	if (ev.kind == EV_DATAGRAM && n->paths_len == 0)
		return;
	if (ev.kind == EV_DATAGRAM)
		ev.path = n->paths[which / KEPT % n->paths_len].id;
	world_event(w, to, &ev);
}

/* On one of the ports where something is waited for, or on any. */
static void channel(struct world *w, size_t to, struct reader *in)
{
	static struct kept k;
	const struct world_node *n = &w->nodes[to];
	const struct address from = world_radio_address(1 - to);
	const uint8_t which = reader_u8(in), change = reader_u8(in), port = reader_u8(in);
	uint16_t psm = 0x80 | port;

	if (kept_n == 0 || !n->radio)
		return;
	k = kept[which % MIN(kept_n, (unsigned)KEPT)];
	if (change != 0)
		k.bytes[(size_t)change * 7 % k.len] ^= change;
	if (port < 0x80 && n->psms_next != 0)
		psm = n->psms[port % MIN(n->psms_next, (size_t)WORLD_PSMS_MAX)].psm;
	(void)world_stranger(w, to, &from, psm, span_from(k.bytes, k.len));
}

static void network(struct world *w, struct reader *in)
{
	const uint8_t how = reader_u8(in);

	w->loss = how % 8 * 9;
	w->twice = how / 8 % 4 * 20;
	w->deaf = (how & 32) != 0;
	w->delay_high_us = 2000 + (uint64_t)reader_u8(in) * 1000;
}

static void write_text(struct world *w, size_t from)
{
	char text[16];

	if (texts[from] == TEXTS_MAX)
		return;
	snprintf(text, sizeof(text), "%zu.%u", from, texts[from]++);
	(void)world_say(w, from, 1 - from, text);
}

static void turn(struct world *w, struct reader *in)
{
	static const enum contact_mode modes[] = { MODE_CALL, MODE_ANSWER, MODE_SILENT };
	const uint8_t what = reader_u8(in);
	const size_t i = what & 1;
	struct world_node *n = &w->nodes[i];
	struct event refused = { .kind = EV_PATH_REFUSED };

	switch (what / 2 % ACT_PLACES) {
	case WRITE:
		write_text(w, i);
		break;
	case RUN:
		world_run(w, (uint64_t)1000 << reader_u8(in) % 15);
		break;
	case NETWORK:
		network(w, in);
		break;
	case OFF:
		world_network(w, i, false);
		world_run(w, (uint64_t)1000 << reader_u8(in) % 15);
		world_network(w, i, true);
		break;
	case CRASH:
		world_crash(w, i);
		break;
	case REPLAY:
		replay(w, i, in);
		break;
	case CLOCK:
		n->clock_offset = reader_u16(in) % (2 * CLOCK_MAX_S) - CLOCK_MAX_S;
		break;
	case MODE:
		world_mode(w, i, 1 - i, modes[reader_u8(in) % COUNT_OF(modes)]);
		break;
	case RADIO:
		world_radio(w, i, !n->radio);
		break;
	case FAR:
		w->far = !w->far;
		if (w->far)
			world_break(w);
		break;
	case CHANNEL:
		channel(w, i, in);
		break;
	case REFUSED:
		if (n->paths_len > 0) {
			refused.path = n->paths[0].id;
			world_event(w, i, &refused);
		}
		break;
	default:
		break;
	}
}

/* What one side has of the other is a beginning of what that one wrote: nothing lost in between, nothing
 * twice, nothing out of order; in the end, all of it. */
static void look(struct world *w, size_t reader, bool all)
{
	static char want[16 * TEXTS_MAX];
	const size_t writer = 1 - reader;
	const char *got = world_texts(w, reader, writer, false);
	size_t len = 0;

	want[0] = '\0';
	for (unsigned k = 0; k < texts[writer]; k++)
		len += (size_t)snprintf(want + len, sizeof(want) - len, "%s%zu.%u", k == 0 ? "" : "|", writer,
		                        k);
	assert(all ? strcmp(got, want) == 0 : strncmp(got, want, strlen(got)) == 0);
	if (all)
		assert(world_waiting(w, writer, reader) == 0);
}

/* Two nodes that know each other. Faults as the input says, then none: everything arrives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_from(span_from(data, size));
	struct world *w = world_new(1, 2);

	kept_n = texts[0] = texts[1] = 0;
	w->watch = keep;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	for (unsigned turns = 0; turns < TURNS_MAX && in.len > 0; turns++) {
		turn(w, &in);
		look(w, 0, false);
		look(w, 1, false);
	}
	w->loss = w->twice = 0;
	w->deaf = w->far = false;
	w->delay_high_us = 2000;
	for (size_t i = 0; i < 2; i++) {
		w->nodes[i].clock_offset = CLOCK_MAX_S; /* one that went back would wait for a person */
		world_mode(w, i, 1 - i, MODE_CALL);
	}
	world_run(w, CALM_S * UINT64_C(1000000));
	look(w, 0, true);
	look(w, 1, true);
	world_free(w);
	return 0;
}
