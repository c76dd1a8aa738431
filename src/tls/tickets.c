/* SPDX-License-Identifier: Apache-2.0
 *
 * A ticket is sealed with AES-256-CBC and HMAC-SHA256 under a random key that lives in memory only. A key makes tickets for
 * half a lifetime and is understood for one lifetime more:
 *
 *   made ──── makes tickets ────▶ replaced ──────── is understood ────────▶ gone
 *        half a lifetime                    lifetime
 *
 * so three keys are there at most, four when the main thread is late. A mutex guards them: it is held for a copy of 80 bytes, once or
 * twice in a handshake.
 */
#include "tls/tickets.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include "base/clock.h"
#include "base/random.h"

enum { KEYS = 4, PAGE = 4096 };

struct key {
	unsigned char name[RC_TLS_TICKET_NAME];
	unsigned char aes[32], hmac[32];
};

struct rc_tls_tickets {
	/* [0] is the newest; count of them are valid. */
	struct key key[KEYS];
	uint64_t replaced_s[KEYS];
	uint64_t made_s; /* key[0] */
	uint32_t count, lifetime_s;
	pthread_mutex_t lock;
	EVP_CIPHER *cipher;
};
_Static_assert(sizeof(struct rc_tls_tickets) <= PAGE, "one page, kept out of core dumps");

struct rc_tls_tickets *rc_tls_tickets_open(uint32_t lifetime_s)
{
	struct rc_tls_tickets *t = aligned_alloc(PAGE, PAGE);

	if (!t)
		return NULL;
	/* A page of its own, so that no core dump holds it. It may fail: then it is as good as before. */
	(void)madvise(t, PAGE, MADV_DONTDUMP);
	memset(t, 0, PAGE);
	t->lifetime_s = lifetime_s;
	t->made_s = rc_clock_mono_ns() / 1000000000u;
	t->count = 1;
	rc_random_bytes(&t->key[0], sizeof(t->key[0]));
	t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (pthread_mutex_init(&t->lock, NULL) != 0 || !t->cipher) {
		rc_tls_tickets_close(t);
		return NULL;
	}
	return t;
}

void rc_tls_tickets_close(struct rc_tls_tickets *t)
{
	if (!t)
		return;
	EVP_CIPHER_free(t->cipher);
	(void)pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t, PAGE);
	(void)madvise(t, PAGE, MADV_DODUMP);
	free(t);
}

uint32_t rc_tls_tickets_lifetime_s(const struct rc_tls_tickets *t)
{
	return t->lifetime_s;
}

bool rc_tls_tickets_rotate(struct rc_tls_tickets *t, uint64_t now_s)
{
	bool rotated = false;

	(void)pthread_mutex_lock(&t->lock);
	if (now_s >= t->made_s + RC_MAX(t->lifetime_s / 2, 1u)) {
		uint32_t keep = RC_MIN(t->count, (uint32_t)KEYS - 1);

		memmove(&t->key[1], &t->key[0], keep * sizeof(t->key[0]));
		memmove(&t->replaced_s[1], &t->replaced_s[0], keep * sizeof(t->replaced_s[0]));
		t->replaced_s[1] = now_s;
		t->count = keep + 1;
		t->made_s = now_s;
		rc_random_bytes(&t->key[0], sizeof(t->key[0]));
		rotated = true;
	}
	while (t->count > 1 && now_s >= t->replaced_s[t->count - 1] + t->lifetime_s) {
		t->count--;
		OPENSSL_cleanse(&t->key[t->count], sizeof(t->key[0]));
	}
	(void)pthread_mutex_unlock(&t->lock);
	return rotated;
}

/* A copy of the newest key (name NULL), or of the one with that name. Its index, or -1. */
static int copy_key(struct rc_tls_tickets *t, const unsigned char *name, struct key *out)
{
	int found = -1;

	(void)pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < t->count && found < 0; i++)
		if (!name || memcmp(t->key[i].name, name, RC_TLS_TICKET_NAME) == 0)
			found = (int)i;
	if (found >= 0)
		*out = t->key[found];
	(void)pthread_mutex_unlock(&t->lock);
	return found;
}

int rc_tls_tickets_key(struct rc_tls_tickets *t, unsigned char name[RC_TLS_TICKET_NAME],
	unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal)
{
	char sha256[] = "SHA256";
	struct key k;
	int index = copy_key(t, seal ? NULL : name, &k), ok;

	if (index < 0)
		return 0;
	if (seal) {
		memcpy(name, k.name, sizeof(k.name));
		rc_random_bytes(iv, 16);
	}
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k.hmac, sizeof(k.hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};
	ok = EVP_MAC_CTX_set_params(mac, params) &&
	     EVP_CipherInit_ex(cipher, t->cipher, NULL, k.aes, iv, seal ? 1 : 0);
	OPENSSL_cleanse(&k, sizeof(k));
	if (!ok)
		return -1;
	return index == 0 || seal ? 1 : 2;
}
