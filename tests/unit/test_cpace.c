#include "node/crypto/cpace.h"

#include <sodium.h>

#include "node/crypto/random.h"
#include "tests/unit/unit.h"

static const struct cpace *run(const char *password, const char *sid)
{
	static struct cpace c;

	c = (struct cpace){ span_str(password), span_str("fl1:test"), span_str(sid), span_str("E"),
		            span_str("D") };
	return &c;
}

struct sides {
	struct cpace_scalar y_a, y_b;
	struct cpace_share a, b;
};

static void shares(struct sides *s, const char *password_a, const char *password_b)
{
	struct random_seeded rng;

	random_seeded_init(&rng, 3);
	cpace_scalar_new(&s->y_a, &rng.base);
	cpace_scalar_new(&s->y_b, &rng.base);
	cpace_share(&s->a, run(password_a, "sid"), &s->y_a);
	cpace_share(&s->b, run(password_b, "sid"), &s->y_b);
}

static void the_same_password_agrees_and_another_does_not(void **state)
{
	struct hash64 isk_a, isk_b;
	struct sides s;

	(void)state;
	shares(&s, "three short words", "three short words");
	assert_int_equal(cpace_isk_ir(&isk_a, run("", "sid"), &s.y_a, true, &s.a, &s.b), 0);
	assert_int_equal(cpace_isk_ir(&isk_b, run("", "sid"), &s.y_b, false, &s.a, &s.b), 0);
	assert_memory_equal(&isk_a, &isk_b, sizeof(isk_a));
	assert_int_equal(cpace_isk_ir(&isk_b, run("", "sie"), &s.y_b, false, &s.a, &s.b), 0);
	assert_memory_not_equal(&isk_a, &isk_b, sizeof(isk_a));
	shares(&s, "three short words", "three short wordt");
	assert_int_equal(cpace_isk_ir(&isk_a, run("", "sid"), &s.y_a, true, &s.a, &s.b), 0);
	assert_int_equal(cpace_isk_ir(&isk_b, run("", "sid"), &s.y_b, false, &s.a, &s.b), 0);
	assert_memory_not_equal(&isk_a, &isk_b, sizeof(isk_a));
}

/* The draft pads the password to a block of the hash; a longer one needs no padding. */
static void a_password_may_be_longer_than_a_block(void **state)
{
	char password[301] = { 0 };
	struct hash64 isk_a, isk_b;
	struct sides s;

	(void)state;
	for (size_t len = 100; len < sizeof(password); len += 20) {
		memset(password, 'x', len);
		shares(&s, password, password);
		assert_int_equal(cpace_isk_ir(&isk_a, run("", "sid"), &s.y_a, true, &s.a, &s.b), 0);
		assert_int_equal(cpace_isk_ir(&isk_b, run("", "sid"), &s.y_b, false, &s.a, &s.b), 0);
		assert_memory_equal(&isk_a, &isk_b, sizeof(isk_a));
	}
}

static void what_is_no_share_is_refused(void **state)
{
	struct cpace_share bad[] = { { { 0 } }, { { 1 } }, { { 0 } } }; /* neutral; negative; not canonical */
	struct hash64 isk, untouched;
	struct sides s;

	(void)state;
	memset(bad[2].b, 0xff, sizeof(bad[2].b));
	shares(&s, "x", "x");
	memset(&untouched, 0x5a, sizeof(untouched));
	isk = untouched;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(cpace_isk_ir(&isk, run("", "sid"), &s.y_a, true, &s.a, &bad[i]),
		                 CPACE_REFUSED);
		assert_int_equal(cpace_isk_ir(&isk, run("", "sid"), &s.y_b, false, &bad[i], &s.b),
		                 CPACE_REFUSED);
	}
	assert_memory_equal(&isk, &untouched, sizeof(isk));
}

/* Gives one prepared block after the other. */
struct blocks {
	struct random base;
	uint8_t block[4][32];
	size_t next;
};

static void fill_from_blocks(struct random *self, void *out, size_t len)
{
	struct blocks *b = CONTAINER_OF(self, struct blocks, base);

	assert_int_equal(len, 32);
	assert_true(b->next < COUNT_OF(b->block));
	memcpy(out, b->block[b->next++], len);
}

static void scalars_are_between_zero_and_the_order(void **state)
{
	/* The order of the group, 2^252 + ...; then the largest scalar. */
	static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
		                           0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10 };
	struct blocks source = { .base = { fill_from_blocks } };
	struct cpace_scalar y;

	(void)state;
	memcpy(source.block[1], order, sizeof(order));
	memset(source.block[2], 0xff, 32);
	memcpy(source.block[3], order, sizeof(order));
	source.block[3][0]--;
	source.block[3][31] |= 0xe0; /* masked away */
	cpace_scalar_new(&y, &source.base);
	assert_int_equal(source.next, 4);
	assert_int_equal(y.b[0], 0xec);
	assert_int_equal(y.b[31], 0x10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_password_agrees_and_another_does_not),
		cmocka_unit_test(a_password_may_be_longer_than_a_block),
		cmocka_unit_test(what_is_no_share_is_refused),
		cmocka_unit_test(scalars_are_between_zero_and_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
