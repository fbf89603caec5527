#include "node/crypto/secrets.h"

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "tests/unit/unit.h"

static void roles_follow_the_keys(void **state)
{
	const struct public_key low = { { 1, 0xff } }, high = { { 2, 0 } };
	enum pair_role role;

	(void)state;
	assert_int_equal(secrets_role(&role, &low, &high), 0);
	assert_int_equal(role, ROLE_A);
	assert_int_equal(secrets_role(&role, &high, &low), 0);
	assert_int_equal(role, ROLE_B);
	assert_int_equal(secrets_role(&role, &low, &low), SECRETS_REFUSED);
}

static void both_sides_of_two_qr_codes_have_one_root(void **state)
{
	const struct sym_key q_a = { { 3 } }, q_b = { { 4 } };
	struct root_secret root_a, root_b;
	struct key_pair s_a, s_b, r_a, r_b;
	struct secrets_pair pair;
	struct random_seeded rng;

	(void)state;
	random_seeded_init(&rng, 5);
	key_pair_new(&s_a, &rng.base);
	key_pair_new(&s_b, &rng.base);
	key_pair_new(&r_a, &rng.base);
	key_pair_new(&r_b, &rng.base);
	pair = (struct secrets_pair){ s_a.public, s_b.public, r_a.public, r_b.public };
	assert_int_equal(secrets_root_qr(&root_a, &pair, ROLE_A, &s_a.secret, &r_a.secret, &q_a, &q_b), 0);
	assert_int_equal(secrets_root_qr(&root_b, &pair, ROLE_B, &s_b.secret, &r_b.secret, &q_a, &q_b), 0);
	assert_memory_equal(&root_a, &root_b, sizeof(root_a));
	assert_int_equal(secrets_root_qr(&root_b, &pair, ROLE_B, &s_b.secret, &r_b.secret, &q_b, &q_a), 0);
	assert_memory_not_equal(&root_a, &root_b, sizeof(root_a));
	/* A key of small order, in either place. */
	root_b = root_a;
	pair.r_b = (struct public_key){ { 0 } };
	assert_int_equal(secrets_root_qr(&root_a, &pair, ROLE_A, &s_a.secret, &r_a.secret, &q_a, &q_b),
	                 SECRETS_REFUSED);
	pair.r_b = r_b.public;
	pair.s_b = (struct public_key){ { 1 } };
	assert_int_equal(secrets_root_qr(&root_a, &pair, ROLE_A, &s_a.secret, &r_a.secret, &q_a, &q_b),
	                 SECRETS_REFUSED);
	assert_memory_equal(&root_a, &root_b, sizeof(root_a));
}

/* Section 3: a session commits only while the secret it ran under is still held. */
static void a_commit_needs_its_secret(void **state)
{
	const struct link_secret l0 = { { 1 } }, anchor = { { 2 } }, stranger = { { 3 } };
	const struct sym_key x = { { 4 } };
	struct link_secret cur = l0, prev = stranger, l1, l2;
	bool has_prev = false;

	(void)state;
	assert_int_equal(secrets_commit(&cur, &prev, &has_prev, &anchor, &stranger, &x), SECRETS_NOT_HELD);
	assert_memory_equal(&cur, &l0, 32);
	assert_false(has_prev);
	assert_int_equal(secrets_commit(&cur, &prev, &has_prev, &anchor, &cur, &x), 0);
	secrets_next(&l1, &l0, &x);
	assert_memory_equal(&cur, &l1, 32);
	assert_memory_equal(&prev, &l0, 32);
	/* Under prev, given by its own address. */
	assert_int_equal(secrets_commit(&cur, &prev, &has_prev, &anchor, &prev, &x), 0);
	assert_memory_equal(&cur, &l1, 32);
	assert_memory_equal(&prev, &l0, 32);
	assert_int_equal(secrets_commit(&cur, &prev, &has_prev, &anchor, &cur, &x), 0);
	secrets_next(&l2, &l1, &x);
	assert_memory_equal(&cur, &l2, 32);
	assert_int_equal(secrets_commit(&cur, &prev, &has_prev, &anchor, &l0, &x), SECRETS_NOT_HELD);
	assert_int_equal(secrets_commit(&cur, &prev, &has_prev, &anchor, &anchor, &x), 0);
	assert_memory_equal(&prev, &anchor, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_follow_the_keys),
		cmocka_unit_test(both_sides_of_two_qr_codes_have_one_root),
		cmocka_unit_test(a_commit_needs_its_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
