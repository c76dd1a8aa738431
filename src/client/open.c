/* SPDX-License-Identifier: Apache-2.0
 *
 * The beginning and the end of a libringcast object: options, names and addresses, all memory; and what can be asked of
 * it in between.
 */
#include "client.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#define HOST_MAX          256
#define TOKEN_ROOM        4095
#define WINDOW_EVENTS_MAX ((uint32_t)1 << 24)
#define WINDOW_BYTES_MIN  4096
/* For PONG and BYE beside a HELLO. */
#define CTL_ROOM          1024
#define REPLY_BYTES_MIN   4096
#define RECEIVE_BYTES_MIN 16384
#define SCHEME            "tls://"

static const struct ringcast_options defaults = {
	.size = sizeof(struct ringcast_options),
	.window_events = 65536,
	.window_bytes = (size_t)8 * 1024 * 1024,
	.connect_timeout_ms = 5000,
	.ack_timeout_ms = 10000,
	.publish_timeout_ms = 5000,
	.backoff_min_ms = 100,
	.backoff_max_ms = 10000,
	.command_credit = 1024,
	.reply_bytes = (size_t)1024 * 1024,
	.receive_bytes = (size_t)2 * 1024 * 1024,
};

void ringcast_options_init(struct ringcast_options *options, size_t size)
{
	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
	options->size = size;
}

static bool publisher_valid(const char *id)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.:-";

	return strlen(id) <= RINGCAST_PUBLISHER_ID_MAX && id[strspn(id, letters)] == 0;
}

static bool tls_wanted(const char *host)
{
	return host && strncasecmp(host, SCHEME, strlen(SCHEME)) == 0;
}

/* TLS options without TLS: somebody believes himself safe who is not. */
static bool tls_valid(const struct ringcast_options *o)
{
	if (o->tls_insecure != 0 && o->tls_insecure != RINGCAST_TLS_TRUST_ANYBODY)
		return false;
	if (!tls_wanted(o->host))
		return !o->tls_ca && !o->tls_certificate && !o->tls_key && !o->tls_name &&
		       o->tls_insecure == 0;
	return (o->tls_certificate || !o->tls_key) && (!o->tls_name || *o->tls_name);
}

static bool options_valid(const struct ringcast_options *o)
{
	return tls_valid(o) && (!o->publisher || publisher_valid(o->publisher)) &&
	       (!o->token || strlen(o->token) <= RINGCAST_TOKEN_MAX) && o->port <= 65535 &&
	       o->window_events >= 1 && o->window_events <= WINDOW_EVENTS_MAX &&
	       o->window_bytes >= WINDOW_BYTES_MIN && o->reply_bytes >= REPLY_BYTES_MIN &&
	       o->receive_bytes >= RECEIVE_BYTES_MIN && o->backoff_min_ms >= 1 &&
	       o->backoff_min_ms <= o->backoff_max_ms;
}

/* "host", "host:port", "[v6]", "[v6]:port", or a bare v6 address, tls:// in front or not, into its two parts. */
static bool split(const char *host, unsigned port, char name[HOST_MAX], char service[16])
{
	const char *colon, *close;
	bool tls = tls_wanted(host);
	unsigned long given = port;
	size_t len;
	char *end;

	host += tls ? strlen(SCHEME) : 0;
	colon = strrchr(host, ':');
	close = strchr(host, ']');
	len = strlen(host);
	if (host[0] == '[') {
		if (!close || (close[1] != 0 && close[1] != ':'))
			return false;
		colon = close[1] == ':' ? close + 1 : NULL;
		host++;
		len = (size_t)(close - host);
	} else if (colon && strchr(host, ':') == colon) {
		len = (size_t)(colon - host);
	} else {
		colon = NULL;
	}
	if (colon && port == 0) {
		given = strtoul(colon + 1, &end, 10);
		if (colon[1] < '0' || colon[1] > '9' || *end != 0 || given == 0 || given > 65535)
			return false;
	}
	if (len == 0 || len >= HOST_MAX || (tls && given == 0))
		return false;
	memcpy(name, host, len);
	name[len] = 0;
	snprintf(service, 16, "%lu", given ? given : (unsigned long)RINGCAST_WIRE_PORT);
	return true;
}

static int resolve(struct ringcast *r, const char *name, const char *service)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;

	if (getaddrinfo(name, service, &hints, &list) != 0)
		return RINGCAST_RESOLVE;
	for (struct addrinfo *a = list; a && r->address_count < RC_CLIENT_ADDRESSES;
		a = a->ai_next) {
		memcpy(&r->addresses[r->address_count], a->ai_addr, a->ai_addrlen);
		r->address_lens[r->address_count++] = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return r->address_count ? RINGCAST_OK : RINGCAST_RESOLVE;
}

static int prepare_tls(struct ringcast *r, const char *host)
{
	struct rc_client_tls_options t = {.host = r->o.tls_name ? r->o.tls_name : host,
		.ca = r->o.tls_ca,
		.certificate = r->o.tls_certificate,
		.key = r->o.tls_key,
		.trust_anybody = r->o.tls_insecure == RINGCAST_TLS_TRUST_ANYBODY};
	char why[RC_CLIENT_TLS_WHY];

	if (!tls_wanted(r->o.host) || rc_client_tls_open(&r->tls, &t, why) == 0)
		return RINGCAST_OK;
	/* There will be no object that could be asked. */
	rc_client_tell_state(r, RINGCAST_STATE_FAILED, why);
	return RINGCAST_TLS;
}

static int allocate(struct ringcast *r)
{
	const char *token = r->o.token ? r->o.token : "";
	size_t records = 1;

	while (records < r->o.window_events)
		records *= 2;
	r->record_mask = (uint32_t)(records - 1);
	r->token_max = strlen(token) > TOKEN_ROOM ? strlen(token) : TOKEN_ROOM;
	r->ctl_max = r->token_max > RC_CLIENT_REGISTER_MAX ? r->token_max : RC_CLIENT_REGISTER_MAX;
	r->ctl_max += CTL_ROOM + r->o.reply_bytes;
	r->token = malloc(r->token_max + 1);
	r->ctl = malloc(r->ctl_max);
	r->rx = malloc(r->o.receive_bytes);
	r->bytes = malloc(r->o.window_bytes);
	r->records = calloc(records, sizeof(*r->records));
	if (!r->token || !r->ctl || !r->rx || !r->bytes || !r->records)
		return RINGCAST_NO_MEMORY;
	strcpy(r->token, token);
	if (r->o.publisher)
		strcpy(r->publisher, r->o.publisher);
	r->known = r->publisher[0] != 0 || r->o.tls_certificate;
	return RINGCAST_OK;
}

static void release(struct ringcast *r)
{
	rc_client_tls_close(r->tls);
	free(r->token);
	free(r->ctl);
	free(r->rx);
	free(r->handlers);
	rc_client_follow_free(r);
	free(r->bytes);
	free(r->records);
	free(r);
}

int ringcast_open(struct ringcast **out, const struct ringcast_options *options)
{
	struct ringcast_options o = defaults;
	char name[HOST_MAX], service[16];
	struct ringcast *r;
	int rc;

	*out = NULL;
	/* A caller of an older header knows fewer fields, one of a newer header more than can be honoured. */
	if (options) {
		if (options->size < sizeof(options->size) || options->size > sizeof(o))
			return RINGCAST_INVALID;
		memcpy(&o, options, options->size);
	}
	if (!options_valid(&o) || !split(o.host ? o.host : "127.0.0.1", o.port, name, service))
		return RINGCAST_INVALID;
	r = calloc(1, sizeof(*r));
	if (!r)
		return RINGCAST_NO_MEMORY;
	r->o = o;
	r->fd = -1;
	rc = allocate(r);
	if (rc == RINGCAST_OK)
		rc = resolve(r, name, service);
	if (rc == RINGCAST_OK)
		rc = prepare_tls(r, name);
	if (rc != RINGCAST_OK) {
		release(r);
		return rc;
	}
	/* They are the caller's memory; what is needed of them was copied. */
	r->o.host = r->o.token = r->o.publisher = NULL;
	r->o.tls_ca = r->o.tls_certificate = r->o.tls_key = r->o.tls_name = NULL;
	if (getrandom(&r->random, sizeof(r->random), GRND_NONBLOCK) != sizeof(r->random))
		r->random = rc_client_now_ms() ^ (uint64_t)(uintptr_t)r ^ (uint64_t)getpid() << 32;
	r->next_sequence = o.first_sequence;
	if (o.first_sequence == 0 && !r->known)
		r->next_sequence = 1;
	/* Callbacks may run from here on, and look at it. */
	*out = r;
	rc_client_step(r);
	return RINGCAST_OK;
}

void ringcast_close(struct ringcast *r)
{
	if (!r)
		return;
	/* The good-bye may end the connection, which nobody needs to be told of any more. */
	r->o.ack = NULL;
	r->o.nack = NULL;
	r->o.state = NULL;
	r->o.error = NULL;
	r->o.registered = NULL;
	r->o.subscribed = NULL;
	r->o.gap = NULL;
	(void)ringcast_off(r, NULL);
	rc_client_follow_free(r);
	rc_client_bye(r);
	if (r->tls)
		rc_client_tls_bye(r->tls);
	if (r->fd >= 0) {
		/* Answers that were not read would make close() reset what is still on its way to the gateway. */
		shutdown(r->fd, SHUT_WR);
		while (recv(r->fd, r->rx, r->o.receive_bytes, MSG_DONTWAIT) > 0)
			;
		close(r->fd);
	}
	release(r);
}

int ringcast_set_token(struct ringcast *r, const char *token)
{
	size_t len = token ? strlen(token) : 0;

	if (len > r->token_max)
		return RINGCAST_INVALID;
	memcpy(r->token, token ? token : "", len + 1);
	if (r->state == RINGCAST_STATE_FAILED) {
		r->retry_at_ms = 0;
		rc_client_tell_state(r, RINGCAST_STATE_WAITING, "a new token");
	}
	return RINGCAST_OK;
}

enum ringcast_state ringcast_state(const struct ringcast *r)
{
	return r->state;
}

size_t ringcast_unacked(const struct ringcast *r)
{
	return r->events;
}

uint64_t ringcast_acked(const struct ringcast *r)
{
	return r->acked;
}

const char *ringcast_last_error(const struct ringcast *r)
{
	return r->why;
}

const char *ringcast_strerror(int code)
{
	switch (code) {
	case RINGCAST_OK:
		return "all is well";
	case RINGCAST_AGAIN:
		return "no room in the window; try again when something was acknowledged";
	case RINGCAST_TIMEOUT:
		return "the time is over, and not everything is acknowledged";
	case RINGCAST_INVALID:
		return "an argument can't be right";
	case RINGCAST_TOO_LARGE:
		return "larger than the window or than the gateway takes";
	case RINGCAST_FAILED:
		return "the gateway said that coming back can't help; see ringcast_last_error";
	case RINGCAST_NO_MEMORY:
		return "out of memory";
	case RINGCAST_RESOLVE:
		return "the host has no address";
	case RINGCAST_GONE:
		return "nobody waits for that reply";
	case RINGCAST_TLS:
		return "a certificate, a key or the authorities' file can't be used";
	case RINGCAST_MISUSE:
		return "not inside a callback, or batch_begin and batch_end don't match";
	default:
		return "not a code of ringcast";
	}
}
