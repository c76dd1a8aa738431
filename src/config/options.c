/* SPDX-License-Identifier: Apache-2.0
 *
 * The table. A row says everything about an option: to add one, add a field to struct rc_config and a row here.
 */
#include <assert.h>
#include <stdio.h>

#include "config/options.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

#define SECOND UINT64_C(1000)
#define MINUTE (SECOND * 60)
#define HOUR   (MINUTE * 60)

#define FIELD(type, field)  .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define SERVER(name, field) .section = "server", .key = name, FIELD(struct rc_config, field)
#define INGEST(name, field) .section = "ingest", .key = name, FIELD(struct rc_config, field)
#define TLS(name, field)    .section = "tls", .key = name, FIELD(struct rc_config, tls_##field)
#define HTTP(name, field)   .section = "http", .key = name, FIELD(struct rc_config, http_##field)
#define ADMIN(name, field)  .section = "admin", .key = name, FIELD(struct rc_config, admin_##field)
#define AUTH(name, field)   .section = "auth", .key = name, FIELD(struct rc_config, auth_##field)
#define DESK(name, field)   .section = "backends", .key = name, FIELD(struct rc_config, field)
#define HOOK(name, field) \
	.section = "webhooks", .key = name, FIELD(struct rc_config, webhook_##field)
#define LIMIT(name, field) .section = "limits", .key = name, FIELD(struct rc_config, limit_##field)
#define LOG(name, field)   .section = "log", .key = name, FIELD(struct rc_config, log_##field)
#define ECHO(name, field)  .section = "echo", .key = name, FIELD(struct rc_config, field)
#define NAMESPACE(name, field) \
	.section = "namespace", .key = name, FIELD(struct rc_config_namespace, field)

#define COUNT(lo, hi)  .type = RC_OPTION_COUNT, .min = (lo), .max = (hi)
#define BYTES(lo, hi)  .type = RC_OPTION_BYTES, .min = (lo), .max = (hi)
#define MILLIS(lo, hi) .type = RC_OPTION_DURATION, .unit_ns = 1000000, .min = (lo), .max = (hi)
#define MICROS(lo, hi) .type = RC_OPTION_DURATION, .unit_ns = 1000, .min = (lo), .max = (hi)
#define ONE_OF(list)   .type = RC_OPTION_ENUM, .words = (list)
#define TEXT(longest)  .type = RC_OPTION_TEXT, .max = (longest)
#define FILE_PATH      .type = RC_OPTION_PATH, .max = RC_CONFIG_TEXT_SIZE - 1
#define STANDARD(text) .standard = (text)

static const char *const log_formats[] = {
	[RC_CONFIG_LOG_TEXT] = "text",
	[RC_CONFIG_LOG_JSON] = "json",
	NULL,
};
static const char *const huge_words[] = {"auto", "yes", "no", NULL};
static const char *const kernel_words[] = {
	[RC_CONFIG_KERNEL_AUTO] = "auto",
	[RC_CONFIG_KERNEL_YES] = "yes",
	[RC_CONFIG_KERNEL_NO] = "no",
	NULL,
};
static const char *const log_levels[] = {
	[RC_LEVEL_ERROR] = "error",
	[RC_LEVEL_WARN] = "warn",
	[RC_LEVEL_INFO] = "info",
	[RC_LEVEL_DEBUG] = "debug",
	NULL,
};

static const char *const ask_words[] = {
	[RC_CONFIG_ASK_NO] = "no",
	[RC_CONFIG_ASK_OPTIONAL] = "optional",
	[RC_CONFIG_ASK_REQUIRED] = "required",
	NULL,
};

static const char *const proxy_words[] = {
	[RC_CONFIG_PROXY_OFF] = "off",
	[RC_CONFIG_PROXY_OPTIONAL] = "optional",
	[RC_CONFIG_PROXY_REQUIRED] = "required",
	NULL,
};
static const char *const forwarded_words[] = {
	[RC_CONFIG_FORWARDED_OFF] = "off",
	[RC_CONFIG_FORWARDED_X] = "x-forwarded-for",
	[RC_CONFIG_FORWARDED_RFC7239] = "forwarded",
	NULL,
};
static const char *const check_words[] = {
	[RC_CONFIG_CHECK_AUTO] = "auto",
	[RC_CONFIG_CHECK_YES] = "yes",
	[RC_CONFIG_CHECK_NO] = "no",
	NULL,
};

static const char *const tls_versions[] = {"1.2", "1.3", NULL};

static const char *const first_events[] = {
	[RC_CONFIG_FIRST_NONE] = "none",
	[RC_CONFIG_FIRST_LATEST] = "latest",
	NULL,
};

static const char *const slow_policies[] = {
	[RC_CONFIG_SLOW_DISCONNECT] = "disconnect",
	[RC_CONFIG_SLOW_SKIP] = "skip",
	[RC_CONFIG_SLOW_LATEST] = "latest",
	NULL,
};

static const char *const over_words[] = {
	[RC_CONFIG_OVER_REFUSE] = "refuse",
	[RC_CONFIG_OVER_REPLACE] = "replace",
	NULL,
};

static const char *const allow_words[] = {
	[RC_CONFIG_ALLOW_AUTO] = "auto",
	[RC_CONFIG_ALLOW_ANYONE] = "anyone",
	[RC_CONFIG_ALLOW_USER] = "user",
	[RC_CONFIG_ALLOW_OWN] = "own",
	[RC_CONFIG_ALLOW_TOKEN] = "token",
	[RC_CONFIG_ALLOW_NOBODY] = "nobody",
	NULL,
};

/* Without `own`: a type of messages belongs to nobody. */
static const char *const command_words[] = {
	[RC_CONFIG_COMMAND_AUTO] = "auto",
	[RC_CONFIG_COMMAND_ANYONE] = "anyone",
	[RC_CONFIG_COMMAND_USER] = "user",
	[RC_CONFIG_COMMAND_TOKEN] = "token",
	[RC_CONFIG_COMMAND_NOBODY] = "nobody",
	NULL,
};

static const char *const payload_words[] = {
	[RC_CONFIG_PAYLOAD_ANY] = "any",
	[RC_CONFIG_PAYLOAD_JSON] = "json",
	NULL,
};

static const char *const open_words[] = {
	[RC_CONFIG_OPEN_AUTO] = "auto",
	[RC_CONFIG_OPEN_YES] = "yes",
	[RC_CONFIG_OPEN_NO] = "no",
	NULL,
};

const char *const rc_option_sections[] = {"server", "ingest", "tls", "http", "admin", "auth",
	"backends", "webhooks", "limits", "log", "echo", "namespace", NULL};

static const char *const hmac_words[] = {
	[RC_CONFIG_HS256] = "HS256",
	[RC_CONFIG_HS384] = "HS384",
	[RC_CONFIG_HS512] = "HS512",
	NULL,
};

static const char *const public_words[] = {
	[RC_CONFIG_ALG_AUTO] = "auto",
	[RC_CONFIG_RS256] = "RS256",
	[RC_CONFIG_PS256] = "PS256",
	[RC_CONFIG_ES256] = "ES256",
	[RC_CONFIG_EDDSA] = "EdDSA",
	NULL,
};

/* One row, one paragraph. */
/* clang-format off */
const struct rc_option rc_options[] = {
	{SERVER("listen", listen), .type = RC_OPTION_ADDRESS, .zero = true, STANDARD("127.0.0.1:8080"),
		.flag = "--listen", .short_flag = 'l',
		.help = "where clients connect (WebSocket, SSE, HTTP); none = nowhere",
		.why = "Loopback until you decide otherwise. *:8080 is every IPv4 address, [::]:8080 every IPv6 one, "
		       "port 0 lets the kernel choose."},
	{SERVER("shards", shards), COUNT(1, RC_SHARDS_MAX), .zero = true, STANDARD("0"),
		.flag = "--shards",
		.help = "threads, each with its own ring; 0 = one per usable CPU",
		.why = "A shard fills one core. Leave cores for the network interrupts on a loaded host."},
	{SERVER("cpus", cpus), .type = RC_OPTION_CPUS, STANDARD(""), .flag = "--cpus",
		.help = "CPUs that the shards are pinned to, in order, for example 0-3,8; empty = not pinned",
		.why = "Pin on a dedicated host, and keep the interrupts of the network card off these cores."},
	{SERVER("busy_poll", busy_poll_us), MICROS(0, 1000000), STANDARD("0"),
		.help = "how long an idle shard polls before it sleeps; 0 = sleeps at once",
		.why = "Buys some microseconds of latency with a core that is always busy. Only with pinned shards."},
	{SERVER("max_clients", max_clients), COUNT(20, 4000000), STANDARD("10000"),
		.help = "clients connected at once, all shards together",
		.why = "Each needs a file descriptor and 256 bytes while it waits in one channel, without TLS; one more is turned away with an answer."},
	{SERVER("max_message", max_message), BYTES(64, 1 * MIB), STANDARD("64KiB"),
		.help = "the largest event payload that a publisher may send",
		.why = "frame_max of [ingest] must be at least 1KiB more, lag_bytes of every namespace twice as much."},
	{SERVER("client_message_max", client_message_max), BYTES(256, 1 * MIB), STANDARD("64KiB"),
		.help = "the largest message that a client may send",
		.why = "A larger one closes the connection with code 1009."},
	{SERVER("deflate_level", deflate_level), COUNT(1, 9), STANDARD("3"),
		.help = "how hard events are deflated where a namespace has `deflate`: 1 fastest, 9 smallest",
		.why = "Once per event, not per client. 1KiB of JSON takes 16us at every level; 16KiB takes 70us at 1, 80us at 3, 140us "
		       "at 6, 270us at 9, and gets 15% smaller from 1 to 6."},
	{SERVER("deflate_min", deflate_min), BYTES(16, 1 * MIB), STANDARD("256"),
		.help = "the smallest message that is deflated, envelope included",
		.why = "Below it the bytes saved are not worth the client's time; a packet is sent anyway."},
	{SERVER("max_channels", max_channels), COUNT(100, 16000000), STANDARD("200000"),
		.help = "channels known at once, all shards together",
		.why = "Bounds the tables; a channel without subscribers counts until its channel_ttl is over."},
	{SERVER("max_channels_per_client", max_channels_per_client), COUNT(1, 100000),
		STANDARD("1000"),
		.help = "channels and patterns that one client may be subscribed to",
		.why = "Keeps one client from filling the tables of all."},
	{SERVER("max_views", max_views), COUNT(1, 1000000), STANDARD("10000"),
		.help = "different filters, rates and windows of channels at once, all shards together",
		.why = "Clients of a shard that want a channel in the same way share one; each event is looked at once for it."},
	{SERVER("max_views_per_client", max_views_per_client), COUNT(0, 100000), STANDARD("100"),
		.help = "subscriptions of one client with a filter, a rate or a window",
		.why = "Keeps one client from using up max_views; 0 lets nobody have any."},
	{SERVER("view_bytes", view_bytes), BYTES(4 * KIB, 1 * MIB), STANDARD("64KiB"),
		.help = "what one window, or what a rate holds back, may take in memory",
		.why = "A window that is full goes out early; of a rate the oldest value does."},
	{SERVER("max_patterns", max_patterns), COUNT(16, 1000000), STANDARD("10000"),
		.help = "different patterns subscribed to at once, all shards together",
		.why = "A new channel is matched against all of them."},
	{SERVER("max_presence", max_presence), COUNT(16, 16000000), STANDARD("100000"),
		.help = "users in channels with presence, all channels and shards together",
		.why = "A user in two channels counts twice. Beyond it users are counted and not listed. Reserved only where "
		       "a namespace has presence."},
	{SERVER("max_consumers", max_consumers), COUNT(1, 100000000), STANDARD("10000"),
		.help = "consumers with acknowledged delivery, connected or not, of all shards together",
		.why = "Needs a namespace with history_size. Each has a few hundred bytes, and 24 for each event of its window."},
	{SERVER("max_consumers_per_user", max_consumers_per_user), COUNT(1, 100000000), .zero = true,
		STANDARD("1000"),
		.help = "those of one user, or of one address where clients have no name; 0 = as many as there may be",
		.why = "Keeps one who makes up clientIds from using up max_consumers. Workers of one service are one user, if their tokens say so."},
	{SERVER("ack_ttl", ack_ttl_ms), MILLIS(1 * SECOND, 20 * 24 * HOUR), STANDARD("10m"),
		.help = "how long a consumer without a connection is remembered",
		.why = "Who comes back later begins anew. What he missed must be in the history too."},
	{SERVER("ack_timeout_max", ack_timeout_max_ms), MILLIS(100, 24 * HOUR), STANDARD("10m"),
		.help = "the longest time in which a client may ask to acknowledge an event",
		.why = "A client that names none has 5s."},
	{SERVER("ack_retries_max", ack_retries_max), COUNT(0, 10000), STANDARD("100"),
		.help = "how often a client may ask to get an event again before it is a dead letter",
		.why = "A client that names none gets it 3 times again."},
	{SERVER("ack_window_max", ack_window_max), COUNT(1, 10000), STANDARD("256"),
		.help = "the most events that a client may ask to have unacknowledged",
		.why = "A client that names none has 32."},
	{SERVER("ack_window_bytes", ack_window_bytes), BYTES(1 * KIB, 16 * MIB), STANDARD("256KiB"),
		.help = "bytes of events that a consumer has unacknowledged at most, or one event of any size",
		.why = "Whatever bound is reached first holds back what follows, for that consumer alone."},
	{SERVER("request_head_max", request_head_max), BYTES(1 * KIB, 64 * KIB), STANDARD("16KiB"),
		.help = "the largest HTTP request line with headers",
		.why = "Cookies and tokens count. A larger head is answered with 431."},
	{SERVER("handshake_timeout", handshake_timeout_ms), MILLIS(100, 5 * MINUTE),
		STANDARD("10s"), .help = "from the accepted connection to its complete request",
		.why = "Short enough that half-open connections cost little, long enough for a bad mobile network."},
	{SERVER("heartbeat", heartbeat_ms), MILLIS(100, 1 * HOUR), STANDARD("30s"),
		.help = "how often a silent client is asked whether it is still there",
		.why = "Must be shorter than what proxies and NATs on the way forget; many forget after 60s."},
	{SERVER("drain_timeout", drain_timeout_ms), MILLIS(0, 10 * MINUTE), STANDARD("10s"),
		.help = "how long a stop waits for clients to leave",
		.why = "At least reconnect_jitter, or clients are cut off before their turn to reconnect."},
	{SERVER("reconnect_jitter", reconnect_jitter_ms), MILLIS(0, 10 * MINUTE), STANDARD("5s"),
		.help = "the longest pause that a client is told to make before it comes back",
		.why = "Spreads the reconnects after a stop; about 1s for every 10000 clients is gentle."},
	{SERVER("close_timeout", close_timeout_ms), MILLIS(100, 1 * MINUTE), STANDARD("2s"),
		.help = "how long a close waits for the peer's own close",
		.why = "After it the connection is cut."},
	{SERVER("memory", memory), BYTES(16 * MIB, 1 * TIB), STANDARD("256MiB"),
		.help = "channel logs and waiting input and output, all shards together",
		.why = "Reserved at start, divided evenly between the shards. When it is used up new work is refused, "
		       "and nothing else is harmed."},
	{SERVER("history_memory", history_memory), BYTES(64 * KIB, 1 * TIB), .zero = true, STANDARD("0"),
		.help = "what the histories of all channels may hold of memory, five eighths of it at most; 0 = half of it",
		.why = "When it is used up the oldest events go first, whatever their namespace allows; who asks for them is told."},
	{SERVER("ring_bytes", ring_bytes), BYTES(64 * KIB, 256 * MIB), .zero = true, .pow2 = true,
		STANDARD("0"), .help = "each ring between two shards; 0 = sized from max_message",
		.why = "There are two per ordered pair of shards: 8 shards have 112."},
	{SERVER("receive_buffers", receive_buffers), COUNT(64, 32768), .pow2 = true,
		STANDARD("1024"), .help = "receive buffers of each shard",
		.why = "Shared by all its connections; more of them take larger bursts of input without a pause."},
	{SERVER("receive_buffer_bytes", receive_buffer_bytes), BYTES(1 * KIB, 64 * KIB),
		STANDARD("4KiB"), .help = "size of a receive buffer",
		.why = "Larger ones help publishers of large events, smaller ones many small messages."},
	{SERVER("output_max", output_max), BYTES(4 * KIB, 16 * MIB), STANDARD("64KiB"),
		.help = "what a client may have waiting besides its channels: acknowledgements, pongs",
		.why = "A client that asks and does not read is disconnected beyond it."},
	{SERVER("send_max", send_max), BYTES(4 * KIB, 1 * MIB), STANDARD("256KiB"),
		.help = "the most that one send hands to the kernel",
		.why = "Larger sends cost less each; smaller ones are fairer to the other clients of the shard."},
	{SERVER("notsent_lowat", notsent_lowat), BYTES(4 * KIB, 4 * MIB), STANDARD("16KiB"),
		.help = "unsent bytes in a client's socket above which nothing more is put in (TCP_NOTSENT_LOWAT)",
		.why = "Keeps the backlog in the channel log, where it is shared, and out of the kernel's memory."},
	{SERVER("tcp_user_timeout", tcp_user_timeout_ms), MILLIS(100, 10 * MINUTE), .zero = true,
		STANDARD("20s"),
		.help = "how long sent data may stay unacknowledged by the peer's TCP; 0 = the kernel's own patience",
		.why = "Finds peers that vanished while something was under way to them."},
	{SERVER("tcp_keepalive", tcp_keepalive_ms), MILLIS(1 * SECOND, 1 * HOUR), .zero = true,
		STANDARD("1m"), .help = "silence after which TCP itself asks; 0 = off",
		.why = "For peers that do not answer heartbeats, such as SSE clients. The kernel counts whole seconds."},
	{SERVER("backlog", backlog), COUNT(16, 65535), STANDARD("4096"),
		.help = "connections that may wait to be accepted, for each listening socket",
		.why = "The kernel caps it at net.core.somaxconn."},
	{SERVER("huge_pages", huge_pages), ONE_OF(huge_words), STANDARD("auto"),
		.help = "ask for huge pages where tables and logs lie",
		.why = "auto: from 100000 max_clients on. They spare page table walks; memory then comes in steps of 2 MiB."},
	{SERVER("submit_entries", submit_entries), COUNT(256, 32768), .pow2 = true,
		STANDARD("2048"), .help = "entries of each shard's submission queue",
		.why = "When it is full the shard submits at once; larger queues make larger batches."},
	{SERVER("send_budget", send_budget), COUNT(64, 1048576), STANDARD("4096"),
		.help = "sends that a shard makes in one turn of its loop",
		.why = "Smaller answers new input sooner, larger costs less for each delivery."},
	{SERVER("counters", counters), FILE_PATH, STANDARD("auto"),
		.help = "the file in which other processes can read the counters; auto = chosen at start",
		.why = "Best on a file system in memory (/dev/shm, /run)."},
	{SERVER("log_level", log_level), ONE_OF(log_levels), STANDARD("info"),
		.help = "the least important lines that are logged",
		.why = "debug is for a single client at a time; events are never logged."},
	{SERVER("trusted_proxies", trusted_proxies), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "proxies whose word counts for whose connection or request it is: addresses and nets, a list",
		.why = "For example `loopback, 10.1.0.0/16, 2001:db8:7::/48`; loopback and private are words for those. What others say of "
		       "somebody's address is never believed."},
	{SERVER("trusted_proxies_file", trusted_proxies_file), FILE_PATH, STANDARD(""),
		.help = "a file that lists more of them, separated by blanks or lines; # begins a comment",
		.why = "For the many nets of a content delivery network. Read at start; 512 ranges in all."},
	{SERVER("proxy_protocol", proxy_protocol), ONE_OF(proxy_words), STANDARD("off"),
		.help = "PROXY headers (version 1 or 2) from trusted_proxies in front of connections to this section's listen",
		.why = "required: every connection begins with one. optional: one that does not is the client's own. A header of somebody "
		       "who is not trusted closes the connection."},
	{SERVER("insecure", insecure), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "allow another address than loopback for clients without keys in [auth]",
		.why = "Everybody who reaches the port can then read every channel. Only on a network that you trust."},
	{SERVER("rtt_fair", rtt_fair_ms), MILLIS(1, 1 * MINUTE), STANDARD("300ms"),
		.help = "the round trip of a heartbeat from which a client's quality is fair and not good",
		.why = "In /api/status, and in what the metrics count; events that wait for so long count as well."},
	{SERVER("rtt_poor", rtt_poor_ms), MILLIS(1, 1 * MINUTE), STANDARD("1s"),
		.help = "the round trip from which it is poor; told once on $sys:quality as slow_rtt",
		.why = "A token whose channels name $sys:quality, or $sys:*, may subscribe to that."},
	{SERVER("reconnect_spike", reconnect_spike), COUNT(1, 1000000), .zero = true, STANDARD("100"),
		.help = "users who come back within one second that are told on $sys:quality as reconnects; 0 = never",
		.why = "Many at once mean that something between them and the gateway has gone."},

	{INGEST("listen", ingest_listen), .type = RC_OPTION_ADDRESS, .zero = true,
		STANDARD("127.0.0.1:7400"), .flag = "--ingest", .short_flag = 'i',
		.help = "where publishers connect (binary TCP); none = nowhere",
		.why = "Another address than loopback needs a token, which travels in clear: see ingest_listen of [tls]."},
	{INGEST("token", ingest_token), TEXT(RC_CONFIG_TEXT_SIZE - 1), .secret = true, STANDARD(""),
		.help = "what publishers must present; empty = nothing",
		.why = "Better in token_file or in the environment (RINGCAST_INGEST_TOKEN) than in a file that many "
		       "can read or on the command line, which every process sees."},
	{INGEST("token_file", ingest_token_file), FILE_PATH, STANDARD(""),
		.help = "a file whose first line is the token",
		.why = "Readable by the gateway's user only."},
	{INGEST("max_publishers", max_publishers), COUNT(1, 100000), STANDARD("256"),
		.help = "publishers connected at once",
		.why = "One more is refused with an ERROR frame."},
	{INGEST("max_publisher_ids", max_publisher_ids), COUNT(16, 1000000), STANDARD("10000"),
		.help = "publisher ids whose last sequence is remembered",
		.why = "A resend is recognised as long as the id is remembered."},
	{INGEST("publisher_ttl", publisher_ttl_ms), MILLIS(1 * SECOND, 24 * HOUR), STANDARD("1h"),
		.help = "how long an idle id's last sequence is remembered",
		.why = "Longer than the longest outage after which a publisher resends."},
	{INGEST("window", ingest_window), COUNT(16, 65536), STANDARD("4096"),
		.help = "events that a connection may have sent and not yet seen acknowledged",
		.why = "A publisher that has used it up waits; nothing is dropped."},
	{INGEST("frame_max", ingest_frame_max), BYTES(4 * KIB, 16 * MIB), STANDARD("1MiB"),
		.help = "the largest ingest frame, a batch included",
		.why = "At least max_message + 1KiB. Every shard needs memory for four of them."},
	{INGEST("open", ingest_open), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "allow another address than loopback without a token",
		.why = "Everybody who reaches the port can then publish anything. Only on a network that you trust."},
	{INGEST("proxy_protocol", ingest_proxy_protocol), ONE_OF(proxy_words), STANDARD("off"),
		.help = "PROXY headers from trusted_proxies in front of publishers, as in [server]",
		.why = "For publishers that come through a balancer."},

	{TLS("listen", listen), .type = RC_OPTION_ADDRESS, .zero = true, STANDARD("127.0.0.1:8443"),
		.help = "where clients connect over TLS (wss, https); none = nowhere",
		.why = "Opened when a certificate is named."},
	{TLS("ingest_listen", ingest_listen), .type = RC_OPTION_ADDRESS, .zero = true,
		STANDARD("none"), .help = "where publishers connect over TLS; none = nowhere",
		.why = "Another address than loopback needs a token, or publishers = required."},
	{TLS("certificate", certificate), FILE_PATH, STANDARD(""),
		.help = "PEM file: the server's certificate, then its chain; empty = no TLS",
		.why = "Read at start and at SIGHUP (`systemctl reload`); one that is wrong leaves the old one in place."},
	{TLS("key", key), FILE_PATH, STANDARD(""),
		.help = "PEM file of its private key; empty = in the certificate's file",
		.why = "Readable by the gateway's user only. EC keys (P-256) cost a tenth of RSA's handshake."},
	{TLS("certificate_folder", certificate_folder), FILE_PATH, STANDARD(""),
		.help = "further certificates, chosen by the name that a client asks for",
		.why = "NAME.pem with NAME.key beside it or the key within, and NAME.ocsp where there is one. Which names a "
		       "certificate serves stands in it."},
	{TLS("ocsp", ocsp), FILE_PATH, STANDARD(""),
		.help = "OCSP response (DER) that is stapled to the certificate",
		.why = "Fetched by a cron job of yours, then SIGHUP; the gateway asks nobody."},
	{TLS("client_ca", client_ca), FILE_PATH, STANDARD(""),
		.help = "PEM file of the authorities whose client certificates are accepted",
		.why = "Needed by clients and publishers = optional or required."},
	{TLS("clients", clients), ONE_OF(ask_words), STANDARD("no"),
		.help = "whether clients are asked for a certificate",
		.why = "Browsers then ask their user to choose one."},
	{TLS("publishers", publishers), ONE_OF(ask_words), STANDARD("no"),
		.help = "whether publishers are asked for a certificate",
		.why = "The common name in it, else its first alternative name, is then the publisher's id."},
	{TLS("min_version", min_version), ONE_OF(tls_versions), STANDARD("1.2"),
		.help = "the oldest version that is spoken", .why = "1.2 is still needed by older libraries, by no browser."},
	{TLS("kernel", kernel), ONE_OF(kernel_words), STANDARD("auto"),
		.help = "whether the kernel encrypts (kTLS) once the handshake is over",
		.why = "auto: where it can. yes: refuse to start where it can't. no: always in user space."},
	{TLS("ticket_lifetime", ticket_lifetime_ms), MILLIS(1 * MINUTE, 7 * 24 * HOUR), STANDARD("12h"),
		.help = "how long a client may resume its session without a full handshake",
		.why = "Ticket keys live in memory only and are renewed twice in this time."},
	{TLS("max_handshakes", max_handshakes), COUNT(16, 100000), STANDARD("1024"),
		.help = "handshakes under way at once, all shards together; more wait their turn",
		.why = "Each needs up to 50 KiB while it lasts."},
	{TLS("max_handshakes_per_address", max_handshakes_per_address), COUNT(1, 100000),
		STANDARD("256"), .help = "connections of one address that have not completed their handshake",
		.why = "One more is closed at once. Many people behind one address (NAT, a proxy) need more."},
	{TLS("handshake_budget", handshake_budget_us), MICROS(50, 1000000), STANDARD("1ms"),
		.help = "time for handshakes in each turn of a shard",
		.why = "In a storm of reconnects more of it lets people in faster and delays those who are in."},
	{TLS("renew_records", renew_records), COUNT(16, 16777216), STANDARD("8388608"),
		.help = "records sent with one key before it is renewed",
		.why = "AES-GCM must not go beyond about 23 million. Keys are renewed in place where that is possible, else the "
		       "client is asked to reconnect."},
	{TLS("proxy_protocol", proxy_protocol), ONE_OF(proxy_words), STANDARD("off"),
		.help = "PROXY headers from trusted_proxies in front of TLS at listen, as in [server]",
		.why = "For a balancer that passes TLS through. The header comes before the hello, in clear."},
	{TLS("ingest_proxy_protocol", ingest_proxy_protocol), ONE_OF(proxy_words), STANDARD("off"),
		.help = "the same in front of TLS at ingest_listen", .why = "For publishers that come through a balancer."},

	{HTTP("body_max", body_max), BYTES(1 * KIB, 16 * MIB), STANDARD("1MiB"),
		.help = "the largest body of a request",
		.why = "A larger one is answered with 413. Publish requests of many events need the most."},
	{HTTP("body_memory", body_memory), BYTES(64 * KIB, 64 * GIB), .zero = true, STANDARD("0"),
		.help = "all bodies on their way in together; 0 = an eighth of memory",
		.why = "A part of memory, so that slow uploads can't take it all. When it is used up, the answer is 503. What is whole and waits for room, as events of clients may, has half as much besides."},
	{HTTP("body_timeout", body_timeout_ms), MILLIS(100, 10 * MINUTE), STANDARD("30s"),
		.help = "from the head of a request to the end of its body",
		.why = "Then 408. Long enough for body_max on the slowest network that you serve."},
	{HTTP("idle_timeout", idle_timeout_ms), MILLIS(100, 1 * HOUR), STANDARD("1m"),
		.help = "how long a connection waits for its next request",
		.why = "An idle one costs a slot among max_clients. Longer than that of a proxy in front, or it meets closed connections."},
	{HTTP("origins", origins), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "origins whose pages may connect and read the answers (CORS), a list; * = all, empty = none",
		.why = "For example `https://app.example.com, http://localhost:5173, https://*.example.com`. A * in front stands for exactly one "
		       "part of a name. Scheme and port count; `null` is let in only if it is listed."},
	{HTTP("origin_check", origin_check), ONE_OF(check_words), STANDARD("auto"),
		.help = "whether pages of other origins than our own and the listed are refused; auto = where clients have tokens",
		.why = "Without it any page may open a WebSocket, with the cookies of who looks at it. What sends no Origin is no page, and is let in."},
	{HTTP("forwarded", forwarded), ONE_OF(forwarded_words), STANDARD("x-forwarded-for"),
		.help = "the header in which trusted_proxies say for whom they ask; only this one is looked at",
		.why = "The one that your proxy writes: the other passes through most of them as the client sent it."},
	{HTTP("publish_max", publish_max), COUNT(1, 2000), STANDARD("1000"),
		.help = "events in one publish request",
		.why = "More are answered with 413, and nothing is published."},
	{HTTP("idempotency_ttl", idempotency_ttl_ms), MILLIS(1 * SECOND, 24 * HOUR), STANDARD("5m"),
		.help = "how long the outcome of a request with an Idempotency-Key is remembered",
		.why = "Longer than the longest outage after which a publisher sends the same request again."},
	{HTTP("idempotency_keys", idempotency_keys), COUNT(16, 4000000), STANDARD("50000"),
		.help = "keys remembered at once, all shards together",
		.why = "Beyond it the oldest are forgotten before their time; the counter http_keys_evicted tells."},

	{ADMIN("listen", listen), .type = RC_OPTION_ADDRESS, .zero = true, STANDARD("none"),
		.help = "a port of its own for /api and /metrics; none = where the clients connect",
		.why = "With it the other ports answer 404 to both. It serves all else too."},
	{ADMIN("token", token), TEXT(RC_CONFIG_TEXT_SIZE - 1), .secret = true, STANDARD(""),
		.help = "what a request to /api must present (Authorization: Bearer); empty = there is none",
		.why = "Better in token_file or in the environment (RINGCAST_ADMIN_TOKEN) than in a file that many can read."},
	{ADMIN("token_file", token_file), FILE_PATH, STANDARD(""),
		.help = "a file whose first line is the token",
		.why = "Readable by the gateway's user only."},
	{ADMIN("open_on_loopback", open_on_loopback), ONE_OF(open_words), STANDARD("auto"),
		.help = "whether /api needs no token on a loopback port; auto = with neither a token nor a configuration file",
		.why = "auto holds for listen of [admin] with a configuration file too. Pages of other origins are kept out, and what says that a "
		       "proxy passed it on; a proxy on this host that does not say so opens it to everybody, and so do people who can log in."},
	{ADMIN("proxy_protocol", proxy_protocol), ONE_OF(proxy_words), STANDARD("off"),
		.help = "PROXY headers from trusted_proxies in front of connections to the admin's port, as in [server]",
		.why = "A port that takes them needs the token, on the loopback too."},

	{AUTH("hmac_secret", hmac_secret), TEXT(RC_CONFIG_TEXT_SIZE - 1), .secret = true, STANDARD(""),
		.help = "the secret by which tokens are signed and verified; empty = none",
		.why = "32 bytes at least (48 for HS384, 64 for HS512), from a random source. Better in hmac_secret_file or in the environment "
		       "(RINGCAST_AUTH_HMAC_SECRET) than in a file that many can read."},
	{AUTH("hmac_secret_file", hmac_secret_file), FILE_PATH, STANDARD(""),
		.help = "a file that holds this secret; a line end behind it is no part of it",
		.why = "Readable by the gateway's user only. This file, public_key and jwks are looked at every second, and read again when they have "
		       "changed; one that is wrong leaves the old keys in place."},
	{AUTH("hmac_algorithm", hmac_algorithm), ONE_OF(hmac_words), STANDARD("HS256"),
		.help = "what this secret is for, and those in jwks that do not say it",
		.why = "A token that names another algorithm is refused, whatever its signature."},
	{AUTH("public_key", public_key), FILE_PATH, STANDARD(""),
		.help = "PEM file of public keys, or certificates, whose tokens are taken; empty = none",
		.why = "Several in one file while keys are changed. RSA from 2048 bits on, EC on P-256, Ed25519."},
	{AUTH("public_key_algorithm", public_key_algorithm), ONE_OF(public_words), STANDARD("auto"),
		.help = "what these keys are for, and those in jwks that do not say it; auto = RS256, ES256, EdDSA by their type",
		.why = "A key is for one algorithm only. Name PS256 when your issuer signs so."},
	{AUTH("jwks", jwks), FILE_PATH, STANDARD(""),
		.help = "JWKS file of keys whose tokens are taken (RFC 7517); empty = none",
		.why = "Fetched by a cron job of yours from your issuer, and moved into place; the gateway asks nobody."},
	{AUTH("token_max", token_max), BYTES(256, 16 * KIB), STANDARD("8KiB"),
		.help = "the largest token that is looked at",
		.why = "In a request it is a part of request_head_max, in a message of client_message_max."},
	{AUTH("user_claim", user_claim), TEXT(RC_CONFIG_NAME_SIZE), STANDARD("sub"),
		.help = "the claim of a token that names its user",
		.why = "Its value is the user's id: 1 to 128 bytes without control characters. A token without it names nobody."},
	{AUTH("issuer", issuer), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "who may have issued a token (iss), a list; empty = not looked at",
		.why = "For example `https://login.example.com/`, compared as it is. Set it when the keys serve more than one purpose."},
	{AUTH("audience", audience), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "for whom a token may be (aud), a list; empty = not looked at",
		.why = "One of them must stand in the token. It keeps out tokens that the issuer made for other services."},
	{AUTH("leeway", leeway_ms), MILLIS(0, 10 * MINUTE), STANDARD("30s"),
		.help = "how far the clocks of issuer and gateway may differ",
		.why = "A token is good so much before its nbf and after its exp."},
	{AUTH("require_expiry", require_expiry), .type = RC_OPTION_BOOL, STANDARD("yes"),
		.help = "refuse tokens without an expiry (exp)",
		.why = "Without one a token that was lost opens the door for ever; nothing but another key ends it."},
	{AUTH("cookie", cookie), TEXT(RC_CONFIG_NAME_SIZE), STANDARD(""),
		.help = "the cookie in which a token may come; empty = none",
		.why = "Browsers send it along from pages of other origins too: see to it that the origins are checked."},
	{AUTH("token_in_query", token_in_query), .type = RC_OPTION_BOOL, STANDARD("yes"),
		.help = "whether a token may come in the URL (?token=)",
		.why = "The easiest way for a browser, but URLs stand in the logs of proxies. Its others are the subprotocol, the cookie, the first message."},
	{AUTH("anonymous", anonymous), ONE_OF(open_words), STANDARD("auto"),
		.help = "whether clients without a token are let in; auto = where a namespace lets anyone subscribe, or without keys",
		.why = "What they may do stands with the namespaces."},
	{AUTH("services", services), FILE_PATH, STANDARD(""),
		.help = "file of services, each with what it may do; empty = none",
		.why = "A line each: NAME, then token:SECRET, sha256:HEX or certificate:COMMON-NAME, then scopes such as publish=orders:** send "
		       "read. Readable by the gateway's user only; looked at every second."},
	{AUTH("auth_timeout", timeout_ms), MILLIS(100, 5 * MINUTE), STANDARD("10s"),
		.help = "how long a WebSocket without a token may stay before its first message brings one",
		.why = "Then it is closed with code 4001. Only where clients without a token are not let in."},
	{AUTH("allow_command", allow_command), ONE_OF(command_words), STANDARD("auto"),
		.help = "who may send commands: auto = token = what the claim commands names; anyone, user, nobody",
		.why = "user: whoever has a token that names a user. A claim that names the type allows it besides, but with nobody."},

	{DESK("command_timeout", command_timeout_ms), MILLIS(50, 10 * MINUTE), STANDARD("10s"),
		.help = "how long a client waits for the answer to a command before it is told timeout",
		.why = "A reply that comes later is counted and given to nobody."},
	{DESK("max_commands", max_commands), COUNT(16, 1000000), STANDARD("10000"),
		.help = "commands that are not answered yet, all clients and backends together",
		.why = "One more is answered busy. Each needs about 300 bytes."},
	{DESK("command_queue", command_queue), COUNT(1, 1000000), .zero = true, STANDARD("1000"),
		.help = "of them those that wait because no backend has credit left; 0 = none waits",
		.why = "Beyond it a command is answered busy at once, which is better than a timeout."},
	{DESK("credit_max", credit_max), COUNT(1, 1000000), STANDARD("1000"),
		.help = "the most commands that one backend may have outstanding, whatever credit it names",
		.why = "What a backend has outstanding is lost or given to another when it dies."},
	{DESK("max_backends", max_backends), COUNT(1, 1024), STANDARD("64"),
		.help = "backends that are registered at once",
		.why = "They count among max_publishers of [ingest], too."},

	{HOOK("url", url), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "where commands are posted to, http://HOST[:PORT][/PATH]; empty = nowhere",
		.why = "For backends without a connection of their own. For https put a proxy on loopback in between."},
	{HOOK("resolve", resolve_ms), MILLIS(SECOND, HOUR), STANDARD("30s"),
		.help = "how often the host's name in the URL is looked up again; also after a connection failed",
		.why = "By a thread of its own. Addresses stay where that fails. Nothing to do for an address."},
	{HOOK("types", types), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD("command"),
		.help = "types that are posted: command, those of messages, * for all others, $connect and the like",
		.why = "Separated by commas or blanks. What happens to clients is $connect, $disconnect, $subscribe, $unsubscribe."},
	{HOOK("idempotent", idempotent), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "of these types those that may be posted again when nobody knows what became of the first time; * = all",
		.why = "Such a body says \"again\":true. A client may say it of a single command, too."},
	{HOOK("secret_file", secret_file), FILE_PATH, STANDARD(""),
		.help = "file with the secret that requests are signed with (HMAC-SHA256); empty = not signed",
		.why = "Ringcast-Signature: t=SECONDS,v1=HEX, over the seconds, a dot and the body. 16 bytes at least; read at start."},
	{HOOK("timeout", timeout_ms), MILLIS(10, 10 * MINUTE), STANDARD("5s"),
		.help = "how long one request may take, from connecting to the answer's last byte",
		.why = "Of a command no longer than command_timeout leaves it."},
	{HOOK("connections", connections), COUNT(1, 1024), STANDARD("16"),
		.help = "connections to the URL, each with one request at a time; so many commands are under way",
		.why = "More wait as they do for backends without credit."},
	{HOOK("retries", retries), COUNT(0, 100), STANDARD("3"),
		.help = "how often a request is made again when that is safe; 0 = never",
		.why = "What was surely not sent is; the rest where it is idempotent, or what happened to a client."},
	{HOOK("backoff", backoff_ms), MILLIS(1, MINUTE), STANDARD("200ms"),
		.help = "how long to wait before the first time again; twice as long before each further one",
		.why = "A quarter more or less of it by chance."},
	{HOOK("answer_max", answer_max), BYTES(64, MIB), STANDARD("64KiB"),
		.help = "the largest body of an answer; what is larger is cut off, and the connection closed",
		.why = "It is what a client is given as the reply."},
	{HOOK("event_queue", event_queue), COUNT(1, 100000), STANDARD("1000"),
		.help = "of what happens to clients as many wait at most while the URL is slow",
		.why = "What finds no room is lost and counted, and $lost says how many. All together have 4 MiB."},

	{LIMIT("exempt_loopback", exempt_loopback), .type = RC_OPTION_BOOL, STANDARD("yes"),
		.help = "whether addresses of this host (127.0.0.0/8, ::1) are free of the limits below",
		.why = "A proxy on this host that does not say whom it speaks for makes everybody such an address."},
	{LIMIT("ipv6_prefix", ipv6_prefix), COUNT(32, 128), STANDARD("64"),
		.help = "how many bits of an IPv6 address are one address to the limits below",
		.why = "64 bits are what one customer has at least; many have 56 or 48. IPv4 counts whole."},
	{LIMIT("connections_per_address", connections_per_address), COUNT(0, 4000000), STANDARD("1000"),
		.help = "connections that one address may have at once; 0 = any number",
		.why = "Room for a company or a mobile network behind one address (NAT). One more is answered with 429."},
	{LIMIT("accept_rate", accept_rate), COUNT(0, 1000000), STANDARD("0"),
		.help = "new connections a second, all addresses together; 0 = any number",
		.why = "Off: it refuses the good with the bad. For a host whose capacity was measured."},
	{LIMIT("accept_burst", accept_burst), COUNT(1, 1000000), STANDARD("20000"),
		.help = "as many may come at once before accept_rate counts",
		.why = "After a restart everybody comes back; max_clients is then a good number."},
	{LIMIT("accept_rate_per_address", accept_rate_per_address), COUNT(0, 1000000), STANDARD("50"),
		.help = "new connections a second of one address; 0 = any number",
		.why = "One more is reset. Behind a trusted proxy upgrades are counted, by the address that it told."},
	{LIMIT("accept_burst_per_address", accept_burst_per_address), COUNT(1, 1000000), STANDARD("1000"),
		.help = "as many may come at once before accept_rate_per_address counts",
		.why = "As large as connections_per_address, so that all behind one address can come back together."},
	{LIMIT("handshake_rate", handshake_rate), COUNT(0, 1000000), STANDARD("0"),
		.help = "TLS handshakes begun in a second, all addresses together; 0 = any number",
		.why = "Off: handshake_budget of [tls] lets them wait instead, which is kinder."},
	{LIMIT("handshake_burst", handshake_burst), COUNT(1, 1000000), STANDARD("20000"),
		.help = "as many may begin at once before handshake_rate counts",
		.why = "A handshake costs 0.2 to 2 ms of a core."},
	{LIMIT("handshake_rate_per_address", handshake_rate_per_address), COUNT(0, 1000000), STANDARD("50"),
		.help = "TLS handshakes that one address may begin in a second; 0 = any number",
		.why = "One more is closed before it costs any arithmetic."},
	{LIMIT("handshake_burst_per_address", handshake_burst_per_address), COUNT(1, 1000000), STANDARD("1000"),
		.help = "as many may begin at once before handshake_rate_per_address counts",
		.why = "As large as accept_burst_per_address."},
	{LIMIT("max_unauthenticated", max_unauthenticated), COUNT(0, 4000000), STANDARD("10000"),
		.help = "connections that are neither clients nor publishers yet, all together; 0 = any number",
		.why = "In a PROXY header, a TLS handshake, an HTTP request, or before their token. One more is answered with 503."},
	{LIMIT("request_rate_per_address", request_rate_per_address), COUNT(0, 1000000), STANDARD("100"),
		.help = "HTTP requests a second of one address, upgrades included; 0 = any number",
		.why = "Then 429. Requests that were let in to /api do not count."},
	{LIMIT("request_burst_per_address", request_burst_per_address), COUNT(1, 1000000), STANDARD("2000"),
		.help = "as many may come at once before request_rate_per_address counts",
		.why = "More than accept_burst_per_address, since every client begins with a request."},
	{LIMIT("auth_failures", auth_failures), COUNT(0, 10000), STANDARD("20"),
		.help = "refused tokens of one address in each auth_failures_window; 0 = any number",
		.why = "Beyond it nothing that comes from there is looked at, good or bad, until some time has passed."},
	{LIMIT("auth_failures_window", auth_failures_window_ms), MILLIS(1 * SECOND, 1 * HOUR), STANDARD("1m"),
		.help = "the time in which auth_failures are allowed",
		.why = "They come back evenly: with 20 in 1m one every three seconds."},
	{LIMIT("message_rate", message_rate), COUNT(0, 1000000), STANDARD("100"),
		.help = "messages a second of one client, pings and pongs included; 0 = any number",
		.why = "The first beyond it is answered with `rate_limited`; who goes on is closed with 4105."},
	{LIMIT("message_burst", message_burst), COUNT(1, 1000000), STANDARD("1000"),
		.help = "as many may come at once before message_rate counts",
		.why = "A page that opens may subscribe to many things one by one."},
	{LIMIT("byte_rate", byte_rate), BYTES(0, 1 * GIB), STANDARD("256KiB"),
		.help = "bytes of messages a second of one client; 0 = any number",
		.why = "Answered as message_rate."},
	{LIMIT("byte_burst", byte_burst), BYTES(1 * KIB, 1 * GIB), STANDARD("1MiB"),
		.help = "as many may come at once before byte_rate counts",
		.why = "At least client_message_max, or the largest message never fits."},
	{LIMIT("subscribe_rate", subscribe_rate), COUNT(0, 1000000), STANDARD("100"),
		.help = "channels a second that one client may subscribe to or ask the history of; 0 = any number",
		.why = "The request is answered with `rate_limited`, and nothing of it is done."},
	{LIMIT("subscribe_burst", subscribe_burst), COUNT(1, 1000000), STANDARD("2000"),
		.help = "as many may be named at once before subscribe_rate counts",
		.why = "At least max_channels_per_client, so that a client that comes back gets all of them in one message."},
	{LIMIT("publish_rate", publish_rate), COUNT(0, 1000000), STANDARD("50"),
		.help = "events a second that one client may publish; 0 = any number",
		.why = "Each reaches all subscribers of its channel. By POST /events it is what one user may, on however many connections. Publishers on the ingest port are not meant."},
	{LIMIT("publish_burst", publish_burst), COUNT(1, 1000000), STANDARD("200"),
		.help = "as many may come at once before publish_rate counts",
		.why = "An app that was offline may have some to hand in."},
	{LIMIT("command_rate", command_rate), COUNT(0, 1000000), STANDARD("50"),
		.help = "commands and presence requests a second of one client; 0 = any number",
		.why = "Each costs a backend some work."},
	{LIMIT("command_burst", command_burst), COUNT(1, 1000000), STANDARD("200"),
		.help = "as many may come at once before command_rate counts",
		.why = "A page that opens asks for much at once."},
	{LIMIT("grace", grace_ms), MILLIS(0, 1 * MINUTE), STANDARD("2s"),
		.help = "time in which a client that was warned must fall below its rate",
		.why = "What it sent before it can have read the warning is dropped and forgiven, up to one more burst."},
	{LIMIT("message_timeout", message_timeout_ms), MILLIS(100, 10 * MINUTE), .zero = true, STANDARD("30s"),
		.help = "from the first byte of a client's message to its last; 0 = any time",
		.why = "A message in pieces holds memory. Long enough for client_message_max on the slowest network that you serve."},
	{LIMIT("max_connections_per_user", max_connections_per_user), COUNT(1, 1000000), .zero = true,
		STANDARD("0"),
		.help = "connections of one user at once, on all shards; 0 = as many as he likes",
		.why = "Devices and tabs each need one. A token with max_connections says it for its own user."},
	{LIMIT("over_connections", over_connections), ONE_OF(over_words), STANDARD("refuse"),
		.help = "what happens to a user's connection beyond that: refuse it, or replace the oldest",
		.why = "refuse: error limit_exceeded and code 4100. replace: the oldest is closed with 4003, which says that it should stay away."},

	{LOG("format", format), ONE_OF(log_formats), STANDARD("text"),
		.help = "text: time, level, words, key=value; json: one object a line (ts, level, msg and fields)",
		.why = "How important a line must be says log_level of [server]."},
	{LOG("access", access), FILE_PATH, STANDARD("none"),
		.help = "where clients that went, requests to /api and each POST /events get a line: none, stderr, or a file",
		.why = "The file is opened anew at SIGHUP. Lines that a slow disk does not take in time are dropped, counted (log_dropped) and said."},

	{ECHO("enabled", echo), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "the echo endpoint, which sends every message back; also `echo = yes` in [server]",
		.why = "For conformance tests and measurements, not for production."},
	{ECHO("max_message", echo_max_message), BYTES(1 * KIB, 64 * MIB), STANDARD("16MiB"),
		.help = "the largest message that is echoed; also echo_max_message in [server]",
		.why = "A larger one closes the connection with code 1009."},
	{ECHO("memory", echo_memory), BYTES(1 * MIB, 64 * GIB), STANDARD("256MiB"),
		.help = "all messages being echoed together; also echo_memory in [server]",
		.why = "Allocated only when echo is enabled; at least max_message."},

	{NAMESPACE("lag_bytes", lag_bytes), BYTES(1 * KIB, 256 * MIB), STANDARD("1MiB"),
		.help = "how far behind a subscriber may be, in bytes of the channel's log",
		.why = "At least twice max_message. It is also what each channel keeps in memory at most."},
	{NAMESPACE("lag_time", lag_time_ms), MILLIS(100, 1 * HOUR), .zero = true, STANDARD("10s"),
		.help = "how far behind a subscriber may be, in time; 0 = any time",
		.why = "What is older is worth nothing to a live view; a longer time forgives worse networks."},
	{NAMESPACE("slow_policy", slow_policy), ONE_OF(slow_policies), STANDARD("disconnect"),
		.help = "what happens to a subscriber that is further behind",
		.why = "disconnect: code 4101, it may come back and recover. skip: it is told of the gap and goes on at "
		       "the end. latest: it gets only the newest event, for each slow_key when one is named."},
	{NAMESPACE("slow_key", slow_key), TEXT(RC_CONFIG_NAME_SIZE), STANDARD(""),
		.help = "with slow_policy = latest: the top-level field of data that tells things apart",
		.why = "For example `symbol`: a slow subscriber still gets the newest event of each symbol."},
	{NAMESPACE("raw", raw), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "the publisher's bytes are the whole message, without the envelope",
		.why = "For clients with a format of their own; they see no offsets."},
	{NAMESPACE("trace", trace), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "events tell the W3C traceparent that they were published with",
		.why = "Each such event is 72 bytes longer. Publishers send it in a header, a field, or with TRACE on the ingest port."},
	{NAMESPACE("deflate", deflate), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "events go deflated to clients that offer permessage-deflate",
		.why = "Not where an event holds a secret beside what another can choose: its length tells (BREACH). With any such namespace "
		       "the extension is agreed on, and clients may deflate too."},
	{NAMESPACE("channel_ttl", channel_ttl_ms), MILLIS(0, 24 * HOUR), STANDARD("1m"),
		.help = "how long a channel without subscribers and events keeps its offsets",
		.why = "Who comes back later than that starts a new epoch."},
	{NAMESPACE("history_size", history_size), COUNT(1, 10000000), .zero = true, STANDARD("0"),
		.help = "events that each channel keeps for those who come back; 0 = none",
		.why = "As many as come in the longest outage that clients should not notice."},
	{NAMESPACE("history_bytes", history_bytes), BYTES(1 * KIB, 1 * GIB), STANDARD("1MiB"),
		.help = "bytes that each channel keeps at most, as its clients get them",
		.why = "Whatever limit is reached first trims the oldest events."},
	{NAMESPACE("history_ttl", history_ttl_ms), MILLIS(1 * SECOND, 20 * 24 * HOUR), STANDARD("5m"),
		.help = "how long an event is kept",
		.why = "A channel is remembered at least as long as its last event, so longer times need more max_channels."},
	{NAMESPACE("on_subscribe", on_subscribe), ONE_OF(first_events), STANDARD("none"),
		.help = "what a new subscriber gets at once; latest = the last event, for each slow_key when one is named",
		.why = "For channels that hold a state, such as a price or a score. Needs history_size; who recovers with `since` gets what "
		       "he missed instead."},
	{NAMESPACE("presence", presence), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "keep who is in a channel, for those who ask",
		.why = "By the users of the clients' tokens; anonymous clients are counted. See max_presence of [server]."},
	{NAMESPACE("join_leave", join_leave), .type = RC_OPTION_BOOL, STANDARD("no"),
		.help = "tell a channel who comes and who leaves, as events in it",
		.why = "Needs presence. All who may subscribe are told, whatever allow_presence says. The events stand in the "
		       "history like others, which so holds fewer of the publishers'."},
	{NAMESPACE("presence_linger", presence_linger_ms), MILLIS(0, 1 * HOUR), STANDARD("5s"),
		.help = "how long a user without a connection still counts as being in the channel",
		.why = "Who comes back within it has neither left nor joined: longer than a reconnect takes."},
	{NAMESPACE("presence_max", presence_max), COUNT(1, 1000000), STANDARD("1000"),
		.help = "users in a channel above which it is told their number only",
		.why = "Names told to everybody cost users times users. No lists are given above it either."},
	{NAMESPACE("presence_interval", presence_interval_ms), MILLIS(10, 1 * MINUTE),
		STANDARD("200ms"),
		.help = "the least time between two joins, or two leaves, that a channel is told",
		.why = "What happens meanwhile is told together, at most 64 users at a time."},
	{NAMESPACE("allow_subscribe", allow_subscribe), ONE_OF(allow_words), STANDARD("auto"),
		.help = "who may subscribe without a claim: anyone, user, own, token or nobody; auto: token, or anyone without keys",
		.why = "user: whoever has a token that names him. own: whose id is the level behind the namespace (user:42:inbox "
		       "is user 42's). token: only who has the name in the claim `channels` of his token, which grants in all cases "
		       "but nobody."},
	{NAMESPACE("allow_publish", allow_publish), ONE_OF(allow_words), STANDARD("auto"),
		.help = "which clients may publish without a claim, in the words of allow_subscribe; auto: token",
		.why = "The claim is `publish`. Publishers and backends are not meant: see [ingest] and [auth] services."},
	{NAMESPACE("allow_history", allow_history), ONE_OF(allow_words), STANDARD("auto"),
		.help = "who may ask for what was, also by `since`, in the words of allow_subscribe; auto: who may subscribe",
		.why = "token: who has a claim for the channel."},
	{NAMESPACE("allow_presence", allow_presence), ONE_OF(allow_words), STANDARD("auto"),
		.help = "who may see who is there, in the words of allow_subscribe; auto: who may subscribe",
		.why = "It shows ids of users, and what `info` of their tokens says."},
	{NAMESPACE("payload", payload), ONE_OF(payload_words), STANDARD("any"),
		.help = "what publishers may send: any bytes, or json alone",
		.why = "Clients and /api send JSON anyway; this is for the ingest port."},
	{NAMESPACE("payload_max", payload_max), BYTES(1, 1 * MIB), .zero = true, STANDARD("0"),
		.help = "the largest payload of an event; 0 = max_message of [server] alone",
		.why = "For namespaces in which clients publish, of which nobody needs to say much at once."},
	{NAMESPACE("schema", schema), FILE_PATH, STANDARD(""),
		.help = "a file with a JSON Schema that payloads are checked against; empty = none",
		.why = "Whoever publishes is told which field is wrong. Which words of JSON Schema may be used is in src/proto/README.md, in the tree and below PREFIX/share/ringcast. "
		       "Read again at SIGHUP and when it changes."},
	{NAMESPACE("events", events), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "names of events that may be published, separated by commas; order:* is all that begin so; empty = any",
		.why = "Keeps mistyped and invented events out of a namespace."},
};
/* clang-format on */

const uint32_t rc_option_count = RC_ARRAY_LEN(rc_options);
static_assert(RC_ARRAY_LEN(rc_options) <= RC_CONFIG_OPTIONS_MAX, "an origin for every row");

const struct rc_option_alias rc_option_aliases[] = {
	{"server", "echo", "echo", "enabled"},
	{"server", "echo_max_message", "echo", "max_message"},
	{"server", "echo_memory", "echo", "memory"},
};
const uint32_t rc_option_alias_count = RC_ARRAY_LEN(rc_option_aliases);

static uint32_t find_row(const char *section, const char *key)
{
	for (uint32_t i = 0; i < rc_option_count; i++)
		if (strcmp(rc_options[i].section, section) == 0 &&
			strcmp(rc_options[i].key, key) == 0)
			return i;
	return RC_NONE;
}

uint32_t rc_option_find(const char *section, const char *key)
{
	for (uint32_t i = 0; i < rc_option_alias_count; i++) {
		const struct rc_option_alias *a = &rc_option_aliases[i];

		if (strcmp(a->section, section) == 0 && strcmp(a->key, key) == 0)
			return find_row(a->of_section, a->of_key);
	}
	return find_row(section, key);
}

uint32_t rc_option_first_namespace(void)
{
	uint32_t i = 0;

	while (!rc_option_is_namespace(&rc_options[i]))
		i++;
	return i;
}

void rc_option_hint(const char *section, const char *key, char hint[RC_HINT_SIZE])
{
	struct rc_nearest nearest;

	for (uint32_t i = 0; i < rc_option_count; i++)
		if (strcmp(rc_options[i].key, key) == 0) {
			snprintf(hint, RC_HINT_SIZE, "; there is a %s in [%s]", rc_options[i].key,
				rc_options[i].section);
			return;
		}

	rc_nearest_init(&nearest, key);
	for (uint32_t i = 0; i < rc_option_count; i++)
		if (strcmp(rc_options[i].section, section) == 0)
			rc_nearest_offer(&nearest, rc_options[i].key);
	for (uint32_t i = 0; i < rc_option_alias_count; i++)
		if (strcmp(rc_option_aliases[i].section, section) == 0)
			rc_nearest_offer(&nearest, rc_option_aliases[i].key);
	if (nearest.best)
		snprintf(hint, RC_HINT_SIZE, "; did you mean %s?", nearest.best);
	else
		hint[0] = 0;
}
