/* SPDX-License-Identifier: Apache-2.0
 *
 * A tool of the build: makes of src/web what the gateway serves, and writes it as files and as a C source that has them built in.
 *
 *   client/ringcast.js … ─▶ ringcast.js, ringcast.classic.js      bundled, stripped
 *   client/react.js      ─▶ ringcast-react.js                     stripped
 *   client/ringcast.d.ts ─▶ as it is
 *   dashboard/           ─▶ index.html                            one page: its style and its script stand in it,
 *                                                                  and the policy that it is served with has their hashes
 *
 *   pack SOURCES OUTPUT    both folders; OUTPUT exists
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "module.h"
#include "text.h"

/* What a page waits for before it hears its first event. */
#define CLIENT_BYTES_MAX 8192u
#define PAGE_BYTES_MAX   (150u << 10)

static const char *sources, *output;
static struct text table, data;
static int assets;

static const char *in(const char *folder, const char *name)
{
	struct text t = {0};

	text_format(&t, "%s/%s", folder, name);
	return t.ptr;
}

/* ---- hashes, compression ------------------------------------------------------------------------ */

/* SHA-256 in base64. */
static const char *digest(const char *ptr, size_t len)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	static char text[4][64];
	static int at;
	unsigned int size;

	at = (at + 1) % 4;
	if (EVP_Digest(ptr, len, bytes, &size, EVP_sha256(), NULL) != 1)
		fail("no SHA-256");
	(void)EVP_EncodeBlock((unsigned char *)text[at], bytes, (int)size);
	return text[at];
}

/* The same bytes each time: no name and no time in it. */
static struct text gzip_with(const struct text *t, int memory)
{
	z_stream z = {0};
	struct text out = {0};

	if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, memory, Z_DEFAULT_STRATEGY) != Z_OK)
		fail("zlib does not begin");
	out.cap = deflateBound(&z, t->len);
	out.ptr = malloc(out.cap);
	if (!out.ptr)
		fail("no memory");
	z.next_in = (unsigned char *)t->ptr;
	z.avail_in = (unsigned int)t->len;
	z.next_out = (unsigned char *)out.ptr;
	z.avail_out = (unsigned int)out.cap;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		fail("zlib does not end");
	out.len = z.total_out;
	(void)deflateEnd(&z);
	return out;
}

/* With less memory zlib begins a block, and with it new codes, sooner. Which is best can only be tried. */
static struct text gzip(const struct text *t)
{
	struct text best = gzip_with(t, 9);

	for (int memory = 5; memory < 9; memory++) {
		struct text other = gzip_with(t, memory);
		struct text *worse = other.len < best.len ? &best : &other;
		free(worse->ptr);
		if (worse == &best)
			best = other;
	}
	return best;
}

/* ---- assets ------------------------------------------------------------------------------------- */

static void embed(const char *name, const char *suffix)
{
	text_format(&data,
		"__asm__(\".section .rodata\\n.global rc_asset_%d%s\\nrc_asset_%d%s:\\n"
		".incbin \\\"%s/%s%s\\\"\\n.byte 0\\n.previous\");\n"
		"extern const unsigned char rc_asset_%d%s[];\n",
		assets, suffix[0] ? "_gz" : "", assets, suffix[0] ? "_gz" : "", output, name,
		suffix, assets, suffix[0] ? "_gz" : "");
}

/* max: bytes, compressed where `packed`. */
static void asset(const char *path, const char *name, const char *type, const char *headers,
	const struct text *t, size_t max, bool packed)
{
	struct text gz = gzip(t);

	text_write(in(output, name), t->ptr, t->len);
	struct text gz_name = {0};
	text_format(&gz_name, "%s.gz", name);
	text_write(in(output, gz_name.ptr), gz.ptr, gz.len);
	embed(name, "");
	embed(name, ".gz");
	text_format(&table,
		"\t{\"%s\", \"%s\", \"%s\", \"\\\"%.16s\\\"\",\n\t\t{rc_asset_%d, %zu}, {rc_asset_%d_gz, %zu}},\n",
		path, type, headers, digest(t->ptr, t->len), assets, t->len, assets, gz.len);
	assets++;
	(void)printf("  WEB  %-22s %6zu bytes, %6zu compressed\n", name, t->len, gz.len);
	/* It is the tests that refuse it: another zlib may make a few bytes more of the same. */
	if ((packed ? gz.len : t->len) > max)
		(void)fprintf(stderr,
			"pack: %s: %zu bytes are more than the %zu that it may have\n", name,
			packed ? gz.len : t->len, max);
}

/* ---- the page ----------------------------------------------------------------------------------- */

static int line_at(const char *begin, const char *at)
{
	int line = 1;

	for (; begin < at; begin++)
		line += *begin == '\n';
	return line;
}

/* Behind the quote that ends the string at p. */
static const char *string_end(const char *p, const char *begin, const char *path)
{
	const char *stop = p + 1;

	while (*stop && *stop != *p && *stop != '\n')
		stop += stop[0] == '\\' && stop[1] ? 2 : 1;
	if (*stop != *p)
		fail("%s:%d: a string without an end", path, line_at(begin, p));
	return stop + 1;
}

/* Comments and line ends go, and blanks where they mean nothing whatever stands beside them. */
static struct text strip_style(const struct text *css, const char *path)
{
	static const char apart[] = "{};, \t\r\n";
	struct text out = {0};

	text_add(&out, "", 0);
	for (const char *p = css->ptr; *p;) {
		char last = out.len ? out.ptr[out.len - 1] : '{';
		if (p[0] == '/' && p[1] == '*') {
			const char *stop = strstr(p + 2, "*/");
			if (!stop)
				fail("%s:%d: a comment without an end", path, line_at(css->ptr, p));
			p = stop + 2;
			/* Between two words it keeps them apart. */
			if (*p && !strchr(apart, last) && !strchr(apart, *p) && *p != '/')
				text_add_str(&out, "/**/");
		} else if (*p == '"' || *p == '\'') {
			const char *stop = string_end(p, css->ptr, path);
			text_add(&out, p, (size_t)(stop - p));
			p = stop;
		} else if (*p == '\\') {
			fail("%s:%d: a \\ outside of a string", path, line_at(css->ptr, p));
		} else {
			bool blank = strchr(" \t\r\n", *p) != NULL;
			if (!blank && strchr("{};,", *p) && last == ' ')
				out.len--;
			if (!blank)
				text_add_char(&out, *p);
			else if (!strchr("{};, ", last))
				text_add_char(&out, ' ');
			p++;
		}
	}
	return out;
}

/* Puts `with` where `what` stands, which it must do once. */
static void replace(struct text *t, const char *path, const char *what, const struct text *with)
{
	char *at = strstr(t->ptr, what);
	struct text out = {0};

	if (!at || strstr(at + 1, what))
		fail("%s: it must have this once: %s", path, what);
	text_add(&out, t->ptr, (size_t)(at - t->ptr));
	text_add(&out, with->ptr, with->len);
	text_add_str(&out, at + strlen(what));
	*t = out;
}

/* Blanks at the ends of its lines, and comments. */
static struct text strip_page(const struct text *html, const char *path)
{
	struct text out = {0};
	bool begins = true;

	text_add(&out, "", 0);
	for (const char *p = html->ptr; *p; p++) {
		if (strncmp(p, "<!--", 4) == 0) {
			p = strstr(p, "-->");
			if (!p)
				fail("%s: a comment without an end", path);
			p += 2;
		} else if (!begins || !strchr(" \t\n", *p)) {
			begins = *p == '\n';
			text_add_char(&out, *p);
		}
	}
	return out;
}

static void page(void)
{
	const char *path = in(sources, "dashboard/index.html");
	const char *css = in(sources, "dashboard/style.css");
	struct text html = text_read(path), raw = text_read(css), policy = {0};
	struct text style = strip_style(&raw, css), part = {0};
	struct text script = bundle_make(in(sources, "dashboard/main.js"), BUNDLE_PAGE, NULL);

	if (text_has(&script, "</script") || text_has(&script, "<!--") ||
		text_has(&style, "</style"))
		fail("%s: its script or its style would end too early", path);
	html = strip_page(&html, path);
	text_format(&part, "<style>%s</style>", style.ptr);
	replace(&html, path, "<link rel=\"stylesheet\" href=\"style.css\">", &part);
	part = (struct text){0};
	text_format(&part, "<script type=\"module\">%s</script>", script.ptr);
	replace(&html, path, "<script type=\"module\" src=\"main.js\"></script>", &part);
	text_format(&policy,
		"Content-Security-Policy: default-src 'none'; script-src 'sha256-%s'; "
		"style-src 'sha256-%s'; img-src data:; connect-src 'self'; base-uri 'none'; "
		"form-action 'none'; frame-ancestors 'none'\\r\\n"
		"X-Content-Type-Options: nosniff\\r\\nReferrer-Policy: no-referrer\\r\\n"
		"Cross-Origin-Opener-Policy: same-origin\\r\\n",
		digest(script.ptr, script.len), digest(style.ptr, style.len));
	asset("/", "index.html", "text/html; charset=utf-8", policy.ptr, &html, PAGE_BYTES_MAX,
		false);
}

/* ---- all together ------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	static const char js[] = "text/javascript; charset=utf-8";
	/* A worker of another origin, Deno: they find the types by it. */
	static const char typed[] =
		"X-Content-Type-Options: nosniff\\r\\nX-TypeScript-Types: /ringcast.d.ts\\r\\n";
	static const char plain[] = "X-Content-Type-Options: nosniff\\r\\n";
	struct text t;

	if (argc != 3)
		fail("usage: pack SOURCES OUTPUT");
	sources = argv[1];
	output = argv[2];
	page();
	t = bundle_make(in(sources, "client/ringcast.js"), BUNDLE_MODULE, NULL);
	asset("/ringcast.js", "ringcast.js", js, typed, &t, CLIENT_BYTES_MAX, true);
	t = bundle_make(in(sources, "client/ringcast.js"), BUNDLE_CLASSIC, "ringcast");
	asset("/ringcast.classic.js", "ringcast.classic.js", js, plain, &t, CLIENT_BYTES_MAX, true);
	t = module_strip(in(sources, "client/react.js"));
	asset("/ringcast-react.js", "ringcast-react.js", js, plain, &t, CLIENT_BYTES_MAX, true);
	t = text_read(in(sources, "client/ringcast.d.ts"));
	asset("/ringcast.d.ts", "ringcast.d.ts", "text/plain; charset=utf-8", plain, &t, SIZE_MAX,
		false);

	struct text c = {0};
	text_format(&c,
		"/* SPDX-License-Identifier: Apache-2.0\n *\n * Made by src/web/pack of the files in src/web. */\n"
		"#include \"web/assets.h\"\n\n%s\nconst struct rc_asset rc_assets[] = {\n%s};\n"
		"const unsigned int rc_asset_count = %d;\n",
		data.ptr, table.ptr, assets);
	text_write(in(output, "assets.c"), c.ptr, c.len);
	return 0;
}
