/* SPDX-License-Identifier: Apache-2.0
 *
 * One context per cipher and direction: turning a context round costs more than keying it.
 *
 *   1.3            23 03 03 len | cipher text of (bytes, type, zeros) | tag     nonce = iv xor sequence
 *   1.2 AES-GCM  type 03 03 len | explicit nonce (8) | cipher text    | tag     nonce = salt, explicit nonce
 *   1.2 ChaCha20 type 03 03 len | cipher text                         | tag     nonce = iv xor sequence
 */
#include "tls/record.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define TAG_LEN      16u
#define SALT_LEN     4u
#define EXPLICIT_LEN 8u
#define AAD_MAX      13u
#define VERSION_HIGH 3u

enum { OPENING, SEALING, DIRECTIONS };

struct rc_tls_engine {
	EVP_CIPHER_CTX *ctx[RC_TLS_CIPHERS][DIRECTIONS];
};

struct rc_tls_engine *rc_tls_engine_open(void)
{
	static const char *const names[RC_TLS_CIPHERS] = {
		"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
	struct rc_tls_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++) {
		EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, names[cipher], NULL);
		bool ok = fetched != NULL;

		for (int way = 0; ok && way < DIRECTIONS; way++) {
			EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
			e->ctx[cipher][way] = ctx;
			ok = ctx && EVP_CipherInit_ex2(
					    ctx, fetched, NULL, NULL, way == SEALING, NULL) == 1;
		}
		EVP_CIPHER_free(fetched);
		if (!ok) {
			ERR_clear_error();
			rc_tls_engine_close(e);
			return NULL;
		}
	}
	return e;
}

void rc_tls_engine_close(struct rc_tls_engine *e)
{
	if (!e)
		return;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++)
		for (int way = 0; way < DIRECTIONS; way++)
			EVP_CIPHER_CTX_free(e->ctx[cipher][way]);
	free(e);
}

static void put_u16(unsigned char *out, uint32_t value)
{
	out[0] = (unsigned char)(value >> 8);
	out[1] = (unsigned char)value;
}

static void put_u64(unsigned char *out, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(out, &value, sizeof(value));
}

static uint64_t get_u64(const unsigned char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return __builtin_bswap64(value);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the two above swap");

/* Bytes between the header and the cipher text. */
static uint32_t explicit_len(const struct rc_tls_keys *k)
{
	return k->version == RC_TLS_1_2 && k->cipher != RC_TLS_CHACHA20_POLY1305 ? EXPLICIT_LEN : 0;
}

/* Bytes within the cipher text that are not the caller's: the inner type. */
static uint32_t inner_len(const struct rc_tls_keys *k)
{
	return k->version == RC_TLS_1_3 ? 1 : 0;
}

uint32_t rc_tls_overhead(const struct rc_tls_keys *k)
{
	return RC_TLS_HEADER + explicit_len(k) + inner_len(k) + TAG_LEN;
}

static size_t records_of(size_t len, uint32_t record_max)
{
	RC_ASSERT(record_max > 0 && record_max <= RC_TLS_PLAIN_MAX);
	return len / record_max + (len % record_max != 0);
}

size_t rc_tls_sealed_len(const struct rc_tls_keys *k, size_t len, uint32_t record_max)
{
	return len + records_of(len, record_max) * rc_tls_overhead(k);
}

static void xor_nonce(
	const struct rc_tls_direction *d, uint64_t sequence, unsigned char nonce[RC_TLS_IV])
{
	memcpy(nonce, d->iv, SALT_LEN);
	put_u64(nonce + SALT_LEN, get_u64(d->iv + SALT_LEN) ^ sequence);
}

/* What is authenticated besides the text, from the record's header as it is on the wire. Returns its length. */
static int aad_of(const struct rc_tls_keys *k, uint64_t sequence, const unsigned char *header,
	uint32_t plain_len, unsigned char aad[AAD_MAX])
{
	if (k->version == RC_TLS_1_3) {
		memcpy(aad, header, RC_TLS_HEADER);
		return (int)RC_TLS_HEADER;
	}
	put_u64(aad, sequence);
	memcpy(aad + 8, header, 3);
	put_u16(aad + 11, plain_len);
	return (int)AAD_MAX;
}

/* key is NULL when the context has it from the record before. */
static bool seal_record(EVP_CIPHER_CTX *ctx, const struct rc_tls_keys *k, const uint8_t *key,
	uint64_t sequence, uint8_t type, const unsigned char *bytes, uint32_t len,
	unsigned char *out)
{
	unsigned char nonce[RC_TLS_IV], aad[AAD_MAX];
	unsigned char *text = out + RC_TLS_HEADER + explicit_len(k);
	unsigned char *tag = text + len + inner_len(k);
	int aad_len, moved;

	out[0] = k->version == RC_TLS_1_3 ? (unsigned char)RC_TLS_DATA : type;
	out[1] = VERSION_HIGH;
	out[2] = 3;
	put_u16(out + 3, rc_tls_overhead(k) - RC_TLS_HEADER + len);
	if (explicit_len(k)) {
		memcpy(nonce, k->send.iv, SALT_LEN);
		put_u64(nonce + SALT_LEN, get_u64(k->send.iv + SALT_LEN) + sequence);
		memcpy(out + RC_TLS_HEADER, nonce + SALT_LEN, EXPLICIT_LEN);
	} else {
		xor_nonce(&k->send, sequence, nonce);
	}
	aad_len = aad_of(k, sequence, out, len, aad);
	return EVP_CipherInit_ex2(ctx, NULL, key, nonce, -1, NULL) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &moved, aad, aad_len) == 1 &&
	       EVP_EncryptUpdate(ctx, text, &moved, bytes, (int)len) == 1 &&
	       (!inner_len(k) || EVP_EncryptUpdate(ctx, text + len, &moved, &type, 1) == 1) &&
	       EVP_EncryptFinal_ex(ctx, tag, &moved) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)TAG_LEN, tag) == 1;
}

size_t rc_tls_seal(struct rc_tls_engine *e, struct rc_tls_keys *k, enum rc_tls_type type,
	const void *bytes, size_t len, uint32_t record_max, unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = e->ctx[k->cipher][SEALING];
	const unsigned char *from = bytes;
	const uint8_t *key = k->send.key;
	uint64_t sequence = k->send.sequence;
	unsigned char *to = out;

	RC_ASSERT(len > 0);
	/* A sequence that came round would use its nonces again. */
	if (records_of(len, record_max) > UINT64_MAX - sequence)
		return 0;
	while (len > 0) {
		uint32_t part = (uint32_t)RC_MIN(len, (size_t)record_max);
		if (!seal_record(ctx, k, key, sequence, (uint8_t)type, from, part, to)) {
			ERR_clear_error();
			return 0;
		}
		key = NULL;
		sequence++;
		from += part;
		len -= part;
		to += part + rc_tls_overhead(k);
	}
	k->send.sequence = sequence;
	return (size_t)(to - out);
}

/* 0, or minus the alert. Whatever the header alone can tell is told before the record is complete. */
static int32_t check_header(const struct rc_tls_keys *k, const unsigned char *header)
{
	uint32_t len = (uint32_t)header[3] << 8 | header[4];
	uint32_t extra = rc_tls_overhead(k) - RC_TLS_HEADER;

	if (header[0] < RC_TLS_CHANGE_CIPHER_SPEC || header[0] > RC_TLS_DATA)
		return -RC_TLS_ALERT_UNEXPECTED_MESSAGE;
	if (header[1] != VERSION_HIGH || header[2] < 1 || header[2] > 4)
		return -RC_TLS_ALERT_PROTOCOL_VERSION;
	/* The change_cipher_spec that RFC 8446 5 wants dropped has its place before the client's Finished, which OpenSSL read; from
	 * then on it is an unexpected record like every other that is not encrypted. */
	if (k->version == RC_TLS_1_3 && header[0] != RC_TLS_DATA)
		return -RC_TLS_ALERT_UNEXPECTED_MESSAGE;
	/* The RFCs allow 256 and 2048 bytes more, for ciphers with more overhead. With these here a longer record can only hold
	 * more than the plain text may have, which is the same alert. */
	if (len > RC_TLS_PLAIN_MAX + extra)
		return -RC_TLS_ALERT_RECORD_OVERFLOW;
	if (len < explicit_len(k) + TAG_LEN)
		return -RC_TLS_ALERT_BAD_RECORD_MAC;
	return 0;
}

/* Opens text in place; what did not prove genuine is wiped. 0, or minus the alert. */
static int32_t open_text(EVP_CIPHER_CTX *ctx, const struct rc_tls_keys *k,
	const unsigned char *header, unsigned char *text, uint32_t text_len)
{
	unsigned char nonce[RC_TLS_IV], aad[AAD_MAX], none[TAG_LEN];
	int aad_len, moved;

	if (explicit_len(k)) {
		memcpy(nonce, k->receive.iv, SALT_LEN);
		memcpy(nonce + SALT_LEN, header + RC_TLS_HEADER, EXPLICIT_LEN);
	} else {
		xor_nonce(&k->receive, k->receive.sequence, nonce);
	}
	aad_len = aad_of(k, k->receive.sequence, header, text_len, aad);
	if (EVP_CipherInit_ex2(ctx, NULL, k->receive.key, nonce, -1, NULL) != 1 ||
		EVP_DecryptUpdate(ctx, NULL, &moved, aad, aad_len) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)TAG_LEN, text + text_len) !=
			1 ||
		(text_len > 0 && EVP_DecryptUpdate(ctx, text, &moved, text, (int)text_len) != 1)) {
		OPENSSL_cleanse(text, text_len);
		ERR_clear_error();
		return -RC_TLS_ALERT_INTERNAL_ERROR;
	}
	if (EVP_DecryptFinal_ex(ctx, none, &moved) != 1) {
		OPENSSL_cleanse(text, text_len);
		ERR_clear_error();
		return -RC_TLS_ALERT_BAD_RECORD_MAC;
	}
	return 0;
}

/* Type and length of what was opened: 1.3 has the type at the end, with zeros behind it that say nothing. */
static bool find_type(const struct rc_tls_keys *k, struct rc_tls_opened *out)
{
	if (k->version == RC_TLS_1_3) {
		while (out->len > 0 && out->data[out->len - 1] == 0)
			out->len--;
		if (out->len == 0)
			return false;
		out->type = out->data[--out->len];
		if (out->type < RC_TLS_ALERT || out->type > RC_TLS_DATA)
			return false;
	}
	return out->len > 0 || out->type == RC_TLS_DATA;
}

int32_t rc_tls_open(struct rc_tls_engine *e, struct rc_tls_keys *k, unsigned char *bytes,
	size_t len, struct rc_tls_opened *out, uint32_t *need)
{
	uint32_t total;
	int32_t rc;

	*need = RC_TLS_HEADER;
	if (len < RC_TLS_HEADER)
		return 0;
	rc = check_header(k, bytes);
	if (rc != 0)
		return rc;
	total = RC_TLS_HEADER + ((uint32_t)bytes[3] << 8 | bytes[4]);
	*need = total;
	if (len < total)
		return 0;
	if (k->receive.sequence == UINT64_MAX)
		return -RC_TLS_ALERT_INTERNAL_ERROR;
	out->type = bytes[0];
	out->data = bytes + RC_TLS_HEADER + explicit_len(k);
	out->len = total - RC_TLS_HEADER - explicit_len(k) - TAG_LEN;
	rc = open_text(e->ctx[k->cipher][OPENING], k, bytes, out->data, out->len);
	if (rc != 0)
		return rc;
	k->receive.sequence++;
	if (!find_type(k, out))
		return -RC_TLS_ALERT_UNEXPECTED_MESSAGE;
	return (int32_t)total;
}

static int alert_asks(enum rc_tls_version version, const unsigned char *data, uint32_t len)
{
	if (len != 2)
		return -RC_TLS_ALERT_DECODE_ERROR;
	/* 1.3 has no levels: the byte is still there, and is not to be looked at. */
	if (version == RC_TLS_1_2) {
		if (data[0] != 1 && data[0] != 2)
			return -RC_TLS_ALERT_ILLEGAL_PARAMETER;
		if (data[0] == 2)
			return RC_TLS_ASKS_END;
		/* The answer to what we never ask for; it is only ever a warning. */
		if (data[1] == RC_TLS_ALERT_NO_RENEGOTIATION)
			return RC_TLS_ASKS_NOTHING;
	}
	switch (data[1]) {
	case RC_TLS_ALERT_CLOSE_NOTIFY:
		return RC_TLS_ASKS_CLOSE;
	case RC_TLS_ALERT_USER_CANCELED: /* a close_notify follows */
		return RC_TLS_ASKS_NOTHING;
	default:
		return RC_TLS_ASKS_END;
	}
}

static int handshake_asks(enum rc_tls_version version, const unsigned char *data, uint32_t len)
{
	enum { CLIENT_HELLO = 1, KEY_UPDATE = 24, KEY_UPDATE_LEN = 5 };

	if (version == RC_TLS_1_2)
		return data[0] == CLIENT_HELLO ? -RC_TLS_ALERT_NO_RENEGOTIATION
					       : -RC_TLS_ALERT_UNEXPECTED_MESSAGE;
	if (data[0] != KEY_UPDATE || len != KEY_UPDATE_LEN)
		return -RC_TLS_ALERT_UNEXPECTED_MESSAGE;
	if (data[1] != 0 || data[2] != 0 || data[3] != 1)
		return -RC_TLS_ALERT_DECODE_ERROR;
	if (data[4] > 1)
		return -RC_TLS_ALERT_ILLEGAL_PARAMETER;
	return data[4] == 1 ? RC_TLS_ASKS_UPDATE_BOTH : RC_TLS_ASKS_UPDATE;
}

int rc_tls_asks(enum rc_tls_version version, uint8_t type, const unsigned char *data, uint32_t len)
{
	if (len == 0)
		return -RC_TLS_ALERT_UNEXPECTED_MESSAGE;
	if (type == RC_TLS_ALERT)
		return alert_asks(version, data, len);
	if (type == RC_TLS_HANDSHAKE)
		return handshake_asks(version, data, len);
	return -RC_TLS_ALERT_UNEXPECTED_MESSAGE;
}
