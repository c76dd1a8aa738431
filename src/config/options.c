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
#define ECHO(name, field)   .section = "echo", .key = name, FIELD(struct rc_config, field)
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

static const char *const open_words[] = {
	[RC_CONFIG_OPEN_AUTO] = "auto",
	[RC_CONFIG_OPEN_YES] = "yes",
	[RC_CONFIG_OPEN_NO] = "no",
	NULL,
};

const char *const rc_option_sections[] = {
	"server", "ingest", "tls", "http", "admin", "echo", "namespace", NULL};

/* One row, one paragraph. */
/* clang-format off */
const struct rc_option rc_options[] = {
	{SERVER("listen", listen), .type = RC_OPTION_ADDRESS, .zero = true, STANDARD("127.0.0.1:8080"),
		.flag = "--listen", .short_flag = 'l',
		.help = "where clients connect (WebSocket, SSE, HTTP); none = nowhere",
		.why = "Loopback until you decide otherwise. *:8080 is every IPv4 address, [::]:8080 every IPv6 one, "
		       "port 0 lets the kernel choose."},
	{SERVER("shards", shards), COUNT(1, RC_CONFIG_SHARDS_MAX), .zero = true, STANDARD("0"),
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
		.why = "Each needs a file descriptor and about 256 bytes; one more is turned away with an answer."},
	{SERVER("max_message", max_message), BYTES(64, 1 * MIB), STANDARD("64KiB"),
		.help = "the largest event payload that a publisher may send",
		.why = "frame_max of [ingest] must be at least 1KiB more, lag_bytes of every namespace twice as much."},
	{SERVER("client_message_max", client_message_max), BYTES(256, 1 * MIB), STANDARD("64KiB"),
		.help = "the largest message that a client may send",
		.why = "A larger one closes the connection with code 1009."},
	{SERVER("max_channels", max_channels), COUNT(100, 16000000), STANDARD("200000"),
		.help = "channels known at once, all shards together",
		.why = "Bounds the tables; a channel without subscribers counts until its channel_ttl is over."},
	{SERVER("max_channels_per_client", max_channels_per_client), COUNT(1, 100000),
		STANDARD("1000"),
		.help = "channels and patterns that one client may be subscribed to",
		.why = "Keeps one client from filling the tables of all."},
	{SERVER("max_patterns", max_patterns), COUNT(16, 1000000), STANDARD("10000"),
		.help = "different patterns subscribed to at once, all shards together",
		.why = "A new channel is matched against all of them."},
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
		.why = "There is one per ordered pair of shards: 8 shards have 56."},
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

	{HTTP("body_max", body_max), BYTES(1 * KIB, 16 * MIB), STANDARD("1MiB"),
		.help = "the largest body of a request",
		.why = "A larger one is answered with 413. Publish requests of many events need the most."},
	{HTTP("body_memory", body_memory), BYTES(64 * KIB, 64 * GIB), .zero = true, STANDARD("0"),
		.help = "all bodies on their way in together; 0 = an eighth of memory",
		.why = "A part of memory, so that slow uploads can't take it all. When it is used up, the answer is 503."},
	{HTTP("body_timeout", body_timeout_ms), MILLIS(100, 10 * MINUTE), STANDARD("30s"),
		.help = "from the head of a request to the end of its body",
		.why = "Then 408. Long enough for body_max on the slowest network that you serve."},
	{HTTP("idle_timeout", idle_timeout_ms), MILLIS(100, 1 * HOUR), STANDARD("1m"),
		.help = "how long a connection waits for its next request",
		.why = "An idle one costs a slot among max_clients. Longer than that of a proxy in front, or it meets closed connections."},
	{HTTP("origins", origins), TEXT(RC_CONFIG_TEXT_SIZE - 1), STANDARD(""),
		.help = "origins whose pages may read the answers (CORS), a list; * = all, empty = none",
		.why = "For example `https://app.example.com, http://localhost:5173`. They are compared as they are."},
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
