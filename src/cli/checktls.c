/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks with the same eyes as the gateway: its probe of the kernel, its reader of certificates.
 */
#include "cli/checktls.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/json.h"

/* ---- looking ---------------------------------------------------------------------------------- */

static void look_at_kernel(struct rc_check_tls *t, const struct rc_config *c)
{
	uint32_t ways = 0, all = 2 * RC_KTLS_CIPHERS;

	rc_ktls_probe(&t->ability);
	for (int v = 0; v < 2; v++)
		for (int i = 0; i < RC_KTLS_CIPHERS; i++)
			ways += t->ability.send[v][i] && t->ability.receive[v][i];
	t->host.wanted = c->tls_certificate[0] && c->tls_kernel != RC_CONFIG_KERNEL_NO;
	t->host.any = ways > 0;
	t->host.all = ways == all;
	if (t->host.all)
		(void)snprintf(
			t->host.found, sizeof(t->host.found), "TLS 1.2 and 1.3, every cipher");
	else if (t->host.any)
		(void)snprintf(t->host.found, sizeof(t->host.found),
			"%" PRIu32 " of %" PRIu32 " versions and ciphers", ways, all);
	else
		(void)snprintf(t->host.found, sizeof(t->host.found), "none to be had");
	(void)snprintf(t->host.why_not, sizeof(t->host.why_not), "%s", t->ability.why_not);
}

struct hearing {
	struct rc_check_tls *t;
	struct rc_config_report *r;
};

/* A certificate may hold any bytes as its names; what is told goes to a terminal, and into JSON. */
static void make_printable(char *text)
{
	bool utf8 = rc_utf8_valid(text, strlen(text));

	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f ||
			((unsigned char)*text > 0x7f && !utf8))
			*text = '?';
}

static void hear(void *ctx, bool warning, const char *text)
{
	struct hearing *h = ctx;

	if (warning) {
		rc_config_report_warning(h->r, "%s", text);
	} else if (h->t->certificates++ < RC_CHECK_TLS_LINES) {
		char *line = h->t->line[h->t->certificates - 1];

		(void)snprintf(line, RC_CHECK_TLS_LINE_SIZE, "%s", text);
		make_printable(line);
	}
}

static void look_at_certificates(
	struct rc_check_tls *t, const struct rc_config *c, struct rc_config_report *r)
{
	struct rc_tls_options options = rc_tls_options_of(c);
	struct rc_tls_tickets *tickets = rc_tls_tickets_open(c->tls_ticket_lifetime_ms / 1000);
	struct hearing hearing = {t, r};
	struct rc_tls_context *context;
	struct rc_error err;

	if (!tickets) {
		rc_config_report_error(r, "no keys for session tickets: out of memory");
		return;
	}
	if (rc_tls_context_open(&context, &options, tickets, &err) < 0) {
		rc_config_report_error(r, "%s", err.text);
	} else {
		rc_tls_context_describe(context, rc_clock_wall_ms() / 1000, hear, &hearing);
		rc_tls_context_close(context);
	}
	rc_tls_tickets_close(tickets);
}

void rc_check_tls_look(
	struct rc_check_tls *t, const struct rc_config *c, struct rc_config_report *r)
{
	look_at_kernel(t, c);
	t->path = rc_tls_path(c, &t->ability, t->says);
	if (r->errors || t->path == RC_TLS_PATH_OFF)
		return;
	if (c->tls_kernel == RC_CONFIG_KERNEL_YES && t->path == RC_TLS_PATH_USER)
		rc_config_report_error(r,
			"[tls] kernel = yes can't be kept: %s; mend that, or set kernel = auto",
			t->ability.why_not);
	look_at_certificates(t, c, r);
}

/* ---- telling ---------------------------------------------------------------------------------- */

static const char *ways(bool send, bool receive)
{
	return send && receive ? "both ways"
	       : send          ? "sending only"
	       : receive       ? "receiving only"
			       : "no";
}

void rc_check_tls_print(const struct rc_check_tls *t, bool configured)
{
	printf("TLS\n  %s\n", OpenSSL_version(OPENSSL_VERSION));
	for (int v = 0; v < 2 && t->host.any; v++) {
		printf("  kernel, %s:", rc_tls_path_version_name(v));
		for (int i = 0; i < RC_KTLS_CIPHERS; i++)
			printf("%s %s %s", i ? "," : "",
				rc_tls_path_cipher_name((enum rc_ktls_cipher)i),
				ways(t->ability.send[v][i], t->ability.receive[v][i]));
		putchar('\n');
	}
	if (t->ability.why_not[0])
		printf("  kernel: %s\n", t->ability.why_not);
	if (configured)
		printf("  %s\n", t->says);
	for (uint32_t i = 0; i < RC_MIN(t->certificates, (uint32_t)RC_CHECK_TLS_LINES); i++)
		printf("  %s\n", t->line[i]);
	if (t->certificates > RC_CHECK_TLS_LINES)
		printf("  and %" PRIu32 " more certificates\n",
			t->certificates - RC_CHECK_TLS_LINES);
	putchar('\n');
}

static void json_text(const char *key, const char *text)
{
	printf("\"%s\":", key);
	rc_json_text(stdout, text);
}

void rc_check_tls_json(const struct rc_check_tls *t, bool configured)
{
	static const char *const paths[] = {[RC_TLS_PATH_OFF] = "off",
		[RC_TLS_PATH_KERNEL] = "kernel",
		[RC_TLS_PATH_MIXED] = "mixed",
		[RC_TLS_PATH_USER] = "user"};

	printf("\"tls\":{");
	json_text("openssl", OpenSSL_version(OPENSSL_VERSION));
	printf(",\"kernel\":{");
	for (int v = 0; v < 2; v++) {
		printf("%s\"%s\":{", v ? "," : "", rc_tls_path_version_name(v));
		for (int i = 0; i < RC_KTLS_CIPHERS; i++)
			printf("%s\"%s\":{\"send\":%s,\"receive\":%s}", i ? "," : "",
				rc_tls_path_cipher_name((enum rc_ktls_cipher)i),
				t->ability.send[v][i] ? "true" : "false",
				t->ability.receive[v][i] ? "true" : "false");
		putchar('}');
	}
	printf("},");
	json_text("why_not", t->ability.why_not);
	if (configured) {
		printf(",\"path\":\"%s\",", paths[t->path]);
		json_text("says", t->says);
		printf(",\"certificates\":[");
		for (uint32_t i = 0; i < RC_MIN(t->certificates, (uint32_t)RC_CHECK_TLS_LINES);
			i++) {
			if (i > 0)
				putchar(',');
			rc_json_text(stdout, t->line[i]);
		}
		putchar(']');
	}
	printf("},");
}
