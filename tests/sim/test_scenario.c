#include <stdio.h>
#include <stdlib.h>

#include "tools/sim/scenario.h"
#include "tools/sim/soak.h"

#include "tests/unit/unit.h"

static void fails(const char *text, const char *wanted)
{
	char error[SCENARIO_ERROR_MAX];
	struct scenario s = { 0 };

	assert_int_equal(scenario_parse(&s, "x", span_str(text), error), SCENARIO_BAD);
	if (strcmp(error, wanted) != 0)
		fail_msg("%s\nand not: %s", error, wanted);
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	fails("", "x:0: there is nobody; expected a line with people");
	fails("people a\nplaces b lan",
	      "x:2: \"places\" is unknown; expected title, lasts, devices, place, people, pair, "
	      "day, round, writes, fault, strangers, liars or end");
	fails("people", "x:1: the line ends; expected a name");
	fails("people a_b", "x:1: \"_b\" does not belong to a name; expected NAME or NAME*COUNT");
	fails("people a\npeople a", "x:2: there is somebody called \"a\" already; expected a new name");
	fails("people a*0", "x:1: how many is not understood; expected NAME*COUNT, at most 16384");
	fails("people a home b",
	      "x:1: nobody and nothing is called \"b\"; expected a place that came before");
	fails("people a\npair a with b",
	      "x:2: nobody and nothing is called \"b\"; expected people that came before");
	fails("people a\npair a and a", "x:2: \"and\" is out of place; expected \"with\"");
	fails("lasts 3", "x:1: \"3\" is not understood; expected a duration as 90s, 20m, 3h, 2d or 10m..30m");
	fails("lasts 300d", "x:1: no time, or too much; expected at most 200d");
	fails("people a opens 3/week for 1m",
	      "x:1: \"3/week\" is not understood; expected a rate as 5/day or 1/hour, at most 4000/day");
	fails("place p lan\npeople a\nday 25:00 a at p for 1h",
	      "x:3: \"25:00\" is not understood; expected a time as 09:00 or 09:00..11:00");
	fails("place p lan\npeople a\nday 2..1 09:00 a at p for 1h",
	      "x:3: \"2..1\" goes down; expected the smaller one first");
	fails("people a\nfault drop 101%",
	      "x:2: \"101%\" is not understood; expected a share as 10%, at most 100%");
	fails("people a\nfault kill 1/day again", "x:2: \"again\" is too much; expected the end of the line");
	fails("people a\nfault drift by -2000..1", "x:2: no clock is so bad; expected -1000 to 1000");
	fails("people a with radio", "x:1: \"radio\" is unknown; expected wifi, bluetooth or both");
	fails("people a\x01", "x:1: there is a control character; expected text");
}

static void a_scenario_is_read(void **state)
{
	static const char text[] =
	        "title  a shelter # of some kind\n"
	        "lasts 2d\ndevices light\n"
	        "place home*3 lan ipv6 at 3 -4\nplace cafe isolated\n"
	        "people w home cafe opens always with bluetooth\n"
	        "people c*5 home home* opens 0.5/day for 5m..10m firewall guard battery with both\n"
	        "pair w with c* second calls\npair c* with c1,c2 each 2\n"
	        "day 2..3 09:30..10:00 c1,w at home1 for 1h chance 12.5%\n"
	        "round 08:00 w at home* for 5m every 10m\n"
	        "writes c* to w 24/day 1..2 bytes\n"
	        "fault late 1.5% for 2s\nfault put-back of w once\nfault radio-off of w 1/day for 1m\n"
	        "strangers at cafe 2/hour\nliars at home1,cafe 50% flood 3/day\nend calm for 3h\n";
	char error[SCENARIO_ERROR_MAX] = "";
	struct scenario s;

	(void)state;
	if (scenario_parse(&s, "x", span_str(text), error) != 0)
		fail_msg("%s", error);
	assert_string_equal(s.title, "a shelter");
	assert_int_equal(s.lasts_us, UINT64_C(2) * 86400000000);
	assert_int_equal(s.places_len, 4);
	assert_string_equal(s.places[2].name, "home3");
	assert_true(s.places[2].ipv6 && s.places[2].y == -4);
	assert_int_equal(s.people_len, 6);
	assert_int_equal(s.people[0].home, 3);
	assert_int_equal(s.people[4].home, 0); /* the fourth client: homes are given in turn */
	assert_int_equal(s.people[1].opens_ppm, 500000);
	assert_int_equal(s.people[1].firewall, NET_GUARD);
	assert_true(s.people[0].bluetooth && !s.people[0].wifi);
	assert_true(s.people[1].bluetooth && s.people[1].wifi);
	assert_int_equal(s.faults[2].kind, FAULT_RADIO_OFF);
	/* w with each of five; then c1 with c2, and c3 and c4 with c2. */
	assert_int_equal(s.pairs[0].mode_a, MODE_ANSWER);
	assert_int_equal(s.pairs[0].mode_b, MODE_CALL);
	assert_int_equal(s.visits[0].who.n, 2);
	assert_int_equal(s.visits[0].days.low, 1);
	assert_int_equal(s.visits[0].chance, 125000);
	assert_int_equal(s.visits[1].where.n, 3);
	assert_int_equal(s.writes[0].rate_ppm, 24000000);
	assert_int_equal(s.faults[0].share, 15000);
	assert_true(s.faults[1].once && s.faults[1].who.n == 1);
	assert_int_equal(s.strangers[0].rate_ppm, 48000000);
	assert_int_equal(s.liars[0].where.n, 2);
	assert_int_equal(s.liars[0].share, 500000);
	assert_int_equal(s.liars[0].rate_ppm, 3000000);
	assert_int_equal(s.end, SCENARIO_END_CALM);
	scenario_deinit(&s);
}

static void random_ones_can_be_read(void **state)
{
	char error[SCENARIO_ERROR_MAX] = "";

	(void)state;
	for (uint64_t seed = 0; seed < 2000; seed++) {
		char *text = soak_scenario(seed);
		struct scenario s;

		if (scenario_parse(&s, "random", span_str(text), error) != 0)
			fail_msg("seed %u: %s", (unsigned)seed, error);
		scenario_deinit(&s);
		free(text);
	}
}

static void too_much_is_refused(void **state)
{
	char error[SCENARIO_ERROR_MAX] = "";
	struct scenario s;
	char *text = malloc(SCENARIO_BYTES_MAX + 1);

	(void)state;
	fails("people a*16384\npeople b", "x:2: too many people; at most 16384");
	fails("place a*8192 lan\nplace b lan", "x:2: too many places; at most 8192");
	fails("people a*600\npair a* with a*", "x:2: too many pairs; at most 262144");
	memset(text, '\n', SCENARIO_BYTES_MAX + 1);
	assert_int_equal(scenario_parse(&s, "x", span_from(text, SCENARIO_BYTES_MAX + 1), error),
	                 SCENARIO_BAD);
	assert_string_equal(error, "x:0: the text is too long; expected at most 1048576 bytes");
	assert_int_equal(scenario_parse(&s, "x", span_from(text, SCENARIO_LINES_MAX + 1), error),
	                 SCENARIO_BAD);
	assert_string_equal(error, "x:10001: too many lines; expected at most 10000");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_scenario_is_read),
		cmocka_unit_test(random_ones_can_be_read),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
