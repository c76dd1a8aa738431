/* SPDX-License-Identifier: Apache-2.0
 *
 * Expanding: parts to bytes. A block's length stands in front of it and is known behind it: room is left and filled in.
 */
#include "template_part.h"

#define DECIMAL_MAX  20u /* digits of the largest size_t */
#define VARINT_BYTES 4u
#define VARINT_MAX   0xfffffffu

struct output {
	unsigned char *first, *at, *end;
	bool failed;
	uint32_t depth;
	struct {
		enum load_part_kind kind;
		unsigned char *length; /* where it will stand; the block begins behind it */
	} block[LOAD_DEPTH_MAX];
};

static void put(struct output *o, const void *bytes, size_t len)
{
	if (len > (size_t)(o->end - o->at)) {
		o->failed = true;
		return;
	}
	o->at = rc_str_copy(o->at, (struct rc_str){bytes, len});
}

static void put_decimal(struct output *o, uint64_t number)
{
	char digits[DECIMAL_MAX];
	size_t first = DECIMAL_MAX;

	do
		digits[--first] = (char)('0' + number % 10);
	while (number /= 10);
	put(o, digits + first, DECIMAL_MAX - first);
}

/* The lowest `size` bytes of the number. */
static void put_binary(struct output *o, uint64_t number, size_t size)
{
	unsigned char bytes[4];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(number >> 8 * (size - 1 - i));
	put(o, bytes, size);
}

static void put_behind_length(struct output *o, struct rc_str s, size_t size)
{
	if (s.len >> 8 * size)
		o->failed = true;
	put_binary(o, s.len, size);
	put(o, s.ptr, s.len);
}

static size_t length_size(enum load_part_kind block)
{
	return block == LOAD_PART_U8_BLOCK ? 1 : block == LOAD_PART_U16_BLOCK ? 2 : VARINT_BYTES;
}

static void begin_block(struct output *o, enum load_part_kind kind)
{
	static const char room[VARINT_BYTES];

	o->block[o->depth].kind = kind;
	o->block[o->depth++].length = o->at;
	put(o, room, length_size(kind));
}

/* The length in as few bytes as it needs; the block moves up to it. */
static void end_mqtt(struct output *o, unsigned char *length, size_t len)
{
	unsigned char *at = length;
	size_t left = len;

	o->failed = o->failed || len > VARINT_MAX;
	if (o->failed)
		return;
	do
		*at++ = (unsigned char)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
	while (left >>= 7);
	memmove(at, length + VARINT_BYTES, len);
	o->at = at + len;
}

static void end_block(struct output *o)
{
	enum load_part_kind kind = o->block[--o->depth].kind;
	unsigned char *length = o->block[o->depth].length, *end = o->at;
	size_t size = length_size(kind), len;

	if (o->failed)
		return;
	len = (size_t)(end - length) - size;
	if (kind == LOAD_PART_MQTT_BLOCK) {
		end_mqtt(o, length, len);
		return;
	}
	o->failed = len >> 8 * size != 0;
	o->at = length;
	put_binary(o, len, size);
	o->at = end;
}

static void put_part(struct output *o, const struct load_template *t, const struct load_part *part,
	const struct load_values *v)
{
	switch (part->kind) {
	case LOAD_PART_LITERAL:
		put(o, t->bytes + part->first, part->len);
		break;
	case LOAD_PART_CHANNEL:
		put(o, v->channel.ptr, v->channel.len);
		break;
	case LOAD_PART_PAYLOAD:
		put(o, v->payload.ptr, v->payload.len);
		break;
	case LOAD_PART_SINCE:
		put(o, v->since.ptr, v->since.len);
		break;
	case LOAD_PART_NUMBER:
		put_decimal(o, v->number);
		break;
	case LOAD_PART_SESSION:
		put_decimal(o, v->session);
		break;
	case LOAD_PART_FILTER:
		put_decimal(o, v->filter);
		break;
	case LOAD_PART_LEN:
		put_decimal(o, v->payload.len);
		break;
	case LOAD_PART_U8_CHANNEL:
	case LOAD_PART_U16_CHANNEL:
		put_behind_length(o, v->channel, part->kind == LOAD_PART_U8_CHANNEL ? 1 : 2);
		break;
	case LOAD_PART_U8_PAYLOAD:
	case LOAD_PART_U16_PAYLOAD:
		put_behind_length(o, v->payload, part->kind == LOAD_PART_U8_PAYLOAD ? 1 : 2);
		break;
	case LOAD_PART_NUMBER_16:
		put_binary(o, v->number, 2);
		break;
	case LOAD_PART_NUMBER_32:
		put_binary(o, v->number, 4);
		break;
	case LOAD_PART_PACKET:
		put_binary(o, v->number % UINT16_MAX + 1, 2);
		break;
	case LOAD_PART_U8_BLOCK:
	case LOAD_PART_U16_BLOCK:
	case LOAD_PART_MQTT_BLOCK:
		begin_block(o, part->kind);
		break;
	case LOAD_PART_END:
		end_block(o);
		break;
	}
}

size_t load_template_expand(
	const struct load_template *t, const struct load_values *values, void *out, size_t cap)
{
	struct output o = {.first = out, .at = out, .end = out};

	if (cap) /* out may be NULL without */
		o.end += cap;
	for (uint32_t i = 0; i < t->parts; i++)
		put_part(&o, t, &t->part[i], values);
	return o.failed ? 0 : (size_t)(o.at - o.first);
}

size_t load_template_bound(
	const struct load_template *t, size_t channel_len, size_t payload_len, size_t since_len)
{
	size_t bound = 0;

	for (uint32_t i = 0; i < t->parts; i++)
		switch (t->part[i].kind) {
		case LOAD_PART_LITERAL:
			bound += t->part[i].len;
			break;
		case LOAD_PART_CHANNEL:
		case LOAD_PART_U8_CHANNEL:
		case LOAD_PART_U16_CHANNEL:
			bound += 2 + channel_len;
			break;
		case LOAD_PART_PAYLOAD:
		case LOAD_PART_U8_PAYLOAD:
		case LOAD_PART_U16_PAYLOAD:
			bound += 2 + payload_len;
			break;
		case LOAD_PART_SINCE:
			bound += since_len;
			break;
		default:
			bound += DECIMAL_MAX;
		}
	return bound;
}

bool load_template_empty(const struct load_template *t)
{
	return t->parts == 0;
}
