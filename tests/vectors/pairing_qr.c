/*
 * pairing_qr.c: a pairing by two QR codes (PROTOCOL section 2.1), and what the other kinds say.
 */
#include "node/core/pairing.h"

#include <arpa/inet.h>

#include "tests/vectors/run.h"

static bool knows_nobody(struct pairing_known *self, const struct public_key *s)
{
	(void)self;
	(void)s;
	return false;
}

/* Checks the bytes and the text of a code, and that both read back to the same. */
static void check_code(const struct qr *qr, const json_t *bytes, const json_t *base45)
{
	uint8_t b[QR_BYTES_MAX], again[QR_BYTES_MAX];
	char text[QR_TEXT_MAX + 1] = "";
	struct writer w = WRITER_ON(b), t = writer_on(text, QR_TEXT_MAX), v = WRITER_ON(again);
	struct qr read;

	qr_bytes(&w, qr);
	qr_text(&t, qr);
	check_bytes(writer_done(&w), bytes, "bytes");
	check_text(text, json_string_value(base45), "base45");
	if (qr_read(&read, span_str(text)) != 0) {
		check_true(false, "own text is not read");
		return;
	}
	qr_bytes(&v, &read);
	check_true(span_equal(writer_done(&w), writer_done(&v)), "read back to something else");
}

static void run_both(const json_t *in, const json_t *out)
{
	struct pairing_known nobody = { knows_nobody };
	const bool accept = bool_get(out, "accept", true);
	struct qr own = { .kind = QR_PAIR }, scanned;
	struct key_pair s, r;
	struct pairing_result result;
	uint8_t *given = case_alloc(96);
	int outcome;

	hex_into(given, 32, in, "s");
	hex_into(given + 32, 32, in, "r");
	hex_into(given + 64, 32, in, "q");
	pairing_qr_new(&own.pair, &s, &r, random_given(span_from(given, 96)));
	outcome = qr_decode(&scanned, hex_get(in, "scanned"));
	if (outcome == 0 && scanned.kind != QR_PAIR)
		outcome = QR_REFUSED;
	if (outcome == 0)
		outcome = pairing_qr(&result, &s, &r, &own.pair.q, &scanned.pair, &nobody);
	check_true((outcome == 0) == accept, accept ? "refused" : "accepted");
	if (!accept || outcome != 0)
		return;
	check_code(&own, json_object_get(out, "shown"), json_object_get(out, "shown_base45"));
	check_text(result.role == ROLE_A ? "a" : "b", text_get(out, "role"), "role");
	check_bytes(KEY_SPAN(&result.secrets.l0), json_object_get(out, "L0"), "L0");
	check_bytes(KEY_SPAN(&result.secrets.anchor), json_object_get(out, "anchor"), "anchor");
	check_bytes(KEY_SPAN(&result.secrets.rk0), json_object_get(out, "rk0"), "rk0");
	check_bytes(KEY_SPAN(&result.secrets.ha), json_object_get(out, "ha"), "ha");
	check_bytes(KEY_SPAN(&result.secrets.nb), json_object_get(out, "nb"), "nb");
	check_bytes(KEY_SPAN(&result.aid), json_object_get(out, "aid"), "aid");
	check_text(result.safety, text_get(out, "safety_number"), "safety number");
}

static void read_address(uint8_t ip[static 16], const char *text)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(ip, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, ip + 12) != 1)
		check_true(inet_pton(AF_INET6, text, ip) == 1, "no address: %s", text);
}

static void run_other(const json_t *in, const json_t *out)
{
	const struct span bytes = hex_get(out, "bytes"), prs = hex_get(in, "PRS");
	struct qr qr = { 0 };

	if (bytes.len == 0)
		return;
	qr.kind = bytes.p[0];
	switch (qr.kind) {
	case QR_CODE:
		qr.code.number = (uint8_t)int_get(in, "NN");
		qr.code.prs_len = CODE_SECRET_LEN;
		check_true(prs.len == CODE_SECRET_LEN, "PRS of %zu bytes", prs.len);
		memcpy(qr.code.prs, prs.p, MIN(prs.len, (size_t)CODE_SECRET_LEN));
		break;
	case QR_MEET:
		read_address(qr.meet.ip, text_get(in, "address"));
		qr.meet.port = (uint16_t)int_get(in, "port");
		hex_into(qr.meet.n.b, 16, in, "n");
		break;
	case QR_TOP_UP:
		hex_into(qr.q.b, 32, in, "q");
		break;
	default:
		check_true(false, "kind %02x", (unsigned)qr.kind);
		return;
	}
	check_code(&qr, json_object_get(out, "bytes"), json_object_get(out, "base45"));
}

static void run(const json_t *test_case, const json_t *all)
{
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out");

	(void)all;
	if (json_object_get(in, "scanned") != NULL)
		run_both(in, out);
	else
		run_other(in, out);
}

const struct part vectors_pairing_qr = { .name = "pairing-qr", .run = run };
