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
	"Asked to come back at once: the keys of their TLS could not be renewed in place, or services changed.")
RC_COUNTER(close_token, COUNTER, "clients",
	"Closed for a token that was refused, ran out, or did not come in time.")
RC_COUNTER(close_replaced, COUNTER, "clients",
	"Closed because newer connections of the same user took all the places that it may have.")
RC_COUNTER(close_operator, COUNTER, "clients", "Closed because a service or an operator said so.")
RC_COUNTER(close_rate, COUNTER, "clients", "Closed for sending more than its rate allows.")
RC_COUNTER(close_stalled, COUNTER, "clients",
	"Closed for not completing a message within message_timeout.")
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
RC_COUNTER(proxy_headers, COUNTER, "connections", "PROXY headers taken from trusted proxies.")
RC_COUNTER(proxy_refused_stranger, COUNTER, "connections",
	"Closed: a PROXY header, or the need of one, and nobody who is trusted.")
RC_COUNTER(proxy_refused_missing, COUNTER, "connections",
	"Closed: no PROXY header where one is required.")
RC_COUNTER(proxy_refused_bad, COUNTER, "connections",
	"Closed: a PROXY header that was malformed, too long, or cut.")
RC_COUNTER(proxy_refused_timeout, COUNTER, "connections",
	"Closed: no whole PROXY header within handshake_timeout.")
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
RC_COUNTER(upgrades_refused_origin, COUNTER, "requests",
	"Upgrades, event streams and requests to /api refused for their Origin.")

/* limits; what belongs to one protocol stands there */
RC_COUNTER(unauthenticated, GAUGE, "connections",
	"Connections that are neither clients nor publishers yet.")
RC_COUNTER(accept_refused_rate, COUNTER, "connections",
	"Connections reset: more in a second than accept_rate.")
RC_COUNTER(accept_refused_address_rate, COUNTER, "connections",
	"Connections reset: more in a second than accept_rate_per_address.")
RC_COUNTER(accept_refused_address, COUNTER, "connections",
	"Connections and upgrades refused: their address has connections_per_address.")
RC_COUNTER(accept_refused_unauthenticated, COUNTER, "connections",
	"Connections refused: max_unauthenticated was reached.")
RC_COUNTER(http_rate_limited, COUNTER, "requests",
	"HTTP requests answered 429: more in a second than request_rate_per_address.")
RC_COUNTER(auth_failures, COUNTER, "times", "Tokens and HELLOs that were refused.")
RC_COUNTER(auth_refused_rate, COUNTER, "times",
	"Tokens and HELLOs not looked at: their address had too many refused.")
RC_COUNTER(addresses_uncounted, COUNTER, "connections",
	"Connections let in without being counted, for lack of room in the table of addresses.")
RC_COUNTER(addresses_forgotten, COUNTER, "addresses",
	"Addresses without a connection whose latest doings were forgotten to make room for others.")
RC_COUNTER(meters_refused, COUNTER, "messages",
	"Client messages that were not metered, for lack of memory.")

/* services: who proves to be one, and what he may do */
RC_COUNTER(auth_failed_ingest, COUNTER, "tries",
	"Publishers whose token or certificate was missing, wrong, or of nobody.")
RC_COUNTER(auth_failed_http, COUNTER, "tries",
	"Requests to /api and /metrics whose token was missing or wrong.")
RC_COUNTER(auth_failed_client, COUNTER, "tries", "Clients whose token was missing or wrong.")
RC_COUNTER(auth_refused_tries, COUNTER, "tries",
	"Tokens not looked at: their address had failed too often.")
RC_COUNTER(http_forbidden, COUNTER, "requests",
	"Requests refused although their token is good: it lacks the scope.")

/* users */
RC_COUNTER(clients_known, GAUGE, "clients", "Clients connected now whose token names a user.")

RC_COUNTER(user_reconnects, COUNTER, "users",
	"Users who came back soon after their last connection had gone.")

/* quality */
RC_COUNTER(heartbeats_good, COUNTER, "heartbeats",
	"Heartbeats answered by clients whose round trip is good.")
RC_COUNTER(heartbeats_fair, COUNTER, "heartbeats",
	"Heartbeats answered by clients whose round trip is fair.")
RC_COUNTER(heartbeats_poor, COUNTER, "heartbeats",
	"Heartbeats answered by clients whose round trip is poor.")
RC_COUNTER(
	sys_events, COUNTER, "events", "Events that the gateway told of itself on $sys: channels.")
RC_COUNTER(sys_events_left_out, COUNTER, "events",
	"Events of its own that the gateway left out, being too many or without room.")

/* what is sent to users */
RC_COUNTER(users, GAUGE, "users", "Users with connections now; each is counted where its home is.")
RC_COUNTER(users_refused, COUNTER, "connections",
	"Connections refused because their user has as many as it may, or for lack of room.")
RC_COUNTER(direct_sent, COUNTER, "messages", "Messages taken in for users or sessions.")
RC_COUNTER(direct_delivered, COUNTER, "messages",
	"Messages for users or sessions handed to a connection.")
RC_COUNTER(direct_nobody, COUNTER, "messages", "Targets of such messages that had no connection.")

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
RC_COUNTER(tls_refused_rate, COUNTER, "connections",
	"Closed before the handshake: more in a second than handshake_rate.")
RC_COUNTER(tls_refused_address_rate, COUNTER, "connections",
	"Closed before the handshake: more in a second than handshake_rate_per_address.")
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

/* tokens of clients: one per result, in the order of enum rc_token_result and without a gap */
RC_COUNTER(tokens_good, COUNTER, "tokens", "Tokens that were verified and found good.")
RC_COUNTER(
	tokens_malformed, COUNTER, "tokens", "Tokens refused: written wrong, or no tokens at all.")
RC_COUNTER(tokens_too_large, COUNTER, "tokens", "Tokens refused: larger than token_max.")
RC_COUNTER(tokens_algorithm, COUNTER, "tokens",
	"Tokens refused: no algorithm, an unknown one, or not that of the key.")
RC_COUNTER(tokens_unknown_key, COUNTER, "tokens", "Tokens refused: the key they name is not known.")
RC_COUNTER(tokens_signature, COUNTER, "tokens", "Tokens refused: the signature is wrong.")
RC_COUNTER(tokens_expired, COUNTER, "tokens", "Tokens refused: expired.")
RC_COUNTER(tokens_not_yet, COUNTER, "tokens", "Tokens refused: not valid yet.")
RC_COUNTER(tokens_issuer, COUNTER, "tokens", "Tokens refused: the issuer is not one of ours.")
RC_COUNTER(tokens_audience, COUNTER, "tokens", "Tokens refused: made for another service.")
RC_COUNTER(tokens_claim, COUNTER, "tokens",
	"Tokens refused: a claim is missing, of the wrong kind, or there twice.")
RC_COUNTER(auth_reloads, COUNTER, "times",
	"Times that this shard took up other keys of tokens, because a file had changed or at SIGHUP.")
RC_COUNTER(auth_reloads_failed, COUNTER, "times",
	"Times that changed files of keys were wrong, so that the old keys stayed.")

RC_COUNTER(schema_reloads, COUNTER, "times",
	"Times that this shard took up other schemas of namespaces, because a file had changed or at SIGHUP.")
RC_COUNTER(schema_reloads_failed, COUNTER, "times",
	"Times that changed files of schemas were wrong, so that the old ones stayed.")

/* receiving */
RC_COUNTER(recv_bytes, COUNTER, "bytes", "Bytes received from clients and publishers.")
RC_COUNTER(recv_starved, COUNTER, "times", "Receives that found the buffer ring empty (ENOBUFS).")
RC_COUNTER(
	recv_rearmed, COUNTER, "times", "Times that a multishot receive ended and was armed again.")
RC_COUNTER(recv_paused, COUNTER, "times",
	"Times that a connection was not read for a while, to hold it back.")
RC_COUNTER(messages_in, COUNTER, "messages", "Data messages received from clients.")
RC_COUNTER(clients_deflate, GAUGE, "clients",
	"WebSocket clients with which permessage-deflate was agreed on.")
RC_COUNTER(upgrades_deflate_declined, COUNTER, "requests",
	"Upgrades that go without permessage-deflate: it was offered only in ways that can't be granted.")
RC_COUNTER(upgrades_extensions_bad, COUNTER, "requests",
	"Upgrades answered 400: Sec-WebSocket-Extensions breaks its grammar.")
RC_COUNTER(deflate_made, COUNTER, "events",
	"Events deflated, once for each window, whatever number of clients reads them.")
RC_COUNTER(deflate_in_vain, COUNTER, "events",
	"Of them those that did not get smaller and went as they are.")
RC_COUNTER(deflate_bytes_in, COUNTER, "bytes", "Bytes of events before they were deflated.")
RC_COUNTER(deflate_bytes_out, COUNTER, "bytes", "The same behind it.")
RC_COUNTER(
	inflate_messages, COUNTER, "messages", "Compressed messages of clients that were inflated.")
RC_COUNTER(inflate_bytes_in, COUNTER, "bytes", "Bytes of them as they came.")
RC_COUNTER(inflate_bytes_out, COUNTER, "bytes", "The same inflated.")
RC_COUNTER(inflate_bombs, COUNTER, "messages",
	"Compressed messages refused: too big inflated, beyond the ratio, or of too many blocks.")
RC_COUNTER(inflate_held, COUNTER, "times",
	"Times that a client's compressed messages waited for another turn, so that others are served.")
RC_COUNTER(inflate_broken, COUNTER, "messages", "Compressed messages refused: no DEFLATE, or cut.")
RC_COUNTER(messages_bad, COUNTER, "messages", "Client messages answered with an error.")
RC_COUNTER(messages_rate_limited, COUNTER, "messages",
	"Client messages dropped: beyond message_rate or byte_rate.")
RC_COUNTER(subscribe_rate_limited, COUNTER, "requests",
	"Subscribes and history requests refused: beyond subscribe_rate.")
RC_COUNTER(publish_rate_limited, COUNTER, "requests",
	"Events of clients refused: beyond publish_rate.")
RC_COUNTER(command_rate_limited, COUNTER, "requests",
	"Commands of clients refused: beyond command_rate.")
RC_COUNTER(frames_control_in, COUNTER, "frames", "WebSocket ping, pong and close frames received.")

/* subscriptions */
RC_COUNTER(subscriptions, GAUGE, "subscriptions", "Subscriptions held now.")
RC_COUNTER(channels, GAUGE, "channels",
	"Channels known now; one that several shards use counts in each.")
RC_COUNTER(patterns, GAUGE, "patterns", "Channel patterns subscribed to now.")
RC_COUNTER(subscribe_requests, COUNTER, "requests", "Subscribe requests, refused ones included.")
RC_COUNTER(subscribe_refused_filter, COUNTER, "requests",
	"Subscribe requests refused: a filter, rate or window that is none, or where there is none.")
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

/* presence */
RC_COUNTER(presence_entries, GAUGE, "users",
	"Users in channels, as the owners of those channels know them; one in two channels counts twice.")
RC_COUNTER(presence_joins, COUNTER, "users", "Users who came into a channel.")
RC_COUNTER(presence_leaves, COUNTER, "users",
	"Users who left a channel, and did not come back in time.")
RC_COUNTER(presence_lingered, COUNTER, "users",
	"Users who came back to a channel before their leaving counted.")
RC_COUNTER(presence_coalesced, COUNTER, "changes",
	"Joins and leaves that were undone before the channel was told.")
RC_COUNTER(presence_events, COUNTER, "events", "Events that told a channel who came or left.")
RC_COUNTER(presence_full, COUNTER, "times",
	"Times that a user was counted but not listed, for lack of max_presence or memory.")

/* events: the owner gives them their place, replicas follow */
RC_COUNTER(events_published, COUNTER, "events",
	"Events that got an offset here, as owner of their channel.")
RC_COUNTER(events_appended, COUNTER, "events", "Events appended to this shard's copy of a channel.")
RC_COUNTER(echo_holes, COUNTER, "times",
	"Times that an event was not for its publisher (echo off), who had not even got those before it.")
RC_COUNTER(events_deduplicated, COUNTER, "events",
	"Events recognised as sent twice by their publisher.")
RC_COUNTER(events_refused_bad, COUNTER, "events", "Events refused as malformed.")
RC_COUNTER(events_refused_too_big, COUNTER, "events", "Events refused as above the size limit.")
RC_COUNTER(events_refused_full, COUNTER, "events", "Events refused for lack of memory or channels.")
RC_COUNTER(events_refused_invalid, COUNTER, "events",
	"Events refused because their namespace does not take such a payload or such an event.")
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

/* backends and commands */
RC_COUNTER(backends, GAUGE, "connections", "Backends registered now, on the shard that keeps them.")
RC_COUNTER(backends_refused, COUNTER, "times",
	"Registrations refused: not allowed, a type that can't be registered, no room.")
RC_COUNTER(commands, COUNTER, "commands", "Commands taken from clients.")
RC_COUNTER(commands_outstanding, GAUGE, "commands",
	"Commands that their clients wait for, each where its client is.")
RC_COUNTER(commands_waiting, GAUGE, "commands", "Commands that wait for a backend with credit.")
RC_COUNTER(commands_given, COUNTER, "commands", "Commands given to a backend, each time counted.")
RC_COUNTER(commands_handed_over, COUNTER, "commands",
	"Idempotent commands of a backend that ended, to be given to another.")
RC_COUNTER(command_replies, COUNTER, "commands", "Commands that a backend answered.")
RC_COUNTER(
	command_replies_error, COUNTER, "commands", "Of them those that it answered with an error.")
RC_COUNTER(commands_timeout, COUNTER, "commands",
	"Commands answered timeout: in the backend's silence, or with its end.")
RC_COUNTER(commands_no_backend, COUNTER, "commands", "Commands that no backend was there for.")
RC_COUNTER(commands_busy, COUNTER, "commands",
	"Commands refused: no credit and the queue full, or too many outstanding.")
RC_COUNTER(commands_forbidden, COUNTER, "commands", "Commands that their client may not send.")
RC_COUNTER(replies_unknown, COUNTER, "replies",
	"Replies to what was not outstanding with that backend: twice, too late, never asked.")
RC_COUNTER(replies_late, COUNTER, "replies", "Replies that came when their command had timed out.")
RC_COUNTER(replies_gone, COUNTER, "replies", "Replies to clients that were gone.")
RC_COUNTER(replies_bad, COUNTER, "replies",
	"Replies refused: too large, not the JSON that they say, a code that is none.")
RC_COUNTER(backends_stalled, COUNTER, "connections",
	"Backends closed for not reading what they were sent.")
RC_COUNTER(client_events, COUNTER, "events",
	"Connects, disconnects and subscriptions of clients given to a backend.")
RC_COUNTER(client_events_lost, COUNTER, "events",
	"Of them those that a backend could not take; it is told how many.")
RC_COUNTER(webhook_connections, GAUGE, "connections", "Connections to the URL of webhooks.")
RC_COUNTER(webhook_requests, COUNTER, "requests",
	"Requests to the URL of webhooks, each time counted.")
RC_COUNTER(webhook_answers, COUNTER, "answers", "Answers of webhooks that were read to the end.")
RC_COUNTER(webhook_answers_error, COUNTER, "answers",
	"Of them those with a status from 300 on that is not 422.")
RC_COUNTER(webhook_answers_bad, COUNTER, "answers",
	"Answers of webhooks that are no HTTP, no JSON, or too large.")
RC_COUNTER(webhook_retries, COUNTER, "requests", "Requests of webhooks that are made once more.")
RC_COUNTER(webhook_connects_failed, COUNTER, "connections",
	"Connections to the URL of webhooks that did not come about.")
RC_COUNTER(webhook_timeouts, COUNTER, "requests",
	"Requests of webhooks given up: no connection or no whole answer in time.")
RC_COUNTER(webhook_cut, COUNTER, "requests",
	"Requests of webhooks whose connection ended before the answer did.")
RC_COUNTER(webhook_lookups, COUNTER, "lookups", "Look-ups of the host of webhooks after the start.")
RC_COUNTER(webhook_lookups_failed, COUNTER, "lookups",
	"Look-ups of the host of webhooks that failed; its addresses stay.")
RC_COUNTER(webhook_moves, COUNTER, "moves",
	"Times that the host of webhooks had other addresses than before.")
RC_COUNTER(assigns, COUNTER, "requests", "Subscriptions of clients changed by a backend.")

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
RC_COUNTER(views, GAUGE, "views",
	"Forms of channels that clients read now, other than as they are: filtered, in windows, in another rendition.")
RC_COUNTER(view_filter_evaluations, COUNTER, "events", "Events that a filter was applied to.")
RC_COUNTER(view_events_filtered, COUNTER, "events", "Events that a filter left out.")
RC_COUNTER(view_events_conflated, COUNTER, "events",
	"Events that a newer one replaced while a rate held them back.")
RC_COUNTER(view_windows, COUNTER, "messages", "Windows and summaries made for clients.")
RC_COUNTER(view_batches, COUNTER, "messages",
	"Messages of several events that came in one turn, made for clients with batch=1.")
RC_COUNTER(gaps_sent, COUNTER, "messages", "Messages that told a subscriber of a gap.")
RC_COUNTER(lapped, COUNTER, "times", "Cursors that found their place in the log trimmed.")
RC_COUNTER(lag_max_bytes, GAUGE, "bytes",
	"How far behind the client is that is furthest behind, as of the last look, once a second.")
RC_COUNTER(lag_max_ms, GAUGE, "ms",
	"For how long the socket of the client has been full that waits longest, as of the last look.")
RC_COUNTER(clients_behind, GAUGE, "clients",
	"Clients who had not taken all there was for them at the last look.")

/* delivery that is acknowledged */
RC_COUNTER(consumers, GAUGE, "consumers",
	"Readers with acknowledged delivery that are remembered, connected or not; each is counted where its channel is ordered.")
RC_COUNTER(consumers_refused, COUNTER, "times",
	"Subscriptions with acknowledged delivery refused: no room for one more consumer.")
RC_COUNTER(consumers_refused_user, COUNTER, "times",
	"Subscriptions with acknowledged delivery refused: their user, or their address, has max_consumers_per_user already.")
RC_COUNTER(consumers_replaced, COUNTER, "times",
	"Consumers that another connection of the same user and clientId took over.")
RC_COUNTER(consumers_expired, COUNTER, "consumers",
	"Consumers that were forgotten: nobody had come back for them within ack_ttl.")
RC_COUNTER(acked_events, COUNTER, "events", "Events that their consumer has acknowledged.")
RC_COUNTER(acked_trimmed, COUNTER, "events",
	"Events that history had let go before their consumer had acknowledged them.")
RC_COUNTER(redeliveries, COUNTER, "events",
	"Events sent to a consumer again, because it did not acknowledge them in time or came back.")
RC_COUNTER(dead_letters, COUNTER, "events",
	"Events that a consumer did not acknowledge after all retries, and that $dead: channels have.")
RC_COUNTER(acks_refused, COUNTER, "messages",
	"Acknowledgements of what was not sent, or without such a subscription.")

/* memory */
RC_COUNTER(log_bytes, GAUGE, "bytes", "Bytes of events held in channel logs.")
RC_COUNTER(arena_used_bytes, GAUGE, "bytes", "Bytes of the arena in use.")
RC_COUNTER(arena_size_bytes, GAUGE, "bytes", "Bytes of the arena, in use or not; as of the start.")
RC_COUNTER(arena_refused, COUNTER, "times", "Requests for arena memory that could not be met.")

/* the log */
RC_COUNTER(log_dropped, COUNTER, "lines",
	"Lines of the log that were dropped: it is not taken as fast as it comes.")
RC_COUNTER(log_failed, COUNTER, "lines",
	"Lines of the log that could not be written, for want of disk or of a reader.")

/* between shards */
RC_COUNTER(ring_records_in, COUNTER, "records", "Records taken from other shards.")
RC_COUNTER(ring_records_out, COUNTER, "records", "Records given to other shards.")
RC_COUNTER(ring_full, COUNTER, "times", "Times that another shard's ring had no room.")
RC_COUNTER(wakeups_sent, COUNTER, "times", "Sleeping shards woken.")

/* the loop */
RC_COUNTER(turns, COUNTER, "turns", "Turns of the loop.")
RC_COUNTER(turn_budget_exhausted, COUNTER, "turns",
	"Turns in which a source had more to do than its budget.")
RC_COUNTER(busy_ns, COUNTER, "ns", "Time that the shard spent in turns of its loop and not asleep.")
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
RC_COUNTER_HIST(client_rtt_ns, "ns", "From a ping to the pong that answers it.")
RC_COUNTER_HIST(command_ns, "ns", "From taking in a command to the reply's way to its client.")
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
