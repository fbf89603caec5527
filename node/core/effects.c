#include "node/core/effects.h"

#include <sodium.h>
#include <stdlib.h>

enum { EFFECTS_FIRST = 32, EFFECT_BYTES_FIRST = 8192 };

/* Grows *p, of items of size bytes, so that want fit; the old memory is wiped, messages lay in it. */
static bool grow(void **p, size_t *cap, size_t want, size_t first, size_t size)
{
	size_t to = *cap == 0 ? first : *cap;
	void *q;

	if (want <= *cap)
		return true;
	while (to < want)
		to *= 2;
	q = malloc(to * size);
	if (q == NULL)
		return false;
	if (*cap != 0) {
		memcpy(q, *p, *cap * size);
		sodium_memzero(*p, *cap * size);
	}
	free(*p);
	*p = q;
	*cap = to;
	return true;
}

static struct effect *add(struct effects *fx, enum effect_kind kind)
{
	struct effect *e;
	void *v = fx->v;

	if (!grow(&v, &fx->cap, fx->n + 1, EFFECTS_FIRST, sizeof(*fx->v))) {
		fx->failed = true;
		return NULL;
	}
	fx->v = v;
	e = &fx->v[fx->n++];
	*e = (struct effect){ .kind = kind, .at = fx->bytes_len };
	return e;
}

static bool make_room(struct effects *fx, size_t len)
{
	void *bytes = fx->bytes;

	if (!grow(&bytes, &fx->bytes_cap, fx->bytes_len + len, EFFECT_BYTES_FIRST, 1)) {
		fx->failed = true;
		return false;
	}
	fx->bytes = bytes;
	return true;
}

static void add_bytes(struct effects *fx, struct effect *e, struct span bytes)
{
	if (bytes.len == 0 || !make_room(fx, bytes.len))
		return;
	memcpy(fx->bytes + fx->bytes_len, bytes.p, bytes.len);
	fx->bytes_len += bytes.len;
	e->len = bytes.len;
}

void effect_call(struct effects *fx, const struct address *local, struct span datagram)
{
	struct effect *e = add(fx, FX_CALL);

	if (e == NULL)
		return;
	e->local = *local;
	add_bytes(fx, e, datagram);
}

void effect_advertise(struct effects *fx, uint32_t interface, struct span adverts)
{
	struct effect *e = add(fx, FX_ADVERTISE);

	if (e == NULL)
		return;
	e->local.interface = interface;
	add_bytes(fx, e, adverts);
}

void effect_scan(struct effects *fx, bool on)
{
	struct effect *e = add(fx, FX_SCAN);

	if (e != NULL)
		e->number = on;
}

void effect_open(struct effects *fx, uint32_t path, const struct address *local, const struct address *remote,
                 uint16_t port)
{
	struct effect *e = add(fx, FX_OPEN);

	if (e == NULL)
		return;
	e->path = path;
	e->local = *local;
	e->remote = *remote;
	e->port = port;
}

uint8_t *effect_send(struct effects *fx, uint32_t path, size_t cap)
{
	struct effect *e;

	if (!make_room(fx, cap))
		return NULL;
	e = add(fx, FX_SEND);
	if (e == NULL)
		return NULL;
	e->path = path;
	return fx->bytes + e->at;
}

void effect_sent(struct effects *fx, size_t len)
{
	struct effect *e = &fx->v[fx->n - 1];

	assert(fx->n > 0 && e->kind == FX_SEND && e->len == 0 && e->at + len <= fx->bytes_cap);
	e->len = len;
	fx->bytes_len = e->at + len;
}

void effect_close(struct effects *fx, uint32_t path)
{
	struct effect *e = add(fx, FX_CLOSE);

	if (e != NULL)
		e->path = path;
}

void effect_reply(struct effects *fx, uint64_t request, enum reply_code code, int64_t number,
                  struct span text)
{
	struct effect *e = add(fx, FX_REPLY);

	if (e == NULL)
		return;
	e->request = request;
	e->code = code;
	e->number = number;
	add_bytes(fx, e, text);
}

void effect_notice(struct effects *fx, enum notice_kind kind, uint32_t contact, int64_t number,
                   struct span text)
{
	struct effect *e = add(fx, FX_NOTICE);

	if (e == NULL)
		return;
	e->notice = kind;
	e->contact = contact;
	e->number = number;
	add_bytes(fx, e, text);
}

struct span effect_bytes(const struct effects *fx, const struct effect *e)
{
	return e->len == 0 ? SPAN_NONE : span_from(fx->bytes + e->at, e->len);
}

void effects_clear(struct effects *fx)
{
	if (fx->bytes_len != 0)
		sodium_memzero(fx->bytes, fx->bytes_len);
	fx->n = 0;
	fx->bytes_len = 0;
	fx->failed = false;
}

void effects_deinit(struct effects *fx)
{
	effects_clear(fx);
	free(fx->v);
	free(fx->bytes);
	*fx = (struct effects){ 0 };
}
