#include <sodium.h>
#include <string.h>

#include "node/crypto/cpace.h"
#include "tests/vectors/run.h"

/*
 * The published CPace vectors, those of ristretto255 with SHA-512 in initiator and responder form: the
 * file of vectors, and the appendix of the draft section by section. The X25519 group,
 * the symmetric form and the session id outputs are in the same files and are not ours.
 */

/* Appends prepend_len() of a part, as the draft's own helpers take it. */
static void check_lv_cat(const struct span *parts, size_t parts_len, const json_t *want, const char *what)
{
	struct writer w = writer_on(case_alloc(1024), 1024);

	cpace_lv_cat(&w, parts, parts_len);
	check_bytes(writer_done(&w), want, what);
}

/* One whole run, from both sides. */
static void run_exchange(const json_t *v)
{
	const struct cpace c = { .prs = hex_get(v, "PRS"),
		                 .ci = hex_get(v, "CI"),
		                 .sid = hex_get(v, "sid"),
		                 .ad_a = hex_get(v, "ADa"),
		                 .ad_b = hex_get(v, "ADb") };
	struct cpace_scalar y_a, y_b, one = { { 1 } };
	struct cpace_share share_a, share_b, g;
	struct hash64 isk;

	hex_into(y_a.b, sizeof(y_a.b), v, "ya");
	hex_into(y_b.b, sizeof(y_b.b), v, "yb");
	cpace_share(&g, &c, &one);
	check_bytes(KEY_SPAN(&g), json_object_get(v, "g"), "generator");
	cpace_share(&share_a, &c, &y_a);
	check_bytes(KEY_SPAN(&share_a), json_object_get(v, "Ya"), "Ya");
	cpace_share(&share_b, &c, &y_b);
	check_bytes(KEY_SPAN(&share_b), json_object_get(v, "Yb"), "Yb");
	check_true(cpace_isk_ir(&isk, &c, &y_a, true, &share_a, &share_b) == 0, "Yb refused");
	check_bytes(KEY_SPAN(&isk), json_object_get(v, "ISK_IR"), "ISK_IR of the initiator");
	check_true(cpace_isk_ir(&isk, &c, &y_b, false, &share_a, &share_b) == 0, "Ya refused");
	check_bytes(KEY_SPAN(&isk), json_object_get(v, "ISK_IR"), "ISK_IR of the responder");
}

/* scalar_mult_vfy: one point that must be taken, others that must be refused. */
static void run_points(const json_t *points)
{
	const struct cpace c = { 0 };
	struct cpace_scalar s;
	struct cpace_share own = { 0 }, other;
	struct hash64 isk;
	const char *name;
	const json_t *point;
	uint8_t product[32];

	hex_into(s.b, sizeof(s.b), json_object_get(points, "Valid"), "s");
	hex_into(other.b, sizeof(other.b), json_object_get(points, "Valid"), "X");
	check_true(cpace_isk_ir(&isk, &c, &s, true, &own, &other) == 0, "valid point refused");
	check_true(crypto_scalarmult_ristretto255(product, s.b, other.b) == 0, "no product");
	check_bytes(SPAN(product),
	            json_object_get(json_object_get(points, "Valid"), "G.scalar_mult_vfy(s,X)"), "product");
	json_object_foreach((json_t *)points, name, point)
	{
		if (strncmp(name, "Invalid", strlen("Invalid")) != 0)
			continue;
		hex_into(other.b, sizeof(other.b), points, name);
		check_true(cpace_isk_ir(&isk, &c, &s, true, &own, &other) == CPACE_REFUSED, "%s taken", name);
	}
}

static void run_prepend_len(const json_t *v)
{
	uint8_t bytes[128];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	check_lv_cat(&SPAN_NONE, 1, json_object_get(v, "prepend_len(b'')"), "nothing");
	check_lv_cat((struct span[]){ span_str("1234") }, 1, json_object_get(v, "prepend_len(b'1234')"),
	             "1234");
	check_lv_cat((struct span[]){ span_from(bytes, 127) }, 1,
	             json_object_get(v, "prepend_len(bytes(range(127)))"), "127 bytes");
	check_lv_cat((struct span[]){ span_from(bytes, 128) }, 1,
	             json_object_get(v, "prepend_len(bytes(range(128)))"), "128 bytes");
}

static void run_lv_cat(const json_t *v)
{
	const struct span parts[] = { span_str("1234"), span_str("5"), SPAN_NONE, span_str("678") };

	check_lv_cat(parts, COUNT_OF(parts), json_object_get(v, "lv_cat(b'1234',b'5',b'',b'678')"), "lv_cat");
}

static void run_transcript(const json_t *v)
{
	const struct span one[] = { span_str("123"), span_str("PartyA"), span_str("234"),
		                    span_str("PartyB") };
	const struct span two[] = { span_str("3456"), span_str("PartyA"), span_str("2345"),
		                    span_str("PartyB") };

	check_lv_cat(one, COUNT_OF(one),
	             json_object_get(v, "transcript_ir(b'123',b'PartyA',b'234',b'PartyB')"), "transcript");
	check_lv_cat(two, COUNT_OF(two),
	             json_object_get(v, "transcript_ir(b'3456',b'PartyA',b'2345',b'PartyB')"), "transcript");
}

static void run_generator(const json_t *v)
{
	const struct cpace c = { .prs = hex_get(v, "PRS"), .ci = hex_get(v, "CI"), .sid = hex_get(v, "sid") };
	const struct cpace_scalar one = { { 1 } };
	struct cpace_share g;

	cpace_share(&g, &c, &one);
	check_bytes(KEY_SPAN(&g), json_object_get(v, "encoded generator g"), "generator");
}

/* The sections of the appendix by a key that only they have; NULL: a form that Flyleaf does not use. */
static const struct {
	const char *key;
	void (*run)(const json_t *data);
} sections[] = {
	{ "prepend_len(b'')", run_prepend_len },
	{ "lv_cat(b'1234',b'5',b'',b'678')", run_lv_cat },
	{ "transcript_ir(b'123',b'PartyA',b'234',b'PartyB')", run_transcript },
	{ "encoded generator g", run_generator },
	{ "ISK_IR", run_exchange },
	{ "Invalid Y1", run_points },
	{ "o_cat(b'ABCD',b'BCD')", NULL },
	{ "transcript_oc(b'123',b'PartyA',b'234',b'PartyB')", NULL },
};

static void run_section(const char *file, const json_t *section)
{
	const json_t *data = json_object_get(section, "data");
	const char *title = json_string_value(json_object_get(section, "section"));
	size_t i = 0;

	while (i < COUNT_OF(sections) && json_object_get(data, sections[i].key) == NULL)
		i++;
	if (i < COUNT_OF(sections) && sections[i].run == NULL)
		return;
	case_begin(file, title != NULL ? title : "(no section)");
	if (i < COUNT_OF(sections))
		sections[i].run(data);
	check_true(i < COUNT_OF(sections), "a section that we do not know");
	case_end();
}

static bool knows(const json_t *root)
{
	return json_object_get(root, "G_Coffee25519") != NULL ||
	       json_object_get(json_array_get(root, 0), "section") != NULL;
}

static void run_file(const char *file, const json_t *root)
{
	const json_t *section;
	size_t i;

	json_array_foreach(root, i, section) run_section(file, section);
	if (!json_is_object(root))
		return;
	case_begin(file, "exchange");
	run_exchange(json_object_get(root, "G_Coffee25519"));
	case_end();
	case_begin(file, "points");
	run_points(json_object_get(root, "G_Coffee25519_points"));
	case_end();
}

const struct part vectors_cpace = { .knows = knows, .run_file = run_file };
