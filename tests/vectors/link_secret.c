#include <string.h>

#include "node/crypto/secrets.h"
#include "tests/vectors/run.h"

/*
 * Link secrets over several sessions (PROTOCOL section 3). Both sides are kept; each step is a
 * session, in which the caller offers what it holds and the answerer takes the newest that it
 * recognises.
 */

struct side {
	struct link_secret cur, prev, anchor;
	bool has_cur, has_prev, restored;
};

/* The newest secret of the answerer that the caller holds and calls under too; NULL: they do not meet. */
static const struct link_secret *recognised(const struct side *caller, const struct side *answerer)
{
	const struct link_secret *offers[] = { caller->has_cur ? &caller->cur : NULL,
		                               caller->has_prev ? &caller->prev : NULL,
		                               caller->restored ? &caller->anchor : NULL };
	const struct link_secret *known[] = { answerer->has_cur ? &answerer->cur : NULL,
		                              answerer->has_prev ? &answerer->prev : NULL,
		                              &answerer->anchor };

	for (size_t k = 0; k < COUNT_OF(known); k++) {
		for (size_t o = 0; known[k] != NULL && o < COUNT_OF(offers); o++) {
			if (offers[o] != NULL && span_equal(KEY_SPAN(offers[o]), KEY_SPAN(known[k])))
				return known[k];
		}
	}
	return NULL;
}

static void check_secret(const struct link_secret *got, bool has, const json_t *want, const char *what)
{
	if (want == NULL || json_is_null(want))
		check_true(!has, "%s is there", what);
	else if (has)
		check_bytes(KEY_SPAN(got), want, what);
	else
		check_true(false, "%s is absent", what);
}

static void check_keys(const struct link_secret *l, bool has, const json_t *want, const char *what)
{
	struct sym_key key;

	check_true(has == json_is_object(want), "%s: there, or not", what);
	if (!has || !json_is_object(want))
		return;
	secrets_psk(&key, l);
	check_bytes(KEY_SPAN(&key), json_object_get(want, "psk"), "psk");
	secrets_call_key(&key, l, ROLE_A);
	check_bytes(KEY_SPAN(&key), json_object_get(want, "k_ab"), "k_ab");
	secrets_call_key(&key, l, ROLE_B);
	check_bytes(KEY_SPAN(&key), json_object_get(want, "k_ba"), "k_ba");
}

static void commit(struct side *side, const struct link_secret *used, const struct sym_key *x)
{
	check_true(secrets_commit(&side->cur, &side->prev, &side->has_prev, &side->anchor, used, x) == 0,
	           "not held");
	side->has_cur = true;
	if (!span_equal(KEY_SPAN(used), KEY_SPAN(&side->anchor)))
		side->restored = false; /* a session under a newer secret */
}

static void run_step(struct side side[static 2], const json_t *step)
{
	static const char *const names[] = { "a", "b" };
	struct side *initiator = &side[strcmp(text_get(step, "initiator"), "b") == 0];
	struct side *responder = initiator == &side[0] ? &side[1] : &side[0];
	const char *commits = text_get(step, "commits");
	const struct link_secret *newest;
	struct link_secret used;
	struct sym_key x;

	hex_into(x.b, sizeof(x.b), step, "X");
	if (bool_get(step, "initiator_restored", false)) {
		/* A backup holds neither cur nor prev (section 8); the other person consents. */
		*initiator = (struct side){ .anchor = initiator->anchor, .restored = true };
		responder->restored = true;
	}
	newest = recognised(initiator, responder);
	if (newest == NULL) {
		check_true(false, "the two do not meet");
		return;
	}
	used = *newest;
	check_bytes(KEY_SPAN(&used), json_object_get(step, "L_used"), "L_used");
	check_true(strcmp(commits, "both") == 0 || strcmp(commits, "initiator") == 0, "commits: %s", commits);
	commit(initiator, &used, &x);
	if (strcmp(commits, "both") == 0)
		commit(responder, &used, &x);
	for (size_t i = 0; i < 2; i++) {
		const json_t *after = json_object_get(json_object_get(step, "after"), names[i]);

		check_secret(&side[i].cur, side[i].has_cur, json_object_get(after, "cur"), "cur");
		check_secret(&side[i].prev, side[i].has_prev, json_object_get(after, "prev"), "prev");
	}
}

static void run(const json_t *test_case, const json_t *all_cases)
{
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out"), *step;
	struct side start = { .has_cur = true }, side[2];
	size_t i;

	(void)all_cases;
	hex_into(start.cur.b, sizeof(start.cur.b), in, "L0");
	hex_into(start.anchor.b, sizeof(start.anchor.b), in, "anchor");
	side[0] = side[1] = start;
	json_array_foreach(json_object_get(test_case, "steps"), i, step) run_step(side, step);
	for (i = 0; i < 2; i++) {
		const json_t *want = json_object_get(out, i == 0 ? "a" : "b");

		check_keys(&side[i].cur, side[i].has_cur, json_object_get(want, "cur"), "cur");
		check_keys(&side[i].prev, side[i].has_prev, json_object_get(want, "prev"), "prev");
	}
}

const struct part vectors_link_secret = { .name = "link-secret", .run = run };
