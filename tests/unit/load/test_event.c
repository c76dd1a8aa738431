/* SPDX-License-Identifier: Apache-2.0
 *
 * Events: the bytes that were promised, and that nothing else passes for one. The plain reading of an event is the reference: the
 * numbers by strtoull, then what encode makes of them must be the very bytes.
 */
#include "../unit.h"

#include <stdio.h>

#include "base/random.h"
#include "load/event.h"

#define TRIES 20000

static char bytes[LOAD_EVENT_MAX], other[LOAD_EVENT_MAX];

static struct load_event any_event(struct rc_prng *prng, uint32_t len)
{
	return (struct load_event){
		.publisher = (uint32_t)rc_prng_next(prng) & UINT16_MAX,
		.channel = (uint32_t)rc_prng_next(prng),
		.len = len,
		.sequence = (rc_prng_next(prng) >> (16 + rc_prng_below(prng, 48))) | 1,
		.time_ns = rc_prng_next(prng) >> rc_prng_below(prng, 64),
	};
}

static uint64_t plain_number(const char *from, size_t digits)
{
	char text[17] = {0};

	memcpy(text, from, digits);
	return strtoull(text, NULL, 16);
}

static bool plain_verify(struct load_event *event, const char *from, size_t len)
{
	if (len < LOAD_EVENT_MIN || memcmp(from, "@rcload:", 8) != 0 ||
		strspn(from + 8, "0123456789abcdef") < 56)
		return false;
	event->publisher = (uint32_t)plain_number(from + 8, 4);
	event->channel = (uint32_t)plain_number(from + 12, 8);
	event->len = (uint32_t)plain_number(from + 20, 8);
	event->sequence = plain_number(from + 28, 12);
	event->time_ns = plain_number(from + 40, 16);
	if (event->len < LOAD_EVENT_MIN || event->len > len || event->sequence == 0)
		return false;
	load_event_encode(other, event);
	return memcmp(other, from, event->len) == 0;
}

static enum load_event_result verify(const char *from, size_t len)
{
	struct load_event event;

	return load_event_verify(&event, from, len);
}

static void assert_same(const struct load_event *a, const struct load_event *b)
{
	assert_int_equal(a->publisher, b->publisher);
	assert_int_equal(a->channel, b->channel);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->sequence, b->sequence);
	assert_int_equal(a->time_ns, b->time_ns);
}

static void event_has_its_numbers_in_lower_case_hexadecimal(void **state)
{
	const struct load_event event = {.publisher = 0xbeef,
		.channel = 0x12c0ffee,
		.len = 200,
		.sequence = 0xabcdef012345,
		.time_ns = 0x0123456789abcdef};

	(void)state;
	load_event_encode(bytes, &event);
	assert_memory_equal(bytes, "@rcload:beef12c0ffee000000c8abcdef0123450123456789abcdef", 56);
	assert_int_equal(strspn(bytes + 56, "0123456789abcdef") >= 8, true);
	for (size_t i = 64; i < event.len; i++)
		assert_true((bytes[i] >= '0' && bytes[i] <= '9') ||
			    (bytes[i] >= 'A' && bytes[i] <= 'Z') ||
			    (bytes[i] >= 'a' && bytes[i] <= 'z'));
}

static void event_comes_back_as_it_was_encoded(void **state)
{
	static const uint32_t lens[] = {64, 65, 79, 80, 127, 128, 129, 1000, 4159, 4160, 4161, 8256,
		8257, 65536, LOAD_EVENT_MAX - 1, LOAD_EVENT_MAX};
	struct rc_prng prng;

	(void)state;
	rc_prng_seed(&prng, 1);
	for (size_t i = 0; i < RC_ARRAY_LEN(lens); i++)
		for (int k = 0; k < 50; k++) {
			struct load_event event = any_event(&prng, lens[i]), back = {0},
					  plain = {0};

			load_event_encode(bytes, &event);
			assert_int_equal(load_event_verify(&back, bytes, event.len), LOAD_EVENT_OK);
			assert_same(&event, &back);
			assert_true(plain_verify(&plain, bytes, event.len));
			assert_same(&event, &plain);
		}
}

static void changed_events_are_judged_as_the_plain_reading_does(void **state)
{
	static const char likely[] = "0123456789abcdefABCDEFgG/:`@z";
	struct rc_prng prng;

	(void)state;
	rc_prng_seed(&prng, 2);
	for (int i = 0; i < TRIES; i++) {
		struct load_event event = any_event(&prng, 64 + rc_prng_below(&prng, 200));
		struct load_event back = {0}, plain = {0};
		bool sound;

		load_event_encode(bytes, &event);
		for (uint32_t k = rc_prng_below(&prng, 3); k > 0; k--)
			bytes[rc_prng_below(&prng, event.len)] =
				likely[rc_prng_below(&prng, sizeof(likely) - 1)];
		sound = load_event_verify(&back, bytes, event.len) == LOAD_EVENT_OK;
		assert_int_equal(sound, plain_verify(&plain, bytes, event.len));
	}
}

static void every_other_byte_in_every_place_is_corrupt(void **state)
{
	const struct load_event event = {
		.publisher = 3, .channel = 17, .len = 130, .sequence = 4711, .time_ns = 1234567890};

	(void)state;
	load_event_encode(bytes, &event);
	for (uint32_t at = 0; at < event.len; at++) {
		char right = bytes[at];

		for (int change = 1; change < 256; change++) {
			bytes[at] = (char)(right ^ change);
			assert_int_equal(verify(bytes, event.len), LOAD_EVENT_CORRUPT);
		}
		bytes[at] = right;
	}
	assert_int_equal(verify(bytes, event.len), LOAD_EVENT_OK);
}

static void upper_case_digits_are_corrupt(void **state)
{
	const struct load_event event = {.publisher = 0xabcd,
		.channel = 0xabcdefab,
		.len = 0xabc,
		.sequence = 0xabcdefabcdef,
		.time_ns = 0xabcdefabcdefabcd};

	(void)state;
	load_event_encode(bytes, &event);
	for (size_t at = 8; at < 64; at++)
		if (bytes[at] >= 'a') {
			bytes[at] = (char)(bytes[at] - 'a' + 'A');
			assert_int_equal(verify(bytes, event.len), LOAD_EVENT_CORRUPT);
			bytes[at] = (char)(bytes[at] - 'A' + 'a');
		}
}

static void padding_of_another_event_is_corrupt(void **state)
{
	struct load_event event = {.publisher = 1, .channel = 5, .len = 128, .time_ns = 99};

	(void)state;
	for (event.sequence = 1; event.sequence < 2000; event.sequence++) {
		struct load_event next = event;

		next.sequence++;
		load_event_encode(bytes, &event);
		load_event_encode(other, &next);
		memcpy(bytes + 64, other + 64, 64);
		assert_int_equal(verify(bytes, 128), LOAD_EVENT_CORRUPT);

		next = event;
		next.channel++;
		load_event_encode(other, &next);
		memcpy(bytes + 64, other + 64, 64);
		assert_int_equal(verify(bytes, 128), LOAD_EVENT_CORRUPT);
	}
}

static void shifted_and_cut_padding_is_corrupt(void **state)
{
	const struct load_event event = {.channel = 1, .len = 20000, .sequence = 9};

	(void)state;
	for (uint32_t at = 64; at < event.len - 1; at += 97) {
		load_event_encode(bytes, &event);
		memmove(bytes + at, bytes + at + 1, event.len - at - 1);
		bytes[event.len - 1] = '@'; /* of the next event */
		assert_int_equal(verify(bytes, event.len), LOAD_EVENT_CORRUPT);
	}
}

static void blocks_that_changed_places_are_corrupt(void **state)
{
	const struct load_event event = {.channel = 1, .len = LOAD_EVENT_MAX, .sequence = 9};
	static char block[4096];

	(void)state;
	load_event_encode(bytes, &event);
	for (uint32_t k = 1; k < 16; k++) {
		memcpy(block, bytes + 64, 4096);
		memcpy(bytes + 64, bytes + 64 + k * 4096, 4096);
		memcpy(bytes + 64 + k * 4096, block, 4096);
		assert_int_equal(verify(bytes, event.len), LOAD_EVENT_CORRUPT);
		memcpy(bytes + 64 + k * 4096, bytes + 64, 4096);
		memcpy(bytes + 64, block, 4096);
	}
	assert_int_equal(verify(bytes, event.len), LOAD_EVENT_OK);
}

static void beginnings_of_an_event_are_partial_and_tell_how_long_it_is(void **state)
{
	const struct load_event event = {.channel = 1, .len = 5000, .sequence = 9};

	(void)state;
	load_event_encode(bytes, &event);
	for (size_t len = 0; len < event.len; len++) {
		struct load_event part = {.len = 1};
		char *cut = malloc(len ? len : 1); /* its end is guarded */

		memcpy(cut, bytes, len);
		assert_int_equal(load_event_verify(&part, cut, len), LOAD_EVENT_PARTIAL);
		assert_int_equal(part.len, len < 64 ? 0 : event.len);
		free(cut);
	}
}

/* With the right check, so that it is the bound that refuses. */
static void numbers_out_of_bounds_are_corrupt(void **state)
{
	static const char *const heads[] = {"0000003f", "00000000", "00100001", "ffffffff"};
	const struct load_event event = {.channel = 1, .len = 64, .sequence = 1};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(heads); i++) {
		load_event_encode(bytes, &event);
		memcpy(bytes + 20, heads[i], 8);
		assert_int_equal(verify(bytes, sizeof(bytes)), LOAD_EVENT_CORRUPT);
	}
	load_event_encode(bytes, &event);
	assert_int_equal(verify("@rcloae:", 8), LOAD_EVENT_CORRUPT);
}

static void padding_holds_no_word_that_profiles_wait_for(void **state)
{
	static const char *const words[] = {"PING", "PONG", "INFO", "MSG", "ERR", "OK", "HTTP"};
	const struct load_event event = {.channel = 1, .len = 64 + 8192, .sequence = 1};

	(void)state;
	load_event_encode(bytes, &event);
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++)
		if (strlen(words[i]) > 2)
			assert_null(memmem(bytes + 64, 8192, words[i], strlen(words[i])));
}

static const char *plain_find(const char *from, size_t len)
{
	for (size_t at = 0; at < len; at++)
		if (memcmp(from + at, LOAD_MAGIC, RC_MIN(len - at, (size_t)LOAD_MAGIC_LEN)) == 0)
			return from + at;
	return from + len;
}

static void find_agrees_with_looking_at_every_place(void **state)
{
	static const char letters[] = "@rcload:@@rx";
	struct rc_prng prng;

	(void)state;
	rc_prng_seed(&prng, 3);
	for (int i = 0; i < TRIES; i++) {
		size_t len = rc_prng_below(&prng, 100);
		char *text = malloc(len + 1);

		for (size_t at = 0; at < len; at++)
			text[at] = letters[rc_prng_below(&prng, sizeof(letters) - 1)];
		if (len > 8 && rc_prng_below(&prng, 2)) {
			size_t at = rc_prng_below(&prng, (uint32_t)len);

			memcpy(text + at, LOAD_MAGIC, RC_MIN(len - at, (size_t)LOAD_MAGIC_LEN));
		}
		assert_ptr_equal(load_event_find(text, len), plain_find(text, len));
		free(text);
	}
}

static void find_takes_the_beginning_of_a_magic_at_the_end(void **state)
{
	static const char text[] = "aa@rc@rclo";

	(void)state;
	assert_ptr_equal(load_event_find(text, 10), text + 5);
	assert_ptr_equal(load_event_find(text, 5), text + 2);
	assert_ptr_equal(load_event_find(text, 2), text + 2);
	assert_ptr_equal(load_event_find(text, 0), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_has_its_numbers_in_lower_case_hexadecimal),
		cmocka_unit_test(event_comes_back_as_it_was_encoded),
		cmocka_unit_test(changed_events_are_judged_as_the_plain_reading_does),
		cmocka_unit_test(every_other_byte_in_every_place_is_corrupt),
		cmocka_unit_test(upper_case_digits_are_corrupt),
		cmocka_unit_test(padding_of_another_event_is_corrupt),
		cmocka_unit_test(shifted_and_cut_padding_is_corrupt),
		cmocka_unit_test(blocks_that_changed_places_are_corrupt),
		cmocka_unit_test(beginnings_of_an_event_are_partial_and_tell_how_long_it_is),
		cmocka_unit_test(numbers_out_of_bounds_are_corrupt),
		cmocka_unit_test(padding_holds_no_word_that_profiles_wait_for),
		cmocka_unit_test(find_agrees_with_looking_at_every_place),
		cmocka_unit_test(find_takes_the_beginning_of_a_magic_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
