/* SPDX-License-Identifier: Apache-2.0
 *
 * What the examples share and what is not about ringcast: looking into a payload, and going on until a signal comes. A real
 * backend has a JSON library for the first.
 */
#ifndef RINGCAST_EXAMPLE_H
#define RINGCAST_EXAMPLE_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringcast.h"

/* Behind the string whose first quote is at `at`. */
static inline const char *behind_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		at += *at == '\\';
	return at < end ? at + 1 : end;
}

/*
 * The value of a top-level member of the payload, as it stands there: a string with its quotes and escapes, so that it can be put
 * into other JSON. The gateway lets no payload through that is not JSON. False: it is not there, or has no room.
 */
static inline bool member(
	const struct ringcast_command *c, const char *name, char *out, size_t size)
{
	const char *at = c->data, *end = at + c->len;
	size_t name_len = strlen(name);
	int depth = 0;

	while (at < end) {
		const char *from = at, *value;
		if (*at != '"') {
			depth += *at == '{' || *at == '[';
			depth -= *at == '}' || *at == ']';
			at++;
			continue;
		}
		at = behind_string(at, end);
		if (depth != 1 || (size_t)(at - from) != name_len + 2 ||
			memcmp(from + 1, name, name_len) != 0)
			continue;
		value = at + strspn(at, " \t\r\n");
		if (*value != ':')
			continue;
		value++;
		value += strspn(value, " \t\r\n");
		at = *value == '"' ? behind_string(value, end) : value + strcspn(value, ",}");
		if (*value == '{' || *value == '[' || (size_t)(at - value) >= size)
			return false;
		memcpy(out, value, (size_t)(at - value));
		out[at - value] = 0;
		return true;
	}
	return false;
}

/* Of a member that is a string and can be a level of a channel's name: without its quotes. */
static inline bool name_member(
	const struct ringcast_command *c, const char *name, char *out, size_t size)
{
	size_t len;

	if (!member(c, name, out, size) || out[0] != '"')
		return false;
	len = strlen(out) - 2;
	memmove(out, out + 1, len);
	out[len] = 0;
	return len > 0 && strspn(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-") == len;
}

static volatile sig_atomic_t asked_to_end;

static inline void on_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

static inline void on_registered(
	void *user, unsigned int types, uint32_t credit, uint32_t timeout_ms)
{
	(void)user;
	(void)timeout_ms;
	printf("registered %u %u\n", types, credit);
	fflush(stdout);
}

static inline void on_error(void *user, int code, const char *text)
{
	(void)user;
	printf("error %d %s\n", code, text);
	fflush(stdout);
}

/* NULL: it said why. */
static inline struct ringcast *backend_opened(int argc, char **argv)
{
	struct sigaction end = {.sa_handler = on_signal};
	struct ringcast_options o;
	struct ringcast *r;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: %s HOST:PORT   (RINGCAST_INGEST_TOKEN)\n", argv[0]);
		return NULL;
	}
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	ringcast_options_init(&o, sizeof(o));
	o.host = argv[1];
	o.token = getenv("RINGCAST_INGEST_TOKEN");
	o.registered = on_registered;
	o.error = on_error;
	rc = ringcast_open(&r, &o);
	if (rc != RINGCAST_OK)
		fprintf(stderr, "%s: %s\n", argv[1], ringcast_strerror(rc));
	return r;
}

/* Takes no more, lets go what was said, ends. */
static inline int backend_ended(struct ringcast *r)
{
	int rc;

	ringcast_off(r, NULL);
	rc = ringcast_flush(r, 5000);
	if (rc != RINGCAST_OK)
		fprintf(stderr, "%s: %s\n", ringcast_strerror(rc), ringcast_last_error(r));
	ringcast_close(r);
	return rc != RINGCAST_OK;
}

#endif
