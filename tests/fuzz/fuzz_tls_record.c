/* SPDX-License-Identifier: Apache-2.0
 *
 * The record layer and a peer that sends anything. The first byte chooses version, cipher and one of two games:
 *
 *   stream  the rest is what came from the socket, under keys that are always the same. What the layer says does not depend on
 *           how it comes in pieces; what it gives lies inside its record; who is refused leaves the sequence where it was.
 *   forge   the rest is a list of steps: a record is sealed, something done to it, and it is opened. Genuine ones come out as
 *           they went in, no others come out at all.
 */
#include "tls/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP_LEN 8u

static struct rc_tls_engine *engine;

static void check_asks(
	enum rc_tls_version version, uint8_t type, const unsigned char *at, uint32_t len)
{
	int asks = rc_tls_asks(version, type, at, len);

	RC_ASSERT(asks > -256 && asks <= RC_TLS_ASKS_UPDATE_BOTH);
	if (asks == RC_TLS_ASKS_UPDATE || asks == RC_TLS_ASKS_UPDATE_BOTH)
		RC_ASSERT(version == RC_TLS_1_3 && type == RC_TLS_HANDSHAKE && len == 5);
}

/* Fewer bytes of the same record: it is waited for, or refused for the same reason, and not touched. */
static void in_pieces(const struct rc_tls_keys *k, const uint8_t *data, size_t limit,
	int32_t whole_rc, uint32_t whole_need)
{
	for (size_t cut = 0; cut < limit; cut += 1 + cut / 2) {
		unsigned char *part = malloc(cut ? cut : 1);
		struct rc_tls_keys keys = *k;
		struct rc_tls_opened got;
		uint32_t need = 0;
		int32_t rc;

		if (!part)
			return;
		if (cut)
			memcpy(part, data, cut);
		rc = rc_tls_open(engine, &keys, part, cut, &got, &need);
		RC_ASSERT(rc == 0 || rc == whole_rc);
		RC_ASSERT(rc != 0 || need == (cut < RC_TLS_HEADER ? RC_TLS_HEADER : whole_need));
		RC_ASSERT(rc < 0 || need > cut);
		RC_ASSERT(memcmp(&keys, k, sizeof(keys)) == 0);
		RC_ASSERT(cut == 0 || memcmp(part, data, cut) == 0);
		free(part);
	}
}

static void stream(struct rc_tls_keys *k, const uint8_t *data, size_t size)
{
	int32_t rc = 1;

	while (rc > 0) {
		/* A copy of its own for each step, so that a read beyond the end is seen. */
		unsigned char *at = malloc(size ? size : 1);
		struct rc_tls_keys before = *k;
		struct rc_tls_opened got = {0};
		uint32_t need = 0;

		if (!at)
			return;
		if (size)
			memcpy(at, data, size);
		rc = rc_tls_open(engine, k, at, size, &got, &need);
		if (rc > 0) {
			RC_ASSERT((size_t)rc <= size && (uint32_t)rc == need &&
				  need <= RC_TLS_RECORD_MAX);
			RC_ASSERT(got.data >= at + RC_TLS_HEADER && got.data + got.len <= at + rc);
			RC_ASSERT(got.len <= RC_TLS_PLAIN_MAX);
			RC_ASSERT(got.len > 0 || got.type == RC_TLS_DATA);
			RC_ASSERT(k->receive.sequence == before.receive.sequence + 1);
			if (got.type != RC_TLS_DATA)
				check_asks((enum rc_tls_version)k->version, got.type, got.data,
					got.len);
		} else if (rc == 0) {
			RC_ASSERT(need > size && need <= RC_TLS_RECORD_MAX);
		}
		/* An unexpected inner type is found out only after the record was counted. */
		if (rc <= 0 && rc != -RC_TLS_ALERT_UNEXPECTED_MESSAGE)
			RC_ASSERT(memcmp(k, &before, sizeof(before)) == 0);
		/* Where the header was good, the whole record is no piece. */
		in_pieces(&before, data, need > RC_TLS_HEADER ? RC_MIN(size, (size_t)need) : size,
			rc < 0 ? rc : 0, need);
		free(at);
		if (rc > 0) {
			data += rc;
			size -= (size_t)rc;
		}
	}
}

/* One step: kind, type, length (2), place (2), mask, and what the bytes are made of. Returns whether the stream goes on. */
static bool step(struct rc_tls_keys *ours, struct rc_tls_keys *theirs, const uint8_t *s)
{
	enum { AS_IT_IS, CHANGED, CUT, TWICE, BACK, KINDS };
	static const uint8_t types[] = {RC_TLS_DATA, RC_TLS_ALERT, RC_TLS_HANDSHAKE};
	uint8_t type = types[s[1] % 3];
	uint32_t len = 1 + ((uint32_t)s[2] << 8 | s[3]) % RC_TLS_PLAIN_MAX, need = 0;
	uint32_t place = (uint32_t)s[4] << 8 | s[5];
	size_t sealed_len = rc_tls_sealed_len(ours, len, RC_TLS_PLAIN_MAX), room = sealed_len;
	unsigned char *plain = malloc(len), *wire = malloc(room), *again = malloc(room);
	struct rc_tls_opened got = {0};
	bool goes_on = true;
	int32_t rc;

	RC_ASSERT(plain != NULL && wire != NULL && again != NULL);
	memset(plain, s[7], len);
	RC_ASSERT(rc_tls_seal(engine, ours, (enum rc_tls_type)type, plain, len, RC_TLS_PLAIN_MAX,
			  wire) == sealed_len);
	memcpy(again, wire, sealed_len);
	switch (s[0] % KINDS) {
	case CHANGED:
		/* The minor version is authenticated too. */
		wire[place % sealed_len] ^= s[6];
		if (s[6] == 0)
			break;
		rc = rc_tls_open(engine, theirs, wire, sealed_len, &got, &need);
		RC_ASSERT(rc <= 0);
		goes_on = false;
		break;
	case CUT:
		RC_ASSERT(rc_tls_open(engine, theirs, wire, place % sealed_len, &got, &need) == 0);
		break;
	case BACK:
		ours->send.sequence--;
		RC_ASSERT(rc_tls_seal(engine, ours, (enum rc_tls_type)type, plain, len,
				  RC_TLS_PLAIN_MAX, wire) == sealed_len);
		RC_ASSERT(memcmp(wire, again, sealed_len) == 0);
		break;
	default:
		break;
	}
	if (goes_on) {
		rc = rc_tls_open(engine, theirs, wire, sealed_len, &got, &need);
		RC_ASSERT(rc == (int32_t)sealed_len && need == sealed_len);
		RC_ASSERT(got.type == type && got.len == len && memcmp(got.data, plain, len) == 0);
		if (type != RC_TLS_DATA)
			check_asks((enum rc_tls_version)ours->version, type, got.data, len);
		if (s[0] % KINDS == TWICE)
			RC_ASSERT(rc_tls_open(engine, theirs, again, sealed_len, &got, &need) ==
				  -RC_TLS_ALERT_BAD_RECORD_MAC);
		if (ours->version == RC_TLS_1_3 && s[6] == 0xff)
			RC_ASSERT(rc_tls_keys_next(ours, &ours->send) == 0 &&
				  rc_tls_keys_next(theirs, &theirs->receive) == 0);
	}
	free(plain);
	free(wire);
	free(again);
	return goes_on;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rc_tls_keys made[2][RC_TLS_VERSIONS][RC_TLS_CIPHERS];
	struct rc_tls_keys ours, theirs;
	uint32_t version, cipher;

	if (!engine) {
		uint8_t a[RC_TLS_SECRET_MAX], b[RC_TLS_SECRET_MAX];

		memset(a, 0x11, sizeof(a));
		memset(b, 0x22, sizeof(b));
		engine = rc_tls_engine_open();
		RC_ASSERT(engine != NULL);
		for (int end = 0; end < 2; end++)
			for (int c = 0; c < RC_TLS_CIPHERS; c++)
				RC_ASSERT(
					rc_tls_keys_12(&made[end][RC_TLS_1_2][c],
						(enum rc_tls_cipher)c, 32, a, a, b,
						end == 0) == 0 &&
					rc_tls_keys_13(&made[end][RC_TLS_1_3][c],
						(enum rc_tls_cipher)c, a, b, 32, 0, end == 0) == 0);
	}
	if (size == 0)
		return 0;
	version = data[0] & 1;
	cipher = (data[0] >> 1) % RC_TLS_CIPHERS;
	ours = made[0][version][cipher];
	theirs = made[1][version][cipher];
	if (data[0] & 0x80) {
		for (size_t at = 1; at + STEP_LEN <= size; at += STEP_LEN)
			if (!step(&ours, &theirs, data + at))
				break;
	} else {
		stream(&theirs, data + 1, size - 1);
	}
	return 0;
}
