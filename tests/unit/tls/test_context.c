/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read from files: which certificates are taken, which are refused and with what words, what is warned of.
 */
#include "certs.h"
#include "base/clock.h"
#include "tls/context.h"

static struct cert ca, middle, good, other;
static struct rc_tls_tickets *tickets;

static int setup(void **state)
{
	const struct cert *chain[] = {&good, &middle, NULL}, *roots[] = {&ca, NULL};

	(void)state;
	certs_open_dir();
	ca = certs_make(&(struct cert_want){.cn = "Root", .ca = true});
	middle = certs_make(&(struct cert_want){.cn = "Middle", .ca = true, .issuer = &ca});
	good = certs_make(&(struct cert_want){
		.cn = "unused", .san = "DNS:Good.example,DNS:*.good.example", .issuer = &middle});
	other = certs_make(&(struct cert_want){.cn = "other.example", .issuer = &ca});
	(void)certs_write("good.pem", chain, &good);
	(void)certs_write("chain.pem", chain, NULL);
	(void)certs_write("good.key", NULL, &good);
	(void)certs_write("other.key", NULL, &other);
	(void)certs_write("ca.pem", roots, NULL);
	tickets = rc_tls_tickets_open(3600);
	assert_non_null(tickets);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rc_tls_tickets_close(tickets);
	certs_free(&ca);
	certs_free(&middle);
	certs_free(&good);
	certs_free(&other);
	certs_remove_dir();
	return 0;
}

static struct rc_tls_options filled(struct rc_tls_options o)
{
	o.certificate = o.certificate ? o.certificate : certs_path("good.pem");
	o.key = o.key ? o.key : "";
	o.folder = o.folder ? o.folder : "";
	o.ocsp = o.ocsp ? o.ocsp : "";
	o.client_ca = o.client_ca ? o.client_ca : "";
	return o;
}

/* The message names the file and says the words. */
static void refused(struct rc_tls_options options, const char *file, const char *words)
{
	struct rc_tls_options o = filled(options);
	struct rc_tls_context *c;
	struct rc_error err = {{0}};

	assert_int_equal(rc_tls_context_open(&c, &o, tickets, &err), -1);
	assert_null(c);
	if (!strstr(err.text, file) || !strstr(err.text, words))
		fail_msg("wanted %s … %s, got: %s", file, words, err.text);
	assert_int_equal(ERR_peek_error(), 0);
}

static struct rc_tls_context *accepted(struct rc_tls_options options)
{
	struct rc_tls_options o = filled(options);
	struct rc_tls_context *c;
	struct rc_error err = {{0}};

	if (rc_tls_context_open(&c, &o, tickets, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(ERR_peek_error(), 0);
	return c;
}

struct said {
	char all[8192];
	uint32_t lines, warnings;
};

static void say(void *ctx, bool warning, const char *text)
{
	struct said *s = ctx;
	size_t len = strlen(s->all);

	s->lines += !warning;
	s->warnings += warning;
	(void)snprintf(
		s->all + len, sizeof(s->all) - len, "%s%s\n", warning ? "warning: " : "", text);
}

static void describe(struct rc_tls_context *c, int64_t days, struct said *s)
{
	memset(s, 0, sizeof(*s));
	rc_tls_context_describe(
		c, (uint64_t)((int64_t)(rc_clock_wall_ms() / 1000) + days * 86400), say, s);
}

static void said(const struct said *s, const char *words)
{
	if (!strstr(s->all, words))
		fail_msg("wanted %s in: %s", words, s->all);
}

static void a_good_certificate_is_described_without_a_warning(void **state)
{
	struct said s;

	(void)state;
	struct rc_tls_context *c = accepted((struct rc_tls_options){
		.certificate = certs_path("chain.pem"), .key = certs_path("good.key")});
	describe(c, 0, &s);
	assert_int_equal(s.lines, 1);
	assert_int_equal(s.warnings, 0);
	said(&s, "good.example, *.good.example");
	said(&s, "Middle");
	said(&s, "no staple");
	uint64_t ends_s = rc_tls_context_ends_s(c), now_s = rc_clock_wall_ms() / 1000;
	assert_true(ends_s > now_s + 89 * 86400 && ends_s < now_s + 91 * 86400);
	describe(c, 80, &s);
	said(&s, "warning");
	said(&s, "expires on");
	describe(c, 91, &s);
	said(&s, "expired on");
	rc_tls_context_close(c);
}

static void a_file_that_is_no_certificate_is_refused(void **state)
{
	(void)state;
	refused((struct rc_tls_options){.certificate = certs_path("none.pem")}, "none.pem",
		"No such file");
	refused((struct rc_tls_options){.certificate = certs_dir}, certs_dir, "is not a file");
	refused((struct rc_tls_options){.certificate = "/dev/zero"}, "/dev/zero", "is not a file");
	refused((struct rc_tls_options){.certificate = certs_write_bytes("empty.pem", "", 0)},
		"empty.pem", "not PEM");
	refused((struct rc_tls_options){.certificate = certs_write_bytes(
						"bin.pem", "\x30\x82\x00\x00", 4)},
		"bin.pem", "not PEM");
	refused((struct rc_tls_options){.certificate = certs_path("good.key")}, "good.key",
		"no certificate in it");
	refused(
		(struct rc_tls_options){
			.certificate = certs_write_bytes("cut.pem",
				"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
				59)},
		"cut.pem", "damaged");
	char *large = calloc(1, 1 << 20);
	assert_non_null(large);
	refused((struct rc_tls_options){.certificate =
						certs_write_bytes("large.pem", large, 1 << 20)},
		"large.pem", "larger than");
	free(large);
}

static void a_key_that_does_not_fit_is_refused(void **state)
{
	const struct cert *chain[] = {&good, &middle, NULL};
	FILE *f;

	(void)state;
	refused((struct rc_tls_options){.key = certs_path("other.key")}, "other.key",
		"is not the key of");
	refused((struct rc_tls_options){.key = certs_path("none.key")}, "none.key", "No such file");
	refused((struct rc_tls_options){.key = certs_path("chain.pem")}, "chain.pem",
		"no private key");
	refused((struct rc_tls_options){.certificate = certs_write("keyless.pem", chain, NULL)},
		"keyless.pem", "no private key");
	refused((struct rc_tls_options){.key = certs_write_bytes("text.key", "hello", 5)},
		"text.key", "not PEM");
	f = certs_file("locked.key");
	assert_int_equal(
		PEM_write_PKCS8PrivateKey(f, good.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL),
		1);
	assert_int_equal(fclose(f), 0);
	refused((struct rc_tls_options){.key = certs_path("locked.key")}, "locked.key",
		"passphrase");
	f = certs_file("locked.pem");
	assert_int_equal(PEM_write_PrivateKey(f, good.key, EVP_aes_128_cbc(),
				 (unsigned char *)"secret", 6, NULL, NULL),
		1);
	assert_int_equal(fclose(f), 0);
	refused((struct rc_tls_options){.key = certs_path("locked.pem")}, "locked.pem",
		"passphrase");
}

static void bad_certificate(const char *name, const struct cert_want *want, const char *words)
{
	struct cert c = certs_make(want);

	refused((struct rc_tls_options){.certificate = certs_write_both(name, &c)}, name, words);
	certs_free(&c);
}

static void dates_and_weak_keys_are_refused(void **state)
{
	(void)state;
	bad_certificate("old.pem",
		&(struct cert_want){.cn = "x", .from_days = -9, .until_days = -2}, "expired on");
	bad_certificate("early.pem",
		&(struct cert_want){.cn = "x", .from_days = 2, .until_days = 9},
		"not valid before");
	bad_certificate("small.pem", &(struct cert_want){.cn = "x", .rsa_bits = 1024}, "too small");
	bad_certificate("sha1.pem", &(struct cert_want){.cn = "x", .issuer = &ca, .md = EVP_sha1()},
		"too weak");
}

static void a_wrong_chain_is_warned_of(void **state)
{
	const struct cert *list[] = {&good, &ca, &middle, NULL};
	struct said s;

	(void)state;
	struct rc_tls_context *c = accepted(
		(struct rc_tls_options){.certificate = certs_write("order.pem", list, &good)});
	describe(c, 0, &s);
	assert_int_equal(s.warnings, 1);
	said(&s, "did not issue");
	rc_tls_context_close(c);
}

static void a_key_that_everybody_may_read_is_warned_of(void **state)
{
	struct said s;

	(void)state;
	assert_int_equal(chmod(certs_path("good.key"), 0644), 0);
	struct rc_tls_context *c = accepted((struct rc_tls_options){.key = certs_path("good.key")});
	describe(c, 0, &s);
	said(&s, "good.key");
	said(&s, "chmod o-r");
	assert_int_equal(chmod(certs_path("good.key"), 0600), 0);
	rc_tls_context_close(c);
}

static void folders_are_read_whole_or_refused(void **state)
{
	const struct cert *alone[] = {&other, NULL};
	struct said s;

	(void)state;
	refused((struct rc_tls_options){.folder = certs_path("nowhere")}, "nowhere",
		"can't be read");
	assert_int_equal(mkdir(certs_path("f"), 0700), 0);
	struct rc_tls_context *c = accepted((struct rc_tls_options){.folder = certs_path("f")});
	describe(c, 0, &s);
	said(&s, "no certificate (*.pem, *.crt)");
	rc_tls_context_close(c);

	(void)certs_write("f/other.crt", alone, NULL);
	(void)certs_write_bytes("f/notes.txt", "hello", 5);
	(void)certs_write_bytes("f/.hidden.pem", "hello", 5);
	refused((struct rc_tls_options){.folder = certs_path("f")}, "f/other.crt",
		"key is missing");
	(void)certs_write("f/other.key", NULL, &good);
	refused((struct rc_tls_options){.folder = certs_path("f")}, "f/other.crt",
		"is not the key of");
	(void)certs_write("f/other.key", NULL, &other);
	(void)certs_write_staple("f/other.ocsp", &other, &ca, V_OCSP_CERTSTATUS_GOOD, -1, 2);
	(void)certs_write_both("f/same.pem", &other);
	c = accepted((struct rc_tls_options){.folder = certs_path("f")});
	describe(c, 0, &s);
	assert_int_equal(s.lines, 3);
	assert_int_equal(s.warnings, 1);
	said(&s, "same.pem: other.example is in ");
	said(&s, "staple until");
	rc_tls_context_close(c);
}

static void a_staple_must_be_about_the_certificate(void **state)
{
	struct said s;

	(void)state;
	refused((struct rc_tls_options){.ocsp = certs_path("none.ocsp")}, "none.ocsp",
		"No such file");
	refused((struct rc_tls_options){.ocsp = certs_path("ca.pem")}, "ca.pem",
		"is not an OCSP response");
	refused((struct rc_tls_options){.ocsp = certs_write_bytes(
						"refused.ocsp", "\x30\x03\x0a\x01\x06", 5)},
		"refused.ocsp", "refused to answer");
	refused((struct rc_tls_options){.ocsp = certs_write_staple("other.ocsp", &other, &ca,
						V_OCSP_CERTSTATUS_GOOD, -1, 2)},
		"other.ocsp", "not about");
	refused((struct rc_tls_options){.ocsp = certs_write_staple("revoked.ocsp", &good, &middle,
						V_OCSP_CERTSTATUS_REVOKED, -1, 2)},
		"revoked.ocsp", "revoked");
	struct rc_tls_context *c =
		accepted((struct rc_tls_options){.ocsp = certs_write_staple("old.ocsp", &good,
							 &middle, V_OCSP_CERTSTATUS_GOOD, -5, -2)});
	describe(c, 0, &s);
	assert_int_equal(s.warnings, 1);
	said(&s, "its OCSP response ended on");
	describe(c, -4, &s);
	assert_int_equal(s.warnings, 0);
	rc_tls_context_close(c);
}

static void asking_clients_needs_an_authority(void **state)
{
	const struct rc_tls_options asks = {.ask = {RC_TLS_ASK_NO, RC_TLS_ASK_OPTIONAL}};
	struct rc_tls_options o = asks;

	(void)state;
	refused(o, "client_ca", "asked for");
	o.client_ca = certs_path("none.pem");
	refused(o, "none.pem", "No such file");
	o.client_ca = certs_path("good.key");
	refused(o, "good.key", "no certificate");
	o.client_ca = certs_path("cut.pem");
	refused(o, "cut.pem", "damaged");
	o.client_ca = certs_path("ca.pem");
	rc_tls_context_close(accepted(o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_certificate_is_described_without_a_warning),
		cmocka_unit_test(a_file_that_is_no_certificate_is_refused),
		cmocka_unit_test(a_key_that_does_not_fit_is_refused),
		cmocka_unit_test(dates_and_weak_keys_are_refused),
		cmocka_unit_test(a_wrong_chain_is_warned_of),
		cmocka_unit_test(a_key_that_everybody_may_read_is_warned_of),
		cmocka_unit_test(folders_are_read_whole_or_refused),
		cmocka_unit_test(a_staple_must_be_about_the_certificate),
		cmocka_unit_test(asking_clients_needs_an_authority),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
