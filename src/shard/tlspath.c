/* SPDX-License-Identifier: Apache-2.0
 *
 * The path is decided for each connection by its version and cipher; here it is told for all of them together.
 */
#include "shard/tlspath.h"

#include <stdio.h>

_Static_assert((int)RC_CONFIG_ASK_NO == (int)RC_TLS_ASK_NO &&
		       (int)RC_CONFIG_ASK_OPTIONAL == (int)RC_TLS_ASK_OPTIONAL &&
		       (int)RC_CONFIG_ASK_REQUIRED == (int)RC_TLS_ASK_REQUIRED,
	"the configuration's words are the layer's");

struct rc_tls_options rc_tls_options_of(const struct rc_config *c)
{
	return (struct rc_tls_options){
		.certificate = c->tls_certificate,
		.key = c->tls_key,
		.folder = c->tls_certificate_folder,
		.ocsp = c->tls_ocsp,
		.client_ca = c->tls_client_ca,
		.ask = {[RC_TLS_CLIENTS] = (enum rc_tls_ask)c->tls_clients,
			[RC_TLS_PUBLISHERS] = (enum rc_tls_ask)c->tls_publishers},
		.only_13 = c->tls_min_version == 1,
	};
}

int rc_tls_options_try(const struct rc_config *c, struct rc_error *err)
{
	struct rc_tls_options options = rc_tls_options_of(c);
	struct rc_tls_tickets *tickets;
	struct rc_tls_context *context;
	int rc;

	if (!c->tls_certificate[0])
		return 0;
	tickets = rc_tls_tickets_open(c->tls_ticket_lifetime_ms / 1000);
	if (!tickets)
		return rc_error_set(err, "no keys for session tickets: out of memory");
	rc = rc_tls_context_open(&context, &options, tickets, err);
	if (rc == 0)
		rc_tls_context_close(context);
	rc_tls_tickets_close(tickets);
	return rc;
}

const char *rc_tls_path_version_name(bool tls13)
{
	return tls13 ? "TLS 1.3" : "TLS 1.2";
}

const char *rc_tls_path_cipher_name(enum rc_ktls_cipher cipher)
{
	static const char *const names[RC_KTLS_CIPHERS] = {
		[RC_KTLS_AES_128_GCM] = "AES-128-GCM",
		[RC_KTLS_AES_256_GCM] = "AES-256-GCM",
		[RC_KTLS_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
	};
	RC_ASSERT((size_t)cipher < RC_ARRAY_LEN(names));
	return names[cipher];
}

/* "TLS 1.2 AES-128-GCM AES-256-GCM, TLS 1.3 AES-128-GCM": what goes both ways. Returns how many lack. */
static uint32_t list(const struct rc_ktls_ability *a, bool only_13, char *out, size_t size)
{
	uint32_t lacking = 0;
	size_t used = 0;

	out[0] = 0;
	for (int v = only_13; v < 2; v++) {
		bool named = false;
		for (int i = 0; i < RC_KTLS_CIPHERS; i++) {
			if (!a->send[v][i] || !a->receive[v][i]) {
				lacking++;
				continue;
			}
			if (!named)
				used += (size_t)snprintf(out + used, size - used, "%s%s",
					used ? ", " : "", rc_tls_path_version_name(v));
			used += (size_t)snprintf(out + used, size - used, " %s",
				rc_tls_path_cipher_name((enum rc_ktls_cipher)i));
			named = true;
		}
	}
	return lacking;
}

enum rc_tls_path rc_tls_path(
	const struct rc_config *c, const struct rc_ktls_ability *a, char out[RC_TLS_PATH_SIZE])
{
	bool only_13 = c->tls_min_version == 1;
	char both[160];

	if (!c->tls_certificate[0]) {
		(void)snprintf(out, RC_TLS_PATH_SIZE, "TLS: off: no certificate is named in [tls]");
		return RC_TLS_PATH_OFF;
	}
	if (c->tls_kernel == RC_CONFIG_KERNEL_NO) {
		(void)snprintf(out, RC_TLS_PATH_SIZE, "TLS: user space: [tls] kernel = no");
		return RC_TLS_PATH_USER;
	}
	if (list(a, only_13, both, sizeof(both)) == 0) {
		(void)snprintf(out, RC_TLS_PATH_SIZE, "TLS: kernel (%s, every cipher)",
			only_13 ? "TLS 1.3" : "TLS 1.2 and 1.3");
		return RC_TLS_PATH_KERNEL;
	}
	if (both[0] == 0) {
		(void)snprintf(out, RC_TLS_PATH_SIZE, "TLS: user space: %s", a->why_not);
		return RC_TLS_PATH_USER;
	}
	(void)snprintf(out, RC_TLS_PATH_SIZE, "TLS: kernel (%s), the rest in user space: %s", both,
		a->why_not);
	return RC_TLS_PATH_MIXED;
}
