#include "node/core/words.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/crypto/random.h"
#include "tests/unit/unit.h"

static unsigned edits(const char *a, const char *b)
{
	unsigned row[64];
	const size_t a_len = strlen(a), b_len = strlen(b);

	for (unsigned j = 0; j <= b_len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned before = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			const unsigned changed = before + (a[i - 1] != b[j - 1]);

			before = row[j];
			row[j] = MIN(MIN(row[j], row[j - 1]) + 1, changed);
		}
	}
	return row[b_len];
}

static void words_are_short_sorted_and_far_apart(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORDS_COUNT; i++) {
		const char *word = words_at(i);
		const size_t len = strlen(word);

		assert_in_range(len, WORDS_LEN_MIN, WORDS_LEN_MAX);
		assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz"), len);
		if (i > 0) {
			assert_true(strcmp(words_at(i - 1), word) < 0);
			assert_int_not_equal(strncmp(words_at(i - 1), word, 3), 0);
		}
		for (unsigned j = 0; j < i; j++) {
			if (edits(words_at(j), word) < 3)
				fail_msg("%s and %s", words_at(j), word);
		}
	}
}

/* A star stands for any letters. */
static bool matches(const char *pattern, const char *word)
{
	if (*pattern == '*')
		return matches(pattern + 1, word) || (*word != '\0' && matches(pattern, word + 1));
	if (*pattern != *word)
		return false;
	return *word == '\0' || matches(pattern + 1, word + 1);
}

static void forbid(const char *pattern, bool let_through[WORDS_COUNT])
{
	unsigned index;

	if (pattern[0] == '+') {
		if (words_read(&index, span_str(pattern + 1)) == 0 &&
		    strcmp(words_at(index), pattern + 1) == 0)
			let_through[index] = true;
		return;
	}
	for (unsigned i = 0; i < WORDS_COUNT; i++) {
		if (!let_through[i] && matches(pattern, words_at(i)))
			fail_msg("%s is denied by %s", words_at(i), pattern);
	}
}

static void no_word_is_denied(void **state)
{
	static bool let_through[WORDS_COUNT];
	unsigned patterns = 0;
	char line[8192];

	(void)state;
	for (int pass = 0; pass < 2; pass++) { /* first those let through */
		FILE *f = fopen(getenv("WORDS_DENIED"), "r");

		assert_non_null(f);
		while (fgets(line, sizeof(line), f) != NULL) {
			char *rest = line, *pattern;

			line[strcspn(line, "#\n")] = '\0';
			while ((pattern = strsep(&rest, " ")) != NULL) {
				if (pattern[0] == '\0' || (pattern[0] == '+') != (pass == 0))
					continue;
				forbid(pattern, let_through);
				patterns++;
			}
		}
		fclose(f);
	}
	assert_true(patterns > 1000);
}

/* Words that sound alike: at most one of each group may be in the list. */
static const char *const sound_alike[] = {
	/* clang-format off */
	"ad add", "aid aide", "ail ale", "air heir ere", "aisle isle", "allowed aloud", "ate eight",
	"bail bale", "bare bear", "base bass", "be bee", "beach beech", "bean been", "beat beet",
	"berry bury", "berth birth", "blew blue", "board bored", "boar bore", "bolder boulder",
	"bow bough", "brake break", "bread bred", "bridal bridle", "buy by bye", "capital capitol",
	"cell sell", "cent scent sent", "cereal serial", "chord cord cored", "chute shoot",
	"cite sight site", "coarse course", "core corps", "creak creek", "cue queue", "currant current",
	"cymbal symbol", "dear deer", "desert dessert", "dew due do", "die dye", "doe dough",
	"draft draught", "dual duel", "ewe you yew", "faint feint", "fair fare", "feat feet", "fir fur",
	"flair flare", "flea flee", "flour flower", "for four fore", "fort fought", "foul fowl",
	"freeze frieze", "gait gate", "grate great", "groan grown", "guessed guest", "hail hale",
	"hair hare", "hall haul", "hangar hanger", "heal heel", "hear here", "heard herd", "hi high",
	"hoarse horse", "hole whole", "hour our", "idle idol", "in inn", "jam jamb", "key quay",
	"knead need", "knew new", "knight night", "knot not", "know no", "lane lain", "leak leek",
	"lead led", "lessen lesson", "links lynx", "loan lone", "made maid", "mail male", "main mane",
	"maize maze", "manner manor", "marshal martial", "meat meet", "medal meddle", "metal mettle",
	"might mite", "missed mist", "moor more", "morning mourning", "muscle mussel", "naval navel",
	"none nun", "nose knows", "oar or ore", "one won", "pail pale", "pain pane", "pair pear pare",
	"palate palette pallet", "pause paws", "peace piece", "peak peek", "peal peel", "pedal peddle",
	"peer pier", "plain plane", "plum plumb", "pole poll", "pour pore", "praise prays", "pray prey",
	"principal principle", "profit prophet", "rain reign rein", "rap wrap", "read red reed",
	"real reel", "right write rite", "ring wring", "road rode", "role roll", "root route",
	"rose rows", "rye wry", "sail sale", "sauce source", "scene seen", "sea see", "seam seem",
	"sew so sow", "shake sheik", "shear sheer", "sleigh slay", "soar sore", "sole soul", "some sum",
	"son sun", "stair stare", "stake steak", "stationary stationery", "steal steel", "step steppe",
	"story storey", "straight strait", "suite sweet", "tail tale", "taught taut", "tea tee",
	"team teem", "tear tier", "their there", "threw through", "throne thrown", "thyme time",
	"tide tied", "toe tow", "to too two", "vain vein vane", "vale veil", "wail whale", "waist waste",
	"wait weight", "warn worn", "way weigh", "weak week", "weather whether", "wear where",
	"which witch", "whine wine", "wood would", "yoke yolk", "your yore", "colonel kernel",
	"cellar seller", "ceiling sealing", "council counsel", "complement compliment", "cast caste",
	"flow floe", "gorilla guerrilla", "hostel hostile", "jewel joule", "marten martin",
	"mousse moose", "mustard mustered", "pistil pistol", "populace populous", "sachet sashay",
	"slow sloe", "stalk stock", "sundae sunday", "tacks tax", "taper tapir", "timber timbre",
	"wax whacks", "wave waive", "world whirled", "seas seize", "size sighs", "quarts quartz",
	"quire choir", "rough ruff", "rhyme rime", "session cession", "shoe shoo", "style stile",
	"sort sought", "tern turn", "hew hue", "jeans genes", "lama llama", "muse mews", "mall maul",
	"pea pee", "phrase frays", "reek wreak", "review revue", "roam rome", "roomer rumor",
	"summary summery", "tire tyre", "vial vile", "wade weighed", "ware wares", "wet whet",
	"wrest rest", "affect effect", "accept except", "access excess", "advice advise", "device devise",
	"ensure insure", "loose lose", "than then", "choral coral", "check cheque", "ball bawl",
	"band banned", "baron barren", "cache cash", "damn dam", "flecks flex", "gild guild",
	"grade grayed", "lightning lightening", "mantel mantle", "mince mints", "miner minor",
	"patience patients", "please pleas", "pride pried", "rapper wrapper", "tense tents", "tray trey",
	"whig wig", "elicit illicit", "eave eve", "fairy ferry", "marry merry", "dairy diary",
	"quiet quite", "angel angle", "costume custom", "moral morale", "cygnet signet", "lumber lumbar",
	"prince prints", "sensor censor", "verses versus", "wind wined", "meter metre", "wander wonder",
	"whirl whorl", "brooch broach", "coax cokes", "humerus humorous", "naught nought", "pi pie",
	"pleural plural", "raise rays raze", "retch wretch", "sweetie sweety", "told tolled",
	"troop troupe", "waiver waver", "yaw your",
	/* clang-format on */
};

static void no_two_words_sound_alike(void **state)
{
	(void)state;
	for (size_t g = 0; g < COUNT_OF(sound_alike); g++) {
		char group[64];
		char *rest = group, *word;
		unsigned found = 0;

		snprintf(group, sizeof(group), "%s", sound_alike[g]);
		while ((word = strsep(&rest, " ")) != NULL) {
			for (unsigned i = 0; i < WORDS_COUNT; i++)
				found += strcmp(words_at(i), word) == 0;
		}
		if (found > 1)
			fail_msg("more than one of %s", sound_alike[g]);
	}
}

static int read_text(unsigned *out, const char *typed)
{
	*out = WORDS_COUNT;
	return words_read(out, span_str(typed));
}

static void three_letters_suffice(void **state)
{
	unsigned index;
	char typed[64];

	(void)state;
	for (unsigned i = 0; i < WORDS_COUNT; i++) {
		assert_int_equal(read_text(&index, words_at(i)), 0);
		assert_int_equal(index, i);
		snprintf(typed, sizeof(typed), " \t%.3s\r\n", words_at(i));
		typed[2] = (char)(typed[2] - 'a' + 'A');
		assert_int_equal(read_text(&index, typed), 0);
		assert_int_equal(index, i);
		assert_int_equal(words_complete(&index, 1, span_from(words_at(i), 3)), 1);
		assert_int_equal(index, i);
	}
	assert_int_equal(words_complete(&index, 1, SPAN_NONE), 0);
	assert_int_equal(words_complete(&index, 1, span_str("zzz")), 0);
}

/* Every slip of every word gives that word, or nothing; never another, but where three letters begin one. */
static void check_slip(const char *typed, unsigned meant)
{
	unsigned index;
	const int r = read_text(&index, typed);

	if (strlen(typed) < WORDS_LEN_MIN)
		assert_int_equal(r, WORDS_UNKNOWN);
	else if (r == 0 && index != meant)
		assert_true(strlen(typed) == 3 && strncmp(words_at(index), typed, 3) == 0);
	else if (r != 0)
		assert_int_equal(r, WORDS_UNKNOWN);
}

static void a_slip_is_never_another_word(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORDS_COUNT; i += 13) { /* each searches the whole list: a sample will do */
		const char *word = words_at(i);
		const size_t len = strlen(word);
		char typed[16];

		for (size_t at = 0; at <= len; at++) {
			snprintf(typed, sizeof(typed), "%.*s%s", (int)at, word,
			         at < len ? word + at + 1 : "");
			check_slip(typed, i);
			for (char c = 'a'; c <= 'z'; c++) {
				snprintf(typed, sizeof(typed), "%.*s%c%s", (int)at, word, c, word + at);
				check_slip(typed, i);
				if (at < len)
					typed[at + 1] = '\0', strcat(typed, word + at + 1);
				check_slip(typed, i);
			}
		}
	}
}

static void slips_are_put_right(void **state)
{
	unsigned index, near[WORDS_NEAR_MAX];
	char typed[64];

	(void)state;
	for (unsigned i = 0; i < WORDS_COUNT; i++) {
		snprintf(typed, sizeof(typed), "%sq", words_at(i)); /* no word ends so */
		assert_int_equal(read_text(&index, typed), 0);
		assert_int_equal(index, i);
		snprintf(typed, sizeof(typed), "%sqq", words_at(i)); /* two slips: not put right, but shown */
		assert_int_equal(read_text(&index, typed), WORDS_UNKNOWN);
		assert_true(words_near(near, span_str(typed)) >= 1);
		assert_int_equal(near[0], i);
	}
	assert_int_equal(read_text(&index, ""), WORDS_UNKNOWN);
	assert_int_equal(read_text(&index, "qqqqqq"), WORDS_UNKNOWN);
	assert_int_equal(words_near(near, span_str("qqqqqqqq")), 0);
	assert_int_equal(read_text(&index, "\x01 \x0e[7"), WORDS_UNKNOWN);
	snprintf(typed, sizeof(typed), "\t%s\x0e", words_at(0)); /* no blank: a slip */
	assert_int_equal(read_text(&index, typed), 0);
	snprintf(typed, sizeof(typed), "%.2s", words_at(0)); /* what begins with it is nearest */
	assert_true(words_near(near, span_str(typed)) >= 1);
	assert_int_equal(near[0], 0);
	memset(typed, 'a', sizeof(typed));
	assert_int_equal(words_read(&index, SPAN(typed)), WORDS_UNKNOWN);
	assert_int_equal(words_near(near, SPAN(typed)), 0);
}

static void a_pass_phrase_is_of_our_words(void **state)
{
	struct random_seeded rng;
	char text[256] = { 0 };
	struct writer w = writer_on(text, sizeof(text) - 1);
	char *rest = text, *word;
	unsigned count = 0, index;

	(void)state;
	random_seeded_init(&rng, 7);
	words_suggest(&w, &rng.base, WORDS_SUGGEST_MAX);
	assert_false(w.failed);
	while ((word = strsep(&rest, " ")) != NULL) {
		assert_int_equal(read_text(&index, word), 0);
		assert_string_equal(words_at(index), word);
		count++;
	}
	assert_int_equal(count, WORDS_SUGGEST_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_short_sorted_and_far_apart),
		cmocka_unit_test(no_word_is_denied),
		cmocka_unit_test(no_two_words_sound_alike),
		cmocka_unit_test(three_letters_suffice),
		cmocka_unit_test(a_slip_is_never_another_word),
		cmocka_unit_test(slips_are_put_right),
		cmocka_unit_test(a_pass_phrase_is_of_our_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
