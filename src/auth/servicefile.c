/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of services, line by line. A line that can't be read refuses the whole file, with its number and the reason; a secret is
 * never repeated in it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "auth/servicetable.h"

#define FILE_MAX (RC_SERVICES_MAX * 512u) /* bytes */
#define ROOM     (sizeof(struct rc_grant) + RC_SERVICE_LINE_MAX)

struct reading {
	struct rc_services *services;
	const char *path;
	uint32_t line;
	uint32_t entries_room;
	size_t grants_room;
	struct rc_error *err;
};

/* The next word of the line; false: no more, or a comment. */
static bool next_word(struct rc_str *rest, struct rc_str *word)
{
	while (rest->len && (*rest->ptr == ' ' || *rest->ptr == '\t')) {
		rest->ptr++;
		rest->len--;
	}
	if (!rest->len || *rest->ptr == '#')
		return false;
	*word = (struct rc_str){rest->ptr, 0};
	while (rest->len && *rest->ptr != ' ' && *rest->ptr != '\t') {
		rest->ptr++;
		rest->len--;
		word->len++;
	}
	return true;
}

static bool name_valid(struct rc_str name)
{
	if (name.len == 0 || name.len > RC_SERVICE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '.' || c == ':' || c == '-'))
			return false;
	}
	return true;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static bool hex_digest(struct rc_str hex, unsigned char out[RC_SERVICE_DIGEST])
{
	if (hex.len != RC_SERVICE_DIGEST * 2)
		return false;
	for (size_t i = 0; i < RC_SERVICE_DIGEST; i++) {
		int high = nibble(hex.ptr[2 * i]), low = nibble(hex.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool visible(struct rc_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	}
	return true;
}

/* What stands behind the prefix, if it stands there. */
static bool behind(struct rc_str text, const char *prefix, struct rc_str *rest)
{
	struct rc_str p = rc_str_of(prefix);

	*rest = (struct rc_str){text.ptr + p.len, text.len - p.len};
	return rc_str_starts(text, p);
}

static const char *credential(struct rc_str word, struct rc_service_entry *e)
{
	struct rc_str rest;

	e->proof = RC_PROOF_TOKEN;
	if (behind(word, "token:", &rest)) {
		if (rest.len < RC_SERVICE_SECRET_MIN || rest.len > RC_SERVICE_SECRET_MAX ||
			!visible(rest))
			return "a token is 16 to 1024 visible characters of ASCII";
		rc_service_digest(rest, e->digest);
		return NULL;
	}
	if (behind(word, "sha256:", &rest))
		return hex_digest(rest, e->digest)
			       ? NULL
			       : "sha256: is followed by the 64 hex digits of the token's digest";
	if (!behind(word, "certificate:", &rest))
		return "behind the name comes token:SECRET, sha256:HEX or certificate:COMMON-NAME";
	if (rest.len == 0 || rest.len > RC_SERVICE_NAME_MAX || !visible(rest))
		return "the name in a certificate is 1 to 64 visible characters of ASCII";
	e->proof = RC_PROOF_CERTIFICATE;
	rc_service_digest(rest, e->digest);
	return NULL;
}

static int refuse(const struct reading *r, const char *why)
{
	return rc_error_set(r->err, "%s:%u: %s", r->path, r->line, why);
}

/* A name or a credential that stands there twice means two things. */
static int unique(const struct reading *r, const struct rc_service_entry *e, struct rc_str name)
{
	for (uint32_t i = 0; i < r->services->count; i++) {
		const struct rc_service_entry *other = &r->services->entries[i];

		if (rc_str_eq(rc_grant_name(rc_services_grant(r->services, i)), name))
			return rc_error_set(r->err, "%s:%u: the name stands in line %u already",
				r->path, r->line, other->line);
		if (other->proof == e->proof &&
			memcmp(other->digest, e->digest, sizeof(e->digest)) == 0)
			return rc_error_set(r->err,
				"%s:%u: the credential is that of line %u; give each service its own",
				r->path, r->line, other->line);
	}
	return 0;
}

static int keep(struct reading *r, const struct rc_service_entry *e, const struct rc_grant *g)
{
	struct rc_services *s = r->services;
	size_t len = rc_align_up(g->size, 8);

	if (s->count == r->entries_room) {
		uint32_t room = RC_MAX(r->entries_room * 2, 16u);
		void *more = realloc(s->entries, room * sizeof(*s->entries));

		if (!more)
			return rc_error_set(r->err, "out of memory");
		s->entries = more;
		r->entries_room = room;
	}
	if (s->grants_len + len > r->grants_room) {
		size_t room = RC_MAX(r->grants_room * 2, s->grants_len + len);
		void *more = realloc(s->grants, room);

		if (!more)
			return rc_error_set(r->err, "out of memory");
		s->grants = more;
		r->grants_room = room;
	}
	RC_ASSERT(s->entries && s->grants);
	s->entries[s->count] = *e;
	s->entries[s->count].grant = (uint32_t)s->grants_len;
	memset(s->grants + s->grants_len, 0, len);
	memcpy(s->grants + s->grants_len, g, g->size);
	s->grants_len += len;
	s->count++;
	return 0;
}

/* What can be repeated in a message: a scope that is written wrong, and not a second credential, or what a blank cut off one. */
static bool presentable(struct rc_str word)
{
	if (rc_str_starts(word, RC_STR("publish=")))
		return visible(word);
	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] < 'a' || word.ptr[i] > 'z')
			return false;
	}
	return word.len < RC_SERVICE_SECRET_MIN;
}

static int take_scopes(struct reading *r, struct rc_str rest, struct rc_grant *g)
{
	uint32_t patterns = 0;
	bool everywhere = false;
	struct rc_str word;

	while (next_word(&rest, &word)) {
		const char *why = rc_grant_add(g, word, &patterns);
		struct rc_str shown = presentable(word) ? word : RC_STR("a word");

		if (why)
			return rc_error_set(r->err, "%s:%u: %.*s %s", r->path, r->line,
				(int)RC_MIN(shown.len, 80u), shown.ptr, why);
		everywhere |=
			rc_str_eq(word, RC_STR("publish")) || rc_str_eq(word, RC_STR("admin"));
	}
	if (!g->scopes)
		return refuse(r, "it may do nothing: name at least one scope");
	if (everywhere && patterns)
		return refuse(r,
			"publish and admin mean every channel: leave out either them or the "
			"publish=PATTERN");
	return 0;
}

static int take_line(struct reading *r, struct rc_str rest)
{
	union {
		struct rc_grant grant;
		unsigned char room[ROOM];
	} u;
	struct rc_service_entry e = {.line = r->line};
	struct rc_str name, word;
	const char *why;

	if (rest.len > RC_SERVICE_LINE_MAX)
		return refuse(r, "the line is longer than 8192 bytes");
	if (!next_word(&rest, &name))
		return 0;
	if (!name_valid(name))
		return refuse(r, "a service's name is 1 to 64 of A-Z a-z 0-9 _ . : -");
	if (!next_word(&rest, &word))
		return refuse(r, "behind the name comes token:SECRET, sha256:HEX or "
				 "certificate:COMMON-NAME");
	why = credential(word, &e);
	if (why)
		return refuse(r, why);
	if (r->services->count == RC_SERVICES_MAX)
		return refuse(r, "there are more than 4096 services");
	if (unique(r, &e, name) < 0)
		return -1;
	rc_grant_plain(&u.grant, 0);
	u.grant.proof = e.proof;
	u.grant.listed = true;
	u.grant.name_len = (uint8_t)name.len;
	memcpy(u.grant.name, name.ptr, name.len);
	memcpy(u.grant.digest, e.digest, sizeof(e.digest));
	if (take_scopes(r, rest, &u.grant) < 0)
		return -1;
	return keep(r, &e, &u.grant);
}

int rc_services_parse(
	struct rc_services **out, const char *path, struct rc_str text, struct rc_error *err)
{
	struct reading r = {.services = calloc(1, sizeof(*r.services)), .path = path, .err = err};

	*out = NULL;
	if (!r.services)
		return rc_error_set(err, "out of memory");
	while (text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct rc_str line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
		size_t used = line.len + (end != NULL);

		r.line++;
		text.ptr += used;
		text.len -= used;
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (take_line(&r, line) < 0) {
			rc_services_close(r.services);
			return -1;
		}
	}
	*out = r.services;
	return 0;
}

int rc_services_open(
	struct rc_services **out, const char *path, bool *exposed, struct rc_error *err)
{
	FILE *in = fopen(path, "re");
	char *text;
	struct stat st;
	size_t len;
	int rc;

	*out = NULL;
	*exposed = false;
	if (!in)
		return rc_error_set(
			err, "cannot open [auth] services %s: %s", path, strerror(errno));
	if (fstat(fileno(in), &st) == 0)
		*exposed = S_ISREG(st.st_mode) && (st.st_mode & S_IROTH);
	text = malloc(FILE_MAX + 1);
	if (!text) {
		(void)fclose(in);
		return rc_error_set(err, "out of memory");
	}
	errno = 0;
	len = fread(text, 1, FILE_MAX + 1, in);
	if (ferror(in))
		rc = rc_error_set(err, "cannot read [auth] services %s: %s", path, strerror(errno));
	else if (len > FILE_MAX)
		rc = rc_error_set(err, "[auth] services %s is larger than 2 MiB", path);
	else
		rc = rc_services_parse(out, path, (struct rc_str){text, len}, err);
	(void)fclose(in);
	explicit_bzero(text, len);
	free(text);
	return rc;
}
