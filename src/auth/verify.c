/* SPDX-License-Identifier: Apache-2.0
 *
 * One signature, one key. Each works on a copy of what the key holds, so that any thread may; the copy is all that is allocated,
 * and is given back at once.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "auth/keys.h"

#define COORDINATE 32u /* bytes of r and of s on P-256 */
/* SEQUENCE of two INTEGERs, each of which may need a zero in front. */
#define DER_MAX (2 + 2 * (2 + COORDINATE + 1))

static bool verify_hmac(
	const struct rc_key *key, struct rc_str input, const unsigned char *signature, size_t len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t mac_len = 0;
	EVP_MAC_CTX *ctx;
	bool made;

	if (len != EVP_MAC_CTX_get_mac_size(key->mac))
		return false;
	ctx = EVP_MAC_CTX_dup(key->mac);
	made = ctx && EVP_MAC_update(ctx, (const unsigned char *)input.ptr, input.len) == 1 &&
	       EVP_MAC_final(ctx, mac, &mac_len, sizeof(mac)) == 1;
	EVP_MAC_CTX_free(ctx);
	return made && mac_len == len && CRYPTO_memcmp(mac, signature, len) == 0;
}

/* DER's integers have no zeros in front but the one that keeps them from being negative. */
static size_t put_integer(unsigned char *out, const unsigned char *bytes)
{
	size_t skip = 0, pad;

	while (skip < COORDINATE - 1 && bytes[skip] == 0)
		skip++;
	pad = bytes[skip] >> 7;
	out[0] = 2;
	out[1] = (unsigned char)(COORDINATE - skip + pad);
	out[2] = 0;
	memcpy(out + 2 + pad, bytes + skip, COORDINATE - skip);
	return 2 + pad + COORDINATE - skip;
}

/* A token has r and s one behind the other, OpenSSL wants DER. */
static size_t der_of(unsigned char out[DER_MAX], const unsigned char *signature)
{
	size_t len = put_integer(out + 2, signature);

	len += put_integer(out + 2 + len, signature + COORDINATE);
	out[0] = 0x30;
	out[1] = (unsigned char)len;
	return 2 + len;
}

bool rc_key_verify(
	const struct rc_key *key, struct rc_str input, const unsigned char *signature, size_t len)
{
	unsigned char der[DER_MAX];
	EVP_MD_CTX *ctx;
	bool good;

	if (key->mac)
		return verify_hmac(key, input, signature, len);
	if (key->alg == RC_ALG_ES256) {
		if (len != 2 * (size_t)COORDINATE)
			return false;
		len = der_of(der, signature);
		signature = der;
	}
	ctx = EVP_MD_CTX_new();
	good = ctx && EVP_MD_CTX_copy_ex(ctx, key->verifier) == 1 &&
	       EVP_DigestVerify(ctx, signature, len, (const unsigned char *)input.ptr, input.len) ==
		       1;
	EVP_MD_CTX_free(ctx);
	/* What OpenSSL noted about a bad one would be found by whoever looks next. */
	if (!good)
		ERR_clear_error();
	return good;
}
