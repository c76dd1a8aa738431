/* SPDX-License-Identifier: Apache-2.0
 *
 * A subscriber verifies millions of events a second, so the digits are read 16 at a time (compiler vectors: SSE2 on x86_64,
 * NEON on aarch64) and the padding is compared with a table by memcmp.
 *
 *   digits:  publisher 4, channel 8, length 8, sequence 12 = two vectors of 16 | time 16 | last 8 of time, check 8
 *
 * Padding goes on in blocks of TABLE bytes; block k begins k * BLOCK_STEP further in the table than the first, so that blocks
 * that changed places do not look alike.
 */
#include "event.h"

#include <endian.h>

#define HEAD       LOAD_EVENT_MIN
#define DIGITS     LOAD_MAGIC_LEN /* where they begin */
#define TABLE      4096u          /* a power of two */
#define BLOCK_STEP 1033u

/* Twice the same, so that TABLE bytes from any place are one range. Written before main(), then only read. */
static char table[2 * TABLE];

__attribute__((constructor)) static void fill_table(void)
{
	/* Records as JSON has them, for what deflates: names that come again, and values that do not. 0: a digit, ?: a letter. */
	static const char record[] =
		"SkuQ??00000XNameQ??????X????XQuantityQ0XPriceQ000X00XCurrencyQEURX"
		"StatusQ???????XIdQ00000000????X";
	uint64_t x = 0x2545f4914f6cdd1d;

	for (uint32_t i = 0; i < TABLE; i++) {
		char c = record[i % (sizeof(record) - 1)];

		x = x * 6364136223846793005u + 1442695040888963407u;
		if (c == '0')
			c = (char)('0' + (int)((x >> 33) % 10));
		else if (c == '?')
			c = (char)('a' + (int)((x >> 33) % 26));
		table[i] = c;
		table[i + TABLE] = table[i];
	}
}

/* Odd factors: no two of 4096 neighbours in sequence, or of 4096 neighbouring channels, begin at the same place. */
static uint32_t place_of(const struct load_event *event)
{
	return ((uint32_t)event->sequence * 2531 + event->channel * 1597) % TABLE;
}

static uint32_t check_of(const struct load_event *event)
{
	uint64_t x = 0x51ab3c6d97e2f405u ^ event->sequence << 16 ^ event->publisher;

	x *= 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 32 ^ (uint64_t)event->channel << 32 ^ event->len) * 0xd6e8feb86659fd93u;
	x = (x ^ x >> 32 ^ event->time_ns) * 0xa0761d6478bd642fu;
	return (uint32_t)((x ^ x >> 32) * 0xe7037ed1a0b428dbu >> 32);
}

/* ---- writing ----------------------------------------------------------------------------------- */

/* The eight digits of a word: a nibble to a byte, then '0' or, from ten on, 'a' - 10 added to each. */
static char *put_digits(char *out, uint32_t word)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t x = word;

	x = (x & 0xffff0000u) << 16 | (x & 0xffffu);
	x = (x & 0x0000ff000000ff00u) << 8 | (x & 0x000000ff000000ffu);
	x = (x & 0x00f000f000f000f0u) << 4 | (x & 0x000f000f000f000fu);
	x += ones * '0' + ((x + ones * 6) >> 4 & ones) * ('a' - 10 - '0');
	x = htobe64(x);
	memcpy(out, &x, sizeof(x));
	return out + sizeof(x);
}

static void put_padding(char *out, uint32_t len, uint32_t place)
{
	while (len > TABLE) {
		memcpy(out, table + place, TABLE);
		out += TABLE;
		len -= TABLE;
		place = (place + BLOCK_STEP) % TABLE;
	}
	memcpy(out, table + place, len);
}

void load_event_encode(char *out, const struct load_event *event)
{
	uint64_t sequence = event->sequence;
	char *at = out + DIGITS;

	RC_ASSERT(event->len >= LOAD_EVENT_MIN && event->len <= LOAD_EVENT_MAX);
	RC_DASSERT(event->publisher <= UINT16_MAX && sequence > 0 && sequence >> 48 == 0);
	memcpy(out, LOAD_MAGIC, LOAD_MAGIC_LEN);
	at = put_digits(at, event->publisher << 16 | event->channel >> 16);
	at = put_digits(at, event->channel << 16 | event->len >> 16);
	at = put_digits(at, event->len << 16 | (uint32_t)(sequence >> 32));
	at = put_digits(at, (uint32_t)sequence);
	at = put_digits(at, (uint32_t)(event->time_ns >> 32));
	at = put_digits(at, (uint32_t)event->time_ns);
	at = put_digits(at, check_of(event));
	put_padding(at, event->len - HEAD, place_of(event));
}

/* ---- reading ----------------------------------------------------------------------------------- */

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef uint16_t words8 __attribute__((vector_size(16)));

/* Sixteen digits are eight bytes, the first digit on top. What is no lower-case digit leaves a bit in *bad. */
static inline uint64_t take_digits(const char *from, bytes16 *bad)
{
	bytes16 text, is_number, is_letter, nibble;
	words8 pair;
	bytes8 packed;
	uint64_t word;

	memcpy(&text, from, sizeof(text));
	is_number = (bytes16)(text - '0' < 10);
	is_letter = (bytes16)(text - 'a' < 6);
	*bad |= ~(is_number | is_letter);
	nibble = ((text - '0') & is_number) | ((text - ('a' - 10)) & is_letter);
	/* In a word of a little-endian machine the first of two digits is the lower byte. */
	pair = (words8)nibble;
	packed = __builtin_convertvector((pair << 4 | pair >> 8) & 0xff, bytes8);
	memcpy(&word, &packed, sizeof(word));
	return be64toh(word);
}

static inline bool head_is_sound(struct load_event *event, const char *bytes)
{
	bytes16 bad = {0};
	uint64_t first = take_digits(bytes + DIGITS, &bad);
	uint64_t second = take_digits(bytes + DIGITS + 16, &bad);
	uint64_t time = take_digits(bytes + DIGITS + 32, &bad);
	uint64_t last = take_digits(bytes + HEAD - 16, &bad);
	uint64_t bad_bits[2];

	event->publisher = (uint32_t)(first >> 48);
	event->channel = (uint32_t)(first >> 16);
	event->len = (uint32_t)(first << 16 | second >> 48);
	event->sequence = second & 0xffffffffffffu;
	event->time_ns = time;
	memcpy(bad_bits, &bad, sizeof(bad));
	return (bad_bits[0] | bad_bits[1]) == 0 && (uint32_t)last == check_of(event) &&
	       event->len >= LOAD_EVENT_MIN && event->len <= LOAD_EVENT_MAX && event->sequence > 0;
}

static bool padding_is_sound(const char *bytes, uint32_t len, uint32_t place)
{
	while (len > TABLE) {
		if (memcmp(bytes, table + place, TABLE) != 0)
			return false;
		bytes += TABLE;
		len -= TABLE;
		place = (place + BLOCK_STEP) % TABLE;
	}
	return memcmp(bytes, table + place, len) == 0;
}

enum load_event_result load_event_verify(struct load_event *event, const char *bytes, size_t len)
{
	if (RC_UNLIKELY(len < HEAD)) {
		event->len = 0;
		return memcmp(bytes, LOAD_MAGIC, RC_MIN(len, LOAD_MAGIC_LEN)) != 0
			       ? LOAD_EVENT_CORRUPT
			       : LOAD_EVENT_PARTIAL;
	}
	if (memcmp(bytes, LOAD_MAGIC, LOAD_MAGIC_LEN) != 0 || !head_is_sound(event, bytes))
		return LOAD_EVENT_CORRUPT;
	if (len < event->len)
		return LOAD_EVENT_PARTIAL;
	return padding_is_sound(bytes + HEAD, event->len - HEAD, place_of(event))
		       ? LOAD_EVENT_OK
		       : LOAD_EVENT_CORRUPT;
}

const char *load_event_find(const char *bytes, size_t len)
{
	const char *end = bytes + len, *at = bytes;

	while (at != end && (at = memchr(at, LOAD_MAGIC[0], (size_t)(end - at)))) {
		if (memcmp(at, LOAD_MAGIC, RC_MIN((size_t)(end - at), LOAD_MAGIC_LEN)) == 0)
			return at;
		at++;
	}
	return end;
}
