/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/site.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "base/clock.h"

#define ENDS_SOON_S     (14ull * 86400)
#define SITES_MAX       10000u
#define NAMES_SHOWN_MAX 8u

/* ---- names ---------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	const struct rc_tls_named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->site > y->site) - (x->site < y->site);
}

/* Sorted by name; of two certificates with the same name the first one (the default, then by file name) has it. */
static int index_names(struct rc_tls_context *c, struct rc_error *err)
{
	struct rc_tls_named *list;
	uint32_t total = 0, kept = 0;

	for (uint32_t i = 0; i < c->site_count; i++)
		total += c->site[i].certificate.name_count;
	list = calloc((size_t)total + 1, sizeof(*list));
	if (!list)
		return rc_error_set(err, "no memory for the names of the certificates");
	for (uint32_t i = 0, n = 0; i < c->site_count; i++)
		for (uint32_t k = 0; k < c->site[i].certificate.name_count; k++)
			list[n++] = (struct rc_tls_named){c->site[i].certificate.name[k], i};
	qsort(list, total, sizeof(*list), compare_names);
	for (uint32_t i = 0; i < total; i++) {
		const struct rc_tls_named *last = kept ? &list[kept - 1] : NULL;

		if (!last || strcmp(last->name, list[i].name) != 0)
			list[kept++] = list[i];
		else if (last->site != list[i].site)
			rc_tls_warn(&c->warnings, "%s: %s is in %s too, which serves it",
				c->site[list[i].site].certificate.file, last->name,
				c->site[last->site].certificate.file);
	}
	c->by_name = list;
	c->name_count = kept;
	return 0;
}

static struct rc_tls_site *look_up(const struct rc_tls_context *c, const char *name)
{
	uint32_t low = 0, high = c->name_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = strcmp(name, c->by_name[mid].name);

		if (order == 0)
			return &c->site[c->by_name[mid].site];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

struct rc_tls_site *rc_tls_site_find(const struct rc_tls_context *c, struct rc_str name)
{
	char lower[256];
	struct rc_tls_site *s = NULL;

	if (name.len == 0 || name.len > 253 || memchr(name.ptr, '\0', name.len) != NULL)
		return &c->site[0];
	for (size_t i = 0; i < name.len; i++)
		lower[i] = (char)tolower((unsigned char)name.ptr[i]);
	lower[name.len] = '\0';
	/* "*.example.org" is no name that a client may ask for. */
	if (lower[0] != '*')
		s = look_up(c, lower);
	char *dot = strchr(lower, '.');
	if (!s && dot && dot > lower) {
		dot[-1] = '*';
		s = look_up(c, dot - 1);
	}
	return s ? s : &c->site[0];
}

/* ---- the folder ----------------------------------------------------------------------------------- */

/* dir/NAME + ending; NULL: no memory. */
static char *beside(const char *dir, const char *name, size_t name_len, const char *ending)
{
	char *path = NULL;

	return asprintf(&path, "%s/%.*s%s", dir, (int)name_len, name, ending) < 0 ? NULL : path;
}

static size_t stem_len(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 4 &&
			       (strcmp(name + len - 4, ".pem") == 0 ||
				       strcmp(name + len - 4, ".crt") == 0)
		       ? len - 4
		       : 0;
}

static int is_certificate(const struct dirent *entry)
{
	return stem_len(entry->d_name) > 0;
}

static int load_one(struct rc_tls_site *s, const char *dir, const char *name, struct rc_error *err)
{
	size_t stem = stem_len(name);
	char *file = beside(dir, name, strlen(name), ""), *key = beside(dir, name, stem, ".key"),
	     *ocsp = beside(dir, name, stem, ".ocsp");
	int rc;

	if (!file || !key || !ocsp) {
		rc = rc_error_set(err, "%s: no memory to read it", dir);
	} else {
		bool has_key = access(key, F_OK) == 0;

		rc = rc_tls_certificate_load(&s->certificate, file, has_key ? key : "",
			access(ocsp, F_OK) == 0 ? ocsp : "", err);
		if (rc != 0 && !has_key && strstr(err->text, "no private key"))
			(void)rc_error_set(
				err, "%s: its key is missing: neither in it nor in %s", file, key);
	}
	free(file);
	free(key);
	free(ocsp);
	return rc;
}

static int load_folder(struct rc_tls_context *c, const char *dir, struct rc_error *err)
{
	struct dirent **entry = NULL;
	int count = scandir(dir, &entry, is_certificate, alphasort), rc = 0;

	if (count < 0)
		return rc_error_set(err, "%s: the folder can't be read: %s", dir, strerror(errno));
	if (count == 0)
		rc_tls_warn(&c->warnings, "%s: no certificate (*.pem, *.crt) in the folder", dir);
	struct rc_tls_site *more = (uint32_t)count < SITES_MAX
					   ? realloc(c->site, ((size_t)count + 1) * sizeof(*more))
					   : NULL;
	if (more)
		c->site = more;
	else
		rc = rc_error_set(err, "%s: %d certificates are too many", dir, count);
	for (int i = 0; i < count && rc == 0; i++) {
		memset(&c->site[c->site_count], 0, sizeof(c->site[0]));
		rc = load_one(&c->site[c->site_count], dir, entry[i]->d_name, err);
		if (rc == 0)
			c->site_count++;
	}
	for (int i = 0; i < count; i++)
		free(entry[i]);
	free(entry);
	return rc;
}

/* ---- whom clients are signed by ------------------------------------------------------------------- */

static int add_authorities(
	struct rc_tls_context *c, const char *file, BIO *in, struct rc_error *err)
{
	int count = 0;
	X509 *x;

	while ((x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(x));
		bool ok = name && X509_STORE_add_cert(c->client_ca, x) &&
			  sk_X509_NAME_push(c->client_ca_names, name);

		if (ok && rc_tls_time_s(X509_get0_notAfter(x)) <= rc_clock_wall_ms() / 1000)
			rc_tls_warn(&c->warnings, "%s: authority %d in it has expired", file,
				count + 1);
		X509_free(x);
		count++;
		if (!ok) {
			X509_NAME_free(name);
			return rc_error_set(err, "%s: authority %d in it is refused: %s", file,
				count, rc_tls_openssl_says());
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return rc_error_set(err, "%s: authority %d in it is damaged: %s", file, count + 1,
			rc_tls_openssl_says());
	ERR_clear_error();
	return count ? 0 : rc_error_set(err, "%s: there is no certificate (PEM) in it", file);
}

static int load_client_ca(struct rc_tls_context *c, const char *file, struct rc_error *err)
{
	struct rc_file f;
	int rc;

	if (rc_file_read(&f, file, err) != 0)
		return -1;
	BIO *in = BIO_new_mem_buf(f.bytes, (int)f.len);
	c->client_ca = X509_STORE_new();
	c->client_ca_names = sk_X509_NAME_new_null();
	(void)SHA256((const unsigned char *)f.bytes, f.len, c->client_ca_digest);
	ERR_clear_error();
	/* PARTIAL_CHAIN: whoever is in the file is trusted, be it a root or not. */
	if (!in || !c->client_ca || !c->client_ca_names ||
		!X509_STORE_set_flags(c->client_ca, X509_V_FLAG_PARTIAL_CHAIN))
		rc = rc_error_set(err, "%s: no memory to read it", file);
	else
		rc = add_authorities(c, file, in, err);
	BIO_free(in);
	rc_file_free(&f);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static int load(struct rc_tls_context *c, const struct rc_tls_options *o, struct rc_error *err)
{
	bool asks = false;

	c->only_13 = o->only_13;
	for (int port = 0; port < RC_TLS_PORTS; port++) {
		c->ask[port] = o->ask[port];
		asks = asks || o->ask[port] != RC_TLS_ASK_NO;
	}
	if (asks && !*o->client_ca)
		return rc_error_set(err,
			"client certificates are asked for, but no file says whose are accepted; set client_ca");
	if (*o->client_ca && load_client_ca(c, o->client_ca, err) != 0)
		return -1;
	c->site = calloc(1, sizeof(*c->site));
	if (!c->site)
		return rc_error_set(err, "no memory for certificates");
	if (rc_tls_certificate_load(
		    &c->site[0].certificate, o->certificate, o->key, o->ocsp, err) != 0)
		return -1;
	c->site_count = 1;
	if (*o->folder && load_folder(c, o->folder, err) != 0)
		return -1;
	c->ends_s = UINT64_MAX;
	for (uint32_t i = 0; i < c->site_count; i++) {
		if (rc_tls_site_open(c, &c->site[i], err) != 0)
			return -1;
		c->ends_s = RC_MIN(c->ends_s, c->site[i].certificate.ends_s);
	}
	return index_names(c, err);
}

int rc_tls_context_open(struct rc_tls_context **out, const struct rc_tls_options *options,
	struct rc_tls_tickets *tickets, struct rc_error *err)
{
	struct rc_tls_context *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c)
		return rc_error_set(err, "no memory for certificates");
	atomic_init(&c->refs, 1);
	c->tickets = tickets;
	if (load(c, options, err) != 0) {
		rc_tls_context_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

/* Pairs with rc_tls_ssl_new(): the last one to let go frees. */
void rc_tls_context_close(struct rc_tls_context *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < c->site_count; i++)
		rc_tls_site_close(&c->site[i]);
	free(c->site);
	free(c->by_name);
	X509_STORE_free(c->client_ca);
	sk_X509_NAME_pop_free(c->client_ca_names, X509_NAME_free);
	rc_tls_warnings_free(&c->warnings);
	free(c);
	ERR_clear_error();
}

uint64_t rc_tls_context_ends_s(const struct rc_tls_context *c)
{
	return c->ends_s;
}

/* ---- in words ------------------------------------------------------------------------------------- */

struct telling {
	void (*say)(void *ctx, bool warning, const char *text);
	void *ctx;
	uint64_t wall_s;
	char text[2048];
	size_t len;
};

static void RC_PRINTF(2, 3) put(struct telling *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(t->text + t->len, sizeof(t->text) - t->len, format, args);
	va_end(args);
	if (n > 0)
		t->len = RC_MIN(t->len + (size_t)n, sizeof(t->text) - 1);
}

static void end_line(struct telling *t, bool warning)
{
	t->say(t->ctx, warning, t->text);
	t->len = 0;
	t->text[0] = '\0';
}

static void put_date(struct telling *t, uint64_t s)
{
	char text[RC_ISO8601_LEN];

	rc_clock_iso8601(RC_MIN(s, UINT64_MAX / 1000) * 1000, text);
	put(t, "%.10s", text);
}

static void put_issuer(struct telling *t, const X509 *leaf)
{
	char *text = X509_NAME_oneline(X509_get_issuer_name(leaf), NULL, 0);

	put(t, "%.200s", text ? text : "?");
	OPENSSL_free(text);
}

static void describe_one(struct telling *t, const struct rc_tls_certificate *c)
{
	const struct rc_tls_staple *s = &c->staple;

	put(t, "%s: for ", c->file);
	for (uint32_t i = 0; i < c->name_count && i < NAMES_SHOWN_MAX; i++)
		put(t, "%s%s", i ? ", " : "", c->name[i]);
	if (c->name_count > NAMES_SHOWN_MAX)
		put(t, " and %u more", c->name_count - NAMES_SHOWN_MAX);
	put(t, "%s; %s key; issued by ", c->name_count ? "" : "no name",
		EVP_PKEY_get0_type_name(c->key));
	put_issuer(t, c->leaf);
	put(t, "; until ");
	put_date(t, c->ends_s);
	if (!s->der) {
		put(t, "; no staple");
	} else if (s->until_s == UINT64_MAX) {
		put(t, "; with a staple");
	} else {
		put(t, "; staple until ");
		put_date(t, s->until_s);
	}
	end_line(t, false);
}

static void warn_one(struct telling *t, const struct rc_tls_certificate *c)
{
	const struct rc_tls_staple *s = &c->staple;

	if (c->ends_s < t->wall_s + ENDS_SOON_S) {
		put(t, "%s: the certificate %s on ", c->file,
			c->ends_s <= t->wall_s ? "expired" : "expires");
		put_date(t, c->ends_s);
		put(t, "; renew it");
		end_line(t, true);
	}
	if (s->der && (t->wall_s >= s->until_s || t->wall_s < s->from_s)) {
		put(t, "%s: its OCSP response %s ", c->file,
			t->wall_s < s->from_s ? "is not valid before" : "ended on");
		put_date(t, t->wall_s < s->from_s ? s->from_s : s->until_s);
		put(t, " and is not sent; fetch a new one");
		end_line(t, true);
	}
	if (c->key_open_to_all) {
		put(t, "%s: everybody on this machine may read the key; chmod o-r", c->key_file);
		end_line(t, true);
	}
	for (uint32_t i = 0; i < c->warnings.count; i++)
		t->say(t->ctx, true, c->warnings.text[i]);
}

void rc_tls_context_describe(const struct rc_tls_context *c, uint64_t wall_s,
	void (*say)(void *ctx, bool warning, const char *text), void *ctx)
{
	struct telling t = {.say = say, .ctx = ctx, .wall_s = wall_s};

	for (uint32_t i = 0; i < c->site_count; i++) {
		describe_one(&t, &c->site[i].certificate);
		warn_one(&t, &c->site[i].certificate);
	}
	for (uint32_t i = 0; i < c->warnings.count; i++)
		say(ctx, true, c->warnings.text[i]);
}
