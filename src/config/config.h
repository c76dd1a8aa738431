/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: what the operator decided, checked, in plain fields. One table (options.c) yields defaults, parser,
 * bounds, help, printout and the example file. The caller owns the struct; the main thread fills it at start, before the
 * shards exist, and from then on everybody only reads it.
 *
 * Precedence: defaults < file < environment < flags, whatever the order of the calls.
 *
 *   rc_config_init ─▶ load_flags ─▶ load_file ─▶ load_env ─▶ finish      (rc_config_load does the five in one)
 *
 * Until rc_config_finish succeeded, the namespaces have not inherited and nothing was checked against anything else.
 */
#ifndef RC_CONFIG_CONFIG_H
#define RC_CONFIG_CONFIG_H

#include <stdio.h>

#include "base/base.h"
#include "base/logline.h"
#include "base/netset.h"
#include "config/address.h"
#include "config/report.h"

#define RC_CONFIG_CPU_MAX        1023 /* highest CPU number that can be named */
#define RC_CONFIG_NAMESPACES_MAX 64   /* named ones; the default one comes on top */
/* Text values with their NUL: so short that each fits into one line of a configuration file. */
#define RC_CONFIG_TEXT_SIZE 160
#define RC_CONFIG_NAME_SIZE 64
/* At least as many as the table has rows (asserted there). */
#define RC_CONFIG_OPTIONS_MAX    192
#define RC_CONFIG_NS_OPTIONS_MAX 32

/* A constant and no option: what a client may ask of the echo endpoint. */
#define RC_CONFIG_ECHO_MESSAGES_PER_SECOND 20000
#define RC_CONFIG_ECHO_FRAGMENTS_MAX       65536

/* What happens to a subscriber that lags beyond its namespace's bounds. */
enum rc_config_slow {
	RC_CONFIG_SLOW_DISCONNECT,
	RC_CONFIG_SLOW_SKIP,
	RC_CONFIG_SLOW_LATEST,
};

/* What a new subscriber gets at once. */
enum rc_config_first { RC_CONFIG_FIRST_NONE, RC_CONFIG_FIRST_LATEST };

/* PROXY headers at a listener. */
enum rc_config_proxy { RC_CONFIG_PROXY_OFF, RC_CONFIG_PROXY_OPTIONAL, RC_CONFIG_PROXY_REQUIRED };
/* Which header of a request says for whom a trusted proxy asks. */
enum rc_config_forwarded {
	RC_CONFIG_FORWARDED_OFF,
	RC_CONFIG_FORWARDED_X,
	RC_CONFIG_FORWARDED_RFC7239,
};
/* auto = where clients have tokens */
enum rc_config_check { RC_CONFIG_CHECK_AUTO, RC_CONFIG_CHECK_YES, RC_CONFIG_CHECK_NO };
/* To whom a namespace grants something without asking for a claim of his token. A claim grants it unless it is NOBODY. */
enum rc_config_allow {
	RC_CONFIG_ALLOW_AUTO,
	RC_CONFIG_ALLOW_ANYONE,
	RC_CONFIG_ALLOW_USER,
	RC_CONFIG_ALLOW_OWN,
	RC_CONFIG_ALLOW_TOKEN,
	RC_CONFIG_ALLOW_NOBODY,
};

/* Who may send commands; the claim `commands` grants it unless it is NOBODY. */
enum rc_config_command {
	RC_CONFIG_COMMAND_AUTO,
	RC_CONFIG_COMMAND_ANYONE,
	RC_CONFIG_COMMAND_USER,
	RC_CONFIG_COMMAND_TOKEN,
	RC_CONFIG_COMMAND_NOBODY,
};

/* What payloads a namespace takes. */
enum rc_config_payload { RC_CONFIG_PAYLOAD_ANY, RC_CONFIG_PAYLOAD_JSON };

enum rc_config_ask { RC_CONFIG_ASK_NO, RC_CONFIG_ASK_OPTIONAL, RC_CONFIG_ASK_REQUIRED };
enum rc_config_over { RC_CONFIG_OVER_REFUSE, RC_CONFIG_OVER_REPLACE };
enum rc_config_open { RC_CONFIG_OPEN_AUTO, RC_CONFIG_OPEN_YES, RC_CONFIG_OPEN_NO };
enum rc_config_kernel { RC_CONFIG_KERNEL_AUTO, RC_CONFIG_KERNEL_YES, RC_CONFIG_KERNEL_NO };

/* What a key is for. */
enum rc_config_hmac { RC_CONFIG_HS256, RC_CONFIG_HS384, RC_CONFIG_HS512 };
enum rc_config_public {
	RC_CONFIG_ALG_AUTO,
	RC_CONFIG_RS256,
	RC_CONFIG_PS256,
	RC_CONFIG_ES256,
	RC_CONFIG_EDDSA
};

enum rc_config_log { RC_CONFIG_LOG_TEXT, RC_CONFIG_LOG_JSON };

enum rc_config_huge { RC_CONFIG_HUGE_AUTO, RC_CONFIG_HUGE_YES, RC_CONFIG_HUGE_NO };

enum rc_config_source {
	RC_CONFIG_DEFAULT,
	RC_CONFIG_INHERITED, /* of a named namespace: from the default one */
	RC_CONFIG_FILE,
	RC_CONFIG_ENV,
	RC_CONFIG_FLAG,
};

struct rc_config_origin {
	uint32_t source; /* enum rc_config_source */
	uint32_t line;   /* of the file, else 0 */
};

/* In the operator's order: shard i is pinned to cpu[i]. count 0 = not pinned. */
struct rc_config_cpus {
	uint32_t count;
	uint16_t cpu[RC_SHARDS_MAX];
};

struct rc_config_namespace {
	char name[RC_CONFIG_NAME_SIZE]; /* "" for the default one */
	uint32_t lag_bytes;
	uint32_t lag_time_ms; /* 0 = no bound in time */
	uint32_t slow_policy; /* enum rc_config_slow */
	char slow_key[RC_CONFIG_NAME_SIZE + 1];
	bool raw;
	bool trace;
	bool deflate;
	uint32_t channel_ttl_ms;
	uint32_t history_size; /* events; 0 = none */
	uint32_t history_bytes;
	uint32_t history_ttl_ms;
	uint32_t on_subscribe; /* enum rc_config_first */
	bool presence;
	bool join_leave;
	uint32_t presence_linger_ms;
	uint32_t presence_max; /* users */
	uint32_t presence_interval_ms;
	uint32_t allow_subscribe, allow_publish, allow_history,
		allow_presence; /* enum rc_config_allow */
	uint32_t payload;       /* enum rc_config_payload */
	uint32_t payload_max;   /* bytes; 0 = max_message alone */
	char schema[RC_CONFIG_TEXT_SIZE];
	char events
		[RC_CONFIG_TEXT_SIZE]; /* names, also with a `*` at the end; separated by commas or spaces */
	struct rc_config_origin origin[RC_CONFIG_NS_OPTIONS_MAX];
};

struct rc_config {
	/* [server] */
	struct rc_address listen; /* family 0 = none; so the others */
	uint32_t shards;          /* 0 = one per usable CPU */
	struct rc_config_cpus cpus;
	uint32_t busy_poll_us;
	uint32_t max_clients; /* all shards together */
	uint32_t max_message; /* bytes of a publisher's event payload */
	uint32_t client_message_max;
	uint32_t deflate_level;
	uint32_t deflate_min;  /* bytes */
	uint32_t max_channels; /* all shards together */
	uint32_t max_channels_per_client;
	uint32_t max_views; /* all shards together */
	uint32_t max_views_per_client;
	uint32_t view_bytes;
	uint32_t max_patterns;
	uint32_t max_presence;  /* all shards together */
	uint32_t max_consumers; /* all shards together */
	uint32_t max_consumers_per_user;
	uint32_t ack_ttl_ms;
	uint32_t ack_timeout_max_ms, ack_retries_max, ack_window_max;
	uint32_t ack_window_bytes;
	uint32_t request_head_max;
	uint32_t handshake_timeout_ms;
	uint32_t heartbeat_ms;
	uint32_t drain_timeout_ms;
	uint32_t reconnect_jitter_ms;
	uint32_t close_timeout_ms;
	uint64_t memory;
	uint64_t history_memory;  /* all shards together; 0 = half of memory */
	uint32_t ring_bytes;      /* 0 = sized from max_message */
	uint32_t receive_buffers; /* per shard */
	uint32_t receive_buffer_bytes;
	uint32_t output_max;
	uint32_t send_max;
	uint32_t notsent_lowat;
	uint32_t tcp_user_timeout_ms; /* 0 = off */
	uint32_t tcp_keepalive_ms;    /* 0 = off; the kernel counts whole seconds, so round up */
	uint32_t backlog;
	uint32_t submit_entries;
	uint32_t huge_pages; /* enum rc_config_huge */
	uint32_t send_budget;
	char counters[RC_CONFIG_TEXT_SIZE]; /* "auto" or a path */
	uint32_t log_level;                 /* enum rc_level */
	char trusted_proxies[RC_CONFIG_TEXT_SIZE];
	char trusted_proxies_file[RC_CONFIG_TEXT_SIZE];
	struct rc_netset trusted; /* no option: what the two of them list, after finish */
	uint32_t proxy_protocol;  /* enum rc_config_proxy; so the others */
	bool insecure;
	uint32_t rtt_fair_ms, rtt_poor_ms;
	uint32_t reconnect_spike; /* users in a second; 0 = off */

	/* [ingest] */
	struct rc_address ingest_listen;
	char ingest_token[RC_CONFIG_TEXT_SIZE]; /* after finish: also what token_file held */
	char ingest_token_file[RC_CONFIG_TEXT_SIZE];
	uint32_t max_publishers;
	uint32_t max_publisher_ids;
	uint32_t publisher_ttl_ms;
	uint32_t ingest_window;
	uint32_t ingest_frame_max;
	bool ingest_open;
	uint32_t ingest_proxy_protocol;

	/* [tls]: on when a certificate is named */
	struct rc_address tls_listen;
	struct rc_address tls_ingest_listen;
	char tls_certificate[RC_CONFIG_TEXT_SIZE];
	char tls_key[RC_CONFIG_TEXT_SIZE];
	char tls_certificate_folder[RC_CONFIG_TEXT_SIZE];
	char tls_ocsp[RC_CONFIG_TEXT_SIZE];
	char tls_client_ca[RC_CONFIG_TEXT_SIZE];
	uint32_t tls_clients;     /* enum rc_config_ask */
	uint32_t tls_publishers;  /* enum rc_config_ask */
	uint32_t tls_min_version; /* 0 = 1.2, 1 = 1.3 */
	uint32_t tls_kernel;      /* enum rc_config_kernel */
	uint32_t tls_ticket_lifetime_ms;
	uint32_t tls_max_handshakes; /* all shards together */
	uint32_t tls_max_handshakes_per_address;
	uint32_t tls_handshake_budget_us; /* per turn of a shard */
	uint32_t tls_renew_records;
	uint32_t tls_proxy_protocol, tls_ingest_proxy_protocol;

	/* [http] */
	uint32_t http_body_max;
	uint64_t http_body_memory; /* all shards together; 0 = an eighth of memory */
	uint32_t http_body_timeout_ms;
	uint32_t http_idle_timeout_ms;
	char http_origins
		[RC_CONFIG_TEXT_SIZE]; /* separated by commas or spaces; in lower case after finish */
	uint32_t http_origin_check;    /* enum rc_config_check */
	uint32_t http_forwarded;       /* enum rc_config_forwarded */
	uint32_t http_publish_max;
	uint32_t http_idempotency_ttl_ms;
	uint32_t http_idempotency_keys; /* all shards together */

	/* [admin] */
	struct rc_address admin_listen;
	char admin_token[RC_CONFIG_TEXT_SIZE]; /* after finish: also what token_file held */
	char admin_token_file[RC_CONFIG_TEXT_SIZE];
	uint32_t admin_open_on_loopback; /* enum rc_config_open */
	uint32_t admin_proxy_protocol;

	/* [auth]: the keys of tokens, what is asked of them, how they come */
	char auth_hmac_secret[RC_CONFIG_TEXT_SIZE];
	char auth_hmac_secret_file[RC_CONFIG_TEXT_SIZE];
	uint32_t auth_hmac_algorithm; /* enum rc_config_hmac */
	char auth_public_key[RC_CONFIG_TEXT_SIZE];
	uint32_t auth_public_key_algorithm; /* enum rc_config_public */
	char auth_jwks[RC_CONFIG_TEXT_SIZE];
	uint32_t auth_token_max;
	char auth_user_claim[RC_CONFIG_NAME_SIZE + 1];
	char auth_issuer[RC_CONFIG_TEXT_SIZE];   /* separated by commas or spaces */
	char auth_audience[RC_CONFIG_TEXT_SIZE]; /* the same */
	uint32_t auth_leeway_ms;
	bool auth_require_expiry;
	char auth_cookie[RC_CONFIG_NAME_SIZE + 1];
	bool auth_token_in_query;
	uint32_t
		auth_anonymous; /* enum rc_config_open; rc_config_anonymous() says what it comes to */
	uint32_t auth_timeout_ms;
	char auth_services[RC_CONFIG_TEXT_SIZE];
	uint32_t auth_allow_command; /* enum rc_config_command */

	/* [backends] */
	uint32_t command_timeout_ms;
	uint32_t max_commands;  /* all shards together */
	uint32_t command_queue; /* of them */
	uint32_t credit_max;
	uint32_t max_backends;

	/* [webhooks] */
	char webhook_url[RC_CONFIG_TEXT_SIZE];        /* "" = none */
	char webhook_types[RC_CONFIG_TEXT_SIZE];      /* separated by commas or spaces */
	char webhook_idempotent[RC_CONFIG_TEXT_SIZE]; /* the same */
	char webhook_secret_file[RC_CONFIG_TEXT_SIZE];
	uint32_t webhook_timeout_ms;
	uint32_t webhook_connections;
	uint32_t webhook_retries;
	uint32_t webhook_backoff_ms;
	uint32_t webhook_answer_max;
	uint32_t webhook_event_queue;
	uint32_t webhook_resolve_ms;

	/* [limits]: 0 = no limit. Rates are per second. */
	bool limit_exempt_loopback;
	uint32_t limit_ipv6_prefix;
	uint32_t limit_connections_per_address;
	uint32_t limit_accept_rate, limit_accept_burst;
	uint32_t limit_accept_rate_per_address, limit_accept_burst_per_address;
	uint32_t limit_handshake_rate, limit_handshake_burst;
	uint32_t limit_handshake_rate_per_address, limit_handshake_burst_per_address;
	uint32_t limit_max_unauthenticated; /* all shards together */
	uint32_t limit_request_rate_per_address, limit_request_burst_per_address;
	uint32_t limit_auth_failures, limit_auth_failures_window_ms;
	uint32_t limit_message_rate, limit_message_burst;
	uint32_t limit_byte_rate, limit_byte_burst;
	uint32_t limit_subscribe_rate, limit_subscribe_burst; /* channels */
	uint32_t limit_publish_rate, limit_publish_burst;
	uint32_t limit_command_rate, limit_command_burst;
	uint32_t limit_grace_ms;
	uint32_t limit_message_timeout_ms;
	uint32_t limit_max_connections_per_user; /* 0 = unlimited */
	uint32_t limit_over_connections;         /* enum rc_config_over */

	/* [log] */
	uint32_t log_format;                  /* enum rc_config_log */
	char log_access[RC_CONFIG_TEXT_SIZE]; /* "none", "stderr" or a path */

	/* [echo] */
	bool echo;
	uint32_t echo_max_message;
	uint64_t echo_memory;

	/* [namespace NAME]: ns[0] is the default one, ns[1] to ns[namespace_count] are the named ones */
	uint32_t namespace_count;
	struct rc_config_namespace ns[1 + RC_CONFIG_NAMESPACES_MAX];

	/* Where each value came from; for the printout and for the precedence. */
	char file[256]; /* "" = none was read */
	struct rc_config_origin origin[RC_CONFIG_OPTIONS_MAX];
};

/* What the command line asked for besides options; the strings are the caller's argv. */
struct rc_config_args {
	const char *config; /* NULL = not named */
	bool help;
	bool print_config;
	bool check_config;
	bool example_config;
};

/* Everything at its default. The struct is large (tens of KiB): static or allocated, not on a small stack. */
void rc_config_init(struct rc_config *c);

/*
 * Each of these reports whatever is wrong, goes on to the end, and returns 0, or -1 when it reported an error. A value
 * that was refused leaves the field as it was.
 */
int rc_config_load_file(
	struct rc_config *c, const char *path, struct rc_config_report *r) RC_MUST_USE;
/* The contents of a file that is in memory already; `path` is for the messages. */
int rc_config_load_text(struct rc_config *c, const char *path, const char *text, size_t len,
	struct rc_config_report *r) RC_MUST_USE;
/* RINGCAST_KEY, RINGCAST_SECTION_KEY and RINGCAST_NAMESPACE_NAME_KEY of a NULL-terminated NAME=value list. */
int rc_config_load_env(
	struct rc_config *c, char *const *env, struct rc_config_report *r) RC_MUST_USE;
/* argv[0] is the first argument, not the program's name. */
int rc_config_load_flags(struct rc_config *c, int argc, char *const *argv,
	struct rc_config_args *args, struct rc_config_report *r) RC_MUST_USE;
/* name: "key" of [server], "section.key", "namespace.key" or "namespace.NAME.key". */
int rc_config_set(struct rc_config *c, const char *name, const char *value,
	enum rc_config_source source, struct rc_config_report *r) RC_MUST_USE;
/* Inheritance of the namespaces, the token file, and what the options must be to each other. */
int rc_config_finish(struct rc_config *c, struct rc_config_report *r) RC_MUST_USE;
/* Whether the memory suffices for so many shards; finish asks it when it knows the number, otherwise main does. */
int rc_config_check_memory(
	const struct rc_config *c, uint32_t shards, struct rc_config_report *r) RC_MUST_USE;

/*
 * init, flags, the file (--config, else RINGCAST_CONFIG, else none), environment, finish. With args->help or
 * args->example_config set by the flags it returns 0 without reading further.
 */
int rc_config_load(struct rc_config *c, int argc, char *const *argv, char *const *env,
	struct rc_config_args *args, struct rc_config_report *r) RC_MUST_USE;

/* Index into c->ns for a channel's name: the namespace NAME holds for "NAME:…", and for "$dead:NAME:…". 0 = the default one. Any thread. */
uint32_t rc_config_namespace(const struct rc_config *c, struct rc_str channel);

/* Whether any namespace deflates. */
bool rc_config_deflates(const struct rc_config *c);
/* Whether [auth] names any key of tokens. */
bool rc_config_has_keys(const struct rc_config *c);
/* Whether clients without a token are let in. */
bool rc_config_anonymous(const struct rc_config *c);

/* The effective values, each with where it came from; can be read back as a file. Secrets are starred and commented out. */
void rc_config_print(const struct rc_config *c, FILE *out);
/* The annotated example: every option, commented out, at its default. */
void rc_config_example(FILE *out);
/* The options for --help. */
void rc_config_help(FILE *out);
/* The reference of all options as Markdown, and as the man page ringcast.conf(5); date as 2026-01-31. */
void rc_config_markdown(FILE *out);
void rc_config_man(FILE *out, const char *date);

#endif
