/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of everything that a shard counts, one line each, read by whoever defines the macros below and includes
 * this file; so it has no include guard. Every limit, drop, close reason, retry and starvation has a line. The order
 * is the order of the counters file and of what people see; a reader of another version goes by name, never by index.
 *
 *   RC_COUNTER(name, kind, unit, help)   kind: COUNTER only grows, GAUGE goes up and down
 *   RC_COUNTER_HIST(name, unit, help)    distributions, after the counters
 *   RC_COUNTER_NS(name, family, help)    counted by namespace besides; family: its name in /metrics. In no entry of the file
 */
#ifndef RC_COUNTER
#define RC_COUNTER(name, kind, unit, help)
#endif
#ifndef RC_COUNTER_HIST
#define RC_COUNTER_HIST(name, unit, help)
#endif
#ifndef RC_COUNTER_NS
#define RC_COUNTER_NS(name, family, help)
#endif

/* clients: whoever holds a WebSocket or an SSE stream */
RC_COUNTER(clients, GAUGE, "clients", "Clients connected now, WebSocket and SSE.")
RC_COUNTER(clients_sse, GAUGE, "clients", "Of them those who read an SSE stream.")
RC_COUNTER(clients_opened, COUNTER, "clients", "Clients whose handshake was completed.")
RC_COUNTER(clients_closed, COUNTER, "clients", "Clients that are gone, whatever the reason.")
/* one per reason, in this order and without a gap: their sum is clients_closed */
RC_COUNTER(close_client, COUNTER, "clients", "Closed by the client in good order.")
RC_COUNTER(close_going_away, COUNTER, "clients",
	"Closed by the client because its page or app went away.")
RC_COUNTER(close_protocol, COUNTER, "clients",
	"Closed for breaking the WebSocket or message protocol.")
RC_COUNTER(close_bad_utf8, COUNTER, "clients", "Closed for text that is not UTF-8.")
RC_COUNTER(close_too_big, COUNTER, "clients", "Closed for a message above the size limit.")
RC_COUNTER(close_policy, COUNTER, "clients", "Closed for breaking a policy: token, origin, rate.")
RC_COUNTER(close_handshake_timeout, COUNTER, "clients",
	"Closed for not completing the handshake in time.")
RC_COUNTER(close_heartbeat, COUNTER, "clients", "Closed for not answering a ping in time.")
RC_COUNTER(close_too_slow, COUNTER, "clients", "Closed for lagging further behind than is allowed.")
RC_COUNTER(close_capacity, COUNTER, "clients", "Closed for lack of room in a table or in memory.")
RC_COUNTER(close_shutdown, COUNTER, "clients", "Closed because the gateway stops or drains.")
RC_COUNTER(
	close_io_error, COUNTER, "clients", "Lost to an error of the connection, resets included.")
RC_COUNTER(close_renewed, COUNTER, "clients",
	"Asked to come back at once, because the keys of their TLS could not be renewed in place.")
RC_COUNTER(unanswered_closes, COUNTER, "connections",
	"Closes that the peer did not complete within close_timeout; beside the reason of the close.")
RC_COUNTER(connections, GAUGE, "connections", "Sockets open now, of every kind.")
RC_COUNTER(accepts, COUNTER, "connections", "Connections taken from the listeners.")
RC_COUNTER(
	accept_emfile, COUNTER, "errors", "Accepts that failed for lack of a descriptor or slot.")
RC_COUNTER(accept_errors, COUNTER, "errors", "Accepts that failed for another reason.")
RC_COUNTER(accept_rearmed, COUNTER, "times",
	"Times that the multishot accept ended and was armed again.")
RC_COUNTER(accept_refused_capacity, COUNTER, "connections",
	"Connections closed at once: the connection table was full.")
RC_COUNTER(http_requests, COUNTER, "requests", "HTTP requests read, upgrades included.")
RC_COUNTER(http_bad, COUNTER, "requests", "HTTP requests refused as malformed or too large.")
RC_COUNTER(http_404, COUNTER, "requests", "HTTP requests for a path that does not exist.")
RC_COUNTER(http_unauthorized, COUNTER, "requests",
	"HTTP requests and upgrades refused for a bad or missing token.")
RC_COUNTER(http_bodies_refused, COUNTER, "requests", "Bodies for which body_memory had no room.")
RC_COUNTER(http_keys_replayed, COUNTER, "requests",
	"Requests answered with the outcome of an earlier one with the same Idempotency-Key.")
RC_COUNTER(http_keys_evicted, COUNTER, "keys",
	"Idempotency keys forgotten before their time, for lack of room.")
RC_COUNTER(upgrades, COUNTER, "requests", "Requests that became a WebSocket or an SSE stream.")
RC_COUNTER(upgrades_refused_capacity, COUNTER, "requests",
	"Upgrades answered 503: the client limit was reached.")
RC_COUNTER(upgrades_refused_origin, COUNTER, "requests", "Upgrades refused for their Origin.")

/* TLS */
RC_COUNTER(tls_handshaking, GAUGE, "connections", "Connections whose TLS handshake is not over.")
RC_COUNTER(tls_kernel, GAUGE, "connections", "Connections whose records the kernel makes.")
RC_COUNTER(tls_user, GAUGE, "connections", "Connections whose records are made in user space.")
RC_COUNTER(tls_full, COUNTER, "handshakes", "TLS handshakes done in full.")
RC_COUNTER(tls_resumed, COUNTER, "handshakes", "TLS handshakes that resumed a session.")
/* one per reason, in the order of enum rc_tls_failure and without a gap */
RC_COUNTER(tls_failed_plain, COUNTER, "handshakes", "Failed: what came was no TLS.")
RC_COUNTER(tls_failed_version, COUNTER, "handshakes", "Failed: no TLS version in common.")
RC_COUNTER(tls_failed_cipher, COUNTER, "handshakes", "Failed: no cipher or group in common.")
RC_COUNTER(tls_failed_client_cert, COUNTER, "handshakes",
	"Failed: client certificate missing or not accepted.")
RC_COUNTER(tls_failed_alert, COUNTER, "handshakes",
	"Failed: the client refused, mostly our certificate.")
RC_COUNTER(tls_failed_closed, COUNTER, "handshakes", "Failed: the client went away.")
RC_COUNTER(tls_failed_protocol, COUNTER, "handshakes", "Failed: malformed or against the protocol.")
RC_COUNTER(tls_failed_timeout, COUNTER, "handshakes", "Failed: not over within handshake_timeout.")
RC_COUNTER(tls_refused_address, COUNTER, "connections",
	"Closed at once: too many unfinished handshakes of one address.")
RC_COUNTER(tls_waited, COUNTER, "handshakes", "Handshakes that waited for one of max_handshakes.")
RC_COUNTER(tls_on_plain_port, COUNTER, "connections", "TLS hellos that came to a plain port.")
RC_COUNTER(
	tls_bad_records, COUNTER, "connections", "Ended for a record that was forged or malformed.")
RC_COUNTER(tls_bad_messages, COUNTER, "connections",
	"Ended for a message that has no place after the handshake, renegotiation included.")
RC_COUNTER(tls_truncated, COUNTER, "connections", "Ended by the peer without a close_notify.")
RC_COUNTER(tls_key_updates, COUNTER, "times", "Keys renewed in place, by the peer's wish or ours.")
RC_COUNTER(tls_renewed, COUNTER, "connections",
	"Clients and publishers asked to reconnect because their keys could not be renewed in place.")
RC_COUNTER(tls_reloads, COUNTER, "times", "Times that this shard took up reloaded certificates.")

/* receiving */
RC_COUNTER(recv_bytes, COUNTER, "bytes", "Bytes received from clients and publishers.")
RC_COUNTER(recv_starved, COUNTER, "times", "Receives that found the buffer ring empty (ENOBUFS).")
RC_COUNTER(
	recv_rearmed, COUNTER, "times", "Times that a multishot receive ended and was armed again.")
RC_COUNTER(recv_paused, COUNTER, "times",
	"Times that a connection was not read for a while, to hold it back.")
RC_COUNTER(messages_in, COUNTER, "messages", "Data messages received from clients.")
RC_COUNTER(messages_bad, COUNTER, "messages", "Client messages answered with an error.")
RC_COUNTER(messages_rate_limited, COUNTER, "messages", "Client messages refused by the rate limit.")
RC_COUNTER(frames_control_in, COUNTER, "frames", "WebSocket ping, pong and close frames received.")

/* subscriptions */
RC_COUNTER(subscriptions, GAUGE, "subscriptions", "Subscriptions held now.")
RC_COUNTER(channels, GAUGE, "channels",
	"Channels known now; one that several shards use counts in each.")
RC_COUNTER(patterns, GAUGE, "patterns", "Channel patterns subscribed to now.")
RC_COUNTER(subscribe_requests, COUNTER, "requests", "Subscribe requests, refused ones included.")
RC_COUNTER(subscribe_refused_limit, COUNTER, "requests",
	"Subscribes refused: the client has too many.")
RC_COUNTER(subscribe_refused_bad_name, COUNTER, "requests",
	"Subscribes refused: the channel name is not valid.")
RC_COUNTER(subscribe_refused_forbidden, COUNTER, "requests",
	"Subscribes refused: the token does not allow the channel.")
RC_COUNTER(subscribe_refused_full, COUNTER, "requests",
	"Subscribes refused: a table or the memory is full.")
RC_COUNTER(recoveries, COUNTER, "requests",
	"Subscribes that asked for what they missed and got all of it.")
RC_COUNTER(recoveries_failed, COUNTER, "requests",
	"Subscribes that were told that what they missed is gone.")
RC_COUNTER(history_bytes, GAUGE, "bytes", "Bytes that the histories of channels hold.")
RC_COUNTER(history_squeezed, COUNTER, "times",
	"Times that the oldest events of all were let go for want of history_memory.")
RC_COUNTER(events_replayed, COUNTER, "events", "Events sent out of history to those who came back.")

/* events: the owner gives them their place, replicas follow */
RC_COUNTER(events_published, COUNTER, "events",
	"Events that got an offset here, as owner of their channel.")
RC_COUNTER(events_appended, COUNTER, "events", "Events appended to this shard's copy of a channel.")
RC_COUNTER(events_deduplicated, COUNTER, "events",
	"Events recognised as sent twice by their publisher.")
RC_COUNTER(events_refused_bad, COUNTER, "events", "Events refused as malformed.")
RC_COUNTER(events_refused_too_big, COUNTER, "events", "Events refused as above the size limit.")
RC_COUNTER(events_refused_full, COUNTER, "events", "Events refused for lack of memory or channels.")
RC_COUNTER(events_refused_forbidden, COUNTER, "events",
	"Events refused: the publisher may not write the channel.")

/* publishers */
RC_COUNTER(publishers, GAUGE, "connections", "Publishers connected now on the ingest port.")
RC_COUNTER(publishers_opened, COUNTER, "connections", "Publishers whose handshake was completed.")
RC_COUNTER(publishers_closed, COUNTER, "connections", "Publishers that are gone.")
RC_COUNTER(ingest_frames, COUNTER, "frames", "Frames read from publishers.")
RC_COUNTER(ingest_acks, COUNTER, "events", "Events acknowledged to their publisher.")
RC_COUNTER(ingest_nacks, COUNTER, "events", "Events refused to their publisher.")
RC_COUNTER(ingest_stalled, COUNTER, "times", "Times that a publisher was held back.")
RC_COUNTER(ingest_errors, COUNTER, "errors", "Publishers cut off for breaking the ingest protocol.")

/* sending */
RC_COUNTER(deliveries, COUNTER, "events", "Events handed to the kernel, once per subscriber.")
RC_COUNTER(sends, COUNTER, "sends", "Sends that finished, whatever their length.")
RC_COUNTER(send_bytes, COUNTER, "bytes", "Bytes that the kernel took.")
RC_COUNTER(sends_short, COUNTER, "sends", "Sends of which the kernel took a part.")
RC_COUNTER(sends_eagain, COUNTER, "sends", "Sends that found the socket buffer full.")
RC_COUNTER(send_errors, COUNTER, "errors", "Sends that failed; the connection is lost.")
RC_COUNTER(sends_zerocopy, COUNTER, "sends", "Sends made without a copy.")
RC_COUNTER(sends_zerocopy_copied, COUNTER, "sends",
	"Zero-copy sends that the kernel copied after all.")
RC_COUNTER(pollouts, COUNTER, "times", "Times that a connection waited for room to send.")
RC_COUNTER(output_overflows, COUNTER, "times",
	"Times that a client's own answers did not fit its output buffer.")

/* slow consumers */
RC_COUNTER(lag_disconnects, COUNTER, "clients", "Clients disconnected for lagging.")
RC_COUNTER(lag_skips, COUNTER, "times", "Times that a lagging cursor was moved to the present.")
RC_COUNTER(lag_conflations, COUNTER, "times",
	"Times that a lagging cursor was moved to the newest state.")
RC_COUNTER(
	events_skipped, COUNTER, "events", "Events that subscribers did not get, and were told so.")
RC_COUNTER(gaps_sent, COUNTER, "messages", "Messages that told a subscriber of a gap.")
RC_COUNTER(lapped, COUNTER, "times", "Cursors that found their place in the log trimmed.")
RC_COUNTER(lag_max_bytes, GAUGE, "bytes",
	"How far behind the client is that is furthest behind, as of the last look, once a second.")
RC_COUNTER(lag_max_ms, GAUGE, "ms",
	"For how long the socket of the client has been full that waits longest, as of the last look.")
RC_COUNTER(clients_behind, GAUGE, "clients",
	"Clients who had not taken all there was for them at the last look.")

/* memory */
RC_COUNTER(log_bytes, GAUGE, "bytes", "Bytes of events held in channel logs.")
RC_COUNTER(arena_used_bytes, GAUGE, "bytes", "Bytes of the arena in use.")
RC_COUNTER(arena_refused, COUNTER, "times", "Requests for arena memory that could not be met.")

/* between shards */
RC_COUNTER(ring_records_in, COUNTER, "records", "Records taken from other shards.")
RC_COUNTER(ring_records_out, COUNTER, "records", "Records given to other shards.")
RC_COUNTER(ring_full, COUNTER, "times", "Times that another shard's ring had no room.")
RC_COUNTER(wakeups_sent, COUNTER, "times", "Sleeping shards woken.")

/* the loop */
RC_COUNTER(turns, COUNTER, "turns", "Turns of the loop.")
RC_COUNTER(turn_budget_exhausted, COUNTER, "turns",
	"Turns in which a source had more to do than its budget.")
RC_COUNTER(sleeps, COUNTER, "times", "Times that the shard slept in the kernel.")
RC_COUNTER(cq_overflows, COUNTER, "times", "Times that the completion queue overflowed.")
RC_COUNTER(sq_full, COUNTER, "times",
	"Times that the submission queue was full and had to be submitted early.")
RC_COUNTER(timers_fired, COUNTER, "timers", "Timers that fired.")
RC_COUNTER(pings_sent, COUNTER, "frames", "Pings sent to clients, SSE comments included.")
RC_COUNTER(broadcasts, COUNTER, "events", "Events sent to every client.")
RC_COUNTER(echo_messages, COUNTER, "messages", "Messages echoed by the echo endpoint.")
RC_COUNTER(echo_bytes, COUNTER, "bytes", "Bytes echoed by the echo endpoint.")

RC_COUNTER_HIST(publish_to_flush_ns, "ns",
	"From taking in an event to when the kernel had taken it for all who read its channel, or as much as they took.")
RC_COUNTER_HIST(turn_ns, "ns",
	"Duration of a turn of the loop that sent something or was followed by another at once.")
RC_COUNTER_HIST(lag_bytes, "bytes",
	"How far behind a client is, looked at once a second for each who is behind.")

RC_COUNTER_NS(events, "namespace_events_published", "Events that got an offset, by namespace.")
RC_COUNTER_NS(deliveries, "namespace_deliveries", "Events handed to the kernel, by namespace.")
RC_COUNTER_NS(lag_disconnects, "namespace_lag_disconnects",
	"Clients disconnected for lagging, by the namespace in which they did.")
RC_COUNTER_NS(skipped, "namespace_events_skipped",
	"Events that subscribers did not get, and were told so, by namespace.")

#undef RC_COUNTER
#undef RC_COUNTER_HIST
#undef RC_COUNTER_NS
