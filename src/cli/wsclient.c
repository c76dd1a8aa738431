/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of a WebSocket; the contract is in wsclient.h.
 */
#include "cli/wsclient.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/base64.h"
#include "proto/http1.h"
#include "proto/sha1.h"
#include "proto/wsdeflate.h"

#define HEAD_MAX 8192
/* A peer that takes nothing for so long is not there. */
#define SEND_TIMEOUT_MS 10000
#define RELEASE_ABOVE   ((size_t)256 * 1024)

/* ---- the handshake -------------------------------------------------------------------------- */

void rc_wsclient_accept(const char key[RC_WSCLIENT_KEY_LEN], char accept[RC_WSCLIENT_ACCEPT_LEN])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char joined[RC_WSCLIENT_KEY_LEN + sizeof(guid) - 1];
	unsigned char digest[RC_SHA1_LEN];

	memcpy(joined, key, RC_WSCLIENT_KEY_LEN);
	memcpy(joined + RC_WSCLIENT_KEY_LEN, guid, sizeof(guid) - 1);
	rc_sha1(joined, sizeof(joined), digest);
	(void)rc_base64_encode(digest, sizeof(digest), accept);
}

static struct rc_str trimmed(const char *begin, const char *end)
{
	while (begin < end && (*begin == ' ' || *begin == '\t'))
		begin++;
	while (begin < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct rc_str){begin, (size_t)(end - begin)};
}

struct answer {
	uint32_t upgrade, connection, accept, protocol, extensions; /* how often, as wanted */
	uint32_t wrong;
	bool deflate; /* the extension is the one that was offered */
};

/* One line of the head, without its end. */
static void look_at_field(struct answer *a, const char *line, const char *end, struct rc_str accept,
	struct rc_str protocol)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));

	if (colon == NULL) {
		a->wrong++;
		return;
	}
	struct rc_str name = {line, (size_t)(colon - line)};
	struct rc_str value = trimmed(colon + 1, end);
	if (rc_http_same(name, RC_STR("Upgrade")))
		a->upgrade += rc_http_same(value, RC_STR("websocket"));
	else if (rc_http_same(name, RC_STR("Connection")))
		a->connection += rc_http_list_has(value, "upgrade");
	else if (rc_http_same(name, RC_STR("Sec-WebSocket-Accept")))
		*(rc_str_eq(value, accept) ? &a->accept : &a->wrong) += 1;
	else if (rc_http_same(name, RC_STR("Sec-WebSocket-Protocol")))
		*(rc_str_eq(value, protocol) ? &a->protocol : &a->wrong) += 1;
	else if (rc_http_same(name, RC_STR("Sec-WebSocket-Extensions"))) {
		a->extensions++;
		a->deflate = rc_ws_deflate_answered(value);
	}
}

int rc_wsclient_answer(struct rc_str bytes, const char key[RC_WSCLIENT_KEY_LEN],
	const char *protocol, bool *deflate, struct rc_error *err)
{
	static const struct rc_str granted = RC_STR("HTTP/1.1 101");
	char accept[RC_WSCLIENT_ACCEPT_LEN];
	struct answer a = {0};
	size_t known = RC_MIN(bytes.len, granted.len);
	const char *blank = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);

	if (known >= 5 && memcmp(bytes.ptr, "HTTP/", 5) != 0)
		return rc_error_set(err, "what answers there does not speak HTTP");
	if (blank == NULL) {
		if (bytes.len >= HEAD_MAX)
			return rc_error_set(err, "the answer has no end");
		return 0;
	}
	const char *at = memmem(bytes.ptr, bytes.len, "\r\n", 2);
	if (!rc_str_starts(bytes, granted)) {
		/* Words of a stranger: only what can be shown. */
		char line[128];
		size_t len = RC_MIN((size_t)(at - bytes.ptr), sizeof(line) - 1);
		for (size_t i = 0; i < len; i++)
			line[i] = bytes.ptr[i] >= ' ' && bytes.ptr[i] <= '~' ? bytes.ptr[i] : '?';
		line[len] = '\0';
		return rc_error_set(err, "no WebSocket is granted there, the answer is: %s", line);
	}
	rc_wsclient_accept(key, accept);
	while (at < blank) {
		const char *line = at + 2;
		at = memmem(line, (size_t)(blank + 2 - line), "\r\n", 2);
		look_at_field(
			&a, line, at, (struct rc_str){accept, sizeof(accept)}, rc_str_of(protocol));
	}
	if (a.wrong > 0 || a.upgrade != 1 || a.connection < 1 || a.accept != 1 || a.protocol > 1 ||
		a.extensions > (deflate && a.deflate ? 1 : 0))
		return rc_error_set(err, "the answer to the WebSocket handshake is not right");
	if (deflate)
		*deflate = a.deflate;
	return (int)(blank + 4 - bytes.ptr);
}

/* ---- the connection ------------------------------------------------------------------------- */

void rc_wsclient_init(struct rc_wsclient *w, int fd)
{
	memset(w, 0, sizeof(*w));
	w->fd = fd;
}

void rc_wsclient_deinit(struct rc_wsclient *w)
{
	if (w->tls != NULL)
		rc_client_tls_bye(w->tls);
	rc_client_tls_close(w->tls);
	if (w->fd >= 0)
		(void)close(w->fd);
	free(w->message);
	free(w->inflater);
	free(w->plain);
	rc_wsclient_init(w, -1);
}

static int left_ms(uint64_t since_ns, int timeout_ms)
{
	uint64_t gone = (rc_clock_mono_ns() - since_ns) / 1000000;

	return gone >= (uint64_t)timeout_ms ? 0 : timeout_ms - (int)gone;
}

/* Until fd is ready: 0, or -ETIMEDOUT. */
static int await(int fd, short events, uint64_t since_ns, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	while (true) {
		int left = left_ms(since_ns, timeout_ms);
		int rc = poll(&p, 1, left);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
		if (rc == 0 && left == 0)
			return -ETIMEDOUT;
	}
}

/* A connected socket, or -errno. */
static int connect_to(const struct addrinfo *a, uint64_t since_ns, int timeout_ms)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	int error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		error = errno;
		if (error == EINPROGRESS)
			error = -await(fd, POLLOUT, since_ns, timeout_ms);
		if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			error = errno;
	}
	if (error != 0) {
		(void)close(fd);
		return -error;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return fd;
}

static int connect_any(
	const char *host, uint16_t port, uint64_t since_ns, int timeout_ms, struct rc_error *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
	char service[8];
	int fd = -ENOENT;

	(void)snprintf(service, sizeof(service), "%u", port);
	int rc = getaddrinfo(host, service, &hints, &list);
	if (rc != 0)
		return rc_error_set(err, "%s", gai_strerror(rc));
	for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_to(a, since_ns, timeout_ms);
	freeaddrinfo(list);
	if (fd < 0)
		return rc_error_set(err, "%s", strerror(-fd));
	return fd;
}

/* What goes at once: bytes, or -errno. */
static ssize_t send_some(struct rc_wsclient *w, const void *bytes, size_t len)
{
	struct iovec piece = {(void *)(uintptr_t)bytes, len};
	ssize_t n;

	if (w->tls != NULL)
		return rc_client_tls_write(w->tls, &piece, 1);
	n = send(w->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static int sending_failed(const struct rc_wsclient *w, int error, struct rc_error *err)
{
	return rc_error_set(err, "sending: %s",
		w->tls != NULL && error != ETIMEDOUT ? rc_client_tls_why(w->tls) : strerror(error));
}

static int send_all(
	struct rc_wsclient *w, const void *bytes, size_t len, int timeout_ms, struct rc_error *err)
{
	const char *at = bytes;
	uint64_t since = rc_clock_mono_ns();

	/* TLS may have taken it all and still hold the end of it back. */
	while (len > 0 || (w->tls != NULL && rc_client_tls_wants_write(w->tls))) {
		ssize_t n = len > 0 ? send_some(w, at, len) : rc_client_tls_flush(w->tls);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else if (n == -EAGAIN) {
			n = await(w->fd, POLLOUT, since, timeout_ms);
		}
		if (n < 0 && n != -EINTR)
			return sending_failed(w, (int)-n, err);
	}
	return 0;
}

static int begin_tls(struct rc_wsclient *w, uint64_t since_ns, int timeout_ms, struct rc_error *err)
{
	int rc;

	if (rc_client_tls_begin(w->tls, w->fd) < 0)
		return rc_error_set(err, "out of memory");
	while ((rc = rc_client_tls_shake(w->tls)) == 0) {
		short events = rc_client_tls_wants_write(w->tls) ? POLLIN | POLLOUT : POLLIN;
		if (await(w->fd, events, since_ns, timeout_ms) < 0)
			return rc_error_set(err, "the TLS handshake was not done in time");
	}
	return rc < 0 ? rc_error_set(err, "%s", rc_client_tls_why(w->tls)) : 0;
}

static int shake_hands(struct rc_wsclient *w, const char *request, size_t request_len,
	const char *key, const char *protocol, bool deflate, uint64_t since_ns, int timeout_ms,
	struct rc_error *err)
{
	if (w->tls != NULL && begin_tls(w, since_ns, timeout_ms, err) < 0)
		return -1;
	if (send_all(w, request, request_len, timeout_ms, err) < 0)
		return -1;
	while (true) {
		int rc = rc_wsclient_answer((struct rc_str){(const char *)w->in, w->in_end}, key,
			protocol, deflate ? &deflate : NULL, err);
		if (rc < 0)
			return -1;
		if (rc > 0) {
			if (deflate && !rc_wsclient_inflates(w))
				return rc_error_set(err, "out of memory");
			/* What follows are frames already. */
			w->in_begin = (size_t)rc;
			return 0;
		}
		if (await(w->fd, POLLIN, since_ns, timeout_ms) < 0)
			return rc_error_set(err, "no answer in time");
		if (rc_wsclient_receive(w, err) < 0)
			return -1;
	}
}

int rc_wsclient_open(struct rc_wsclient *w, struct rc_client_tls *tls, const char *host,
	uint16_t port, const char *target, const char *protocol, const char *token, bool deflate,
	int timeout_ms, struct rc_error *err)
{
	uint64_t since = rc_clock_mono_ns();
	bool v6 = strchr(host, ':') != NULL;
	unsigned char nonce[16];
	char key[RC_WSCLIENT_KEY_LEN + 1] = {0};
	char request[RC_WSCLIENT_TOKEN_MAX + 4096];
	static_assert(RC_WSCLIENT_IN >= HEAD_MAX + RC_CLIENT_TLS_STAGE,
		"the head is gathered in `in`, and a record behind it");

	rc_random_bytes(nonce, sizeof(nonce));
	(void)rc_base64_encode(nonce, sizeof(nonce), key);
	int len = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
		"Sec-WebSocket-Protocol: %s\r\nUser-Agent: ringcast/" RC_VERSION "\r\n%s%s%s%s\r\n",
		target, v6 ? "[" : "", host, v6 ? "]" : "", port, key, protocol,
		token != NULL ? "Authorization: Bearer " : "", token != NULL ? token : "",
		token != NULL ? "\r\n" : "",
		deflate ? "Sec-WebSocket-Extensions: " RC_WS_DEFLATE_OFFER "\r\n" : "");
	rc_wsclient_init(w, -1);
	w->tls = tls;
	if (len < 0 || (size_t)len >= sizeof(request))
		return rc_error_set(err, "the request is too long");
	w->fd = connect_any(host, port, since, timeout_ms, err);
	if (w->fd < 0)
		return -1;
	return shake_hands(w, request, (size_t)len, key, protocol, deflate, since, timeout_ms, err);
}

int rc_wsclient_receive(struct rc_wsclient *w, struct rc_error *err)
{
	if (w->in_begin == w->in_end)
		w->in_begin = w->in_end = 0;
	/* The decoder takes all that it is given, so there is room whenever it says that it wants more. */
	RC_ASSERT(w->in_end < sizeof(w->in));
	unsigned char *at = w->in + w->in_end;
	size_t room = sizeof(w->in) - w->in_end;
	ssize_t n;
	if (w->tls != NULL) {
		/* A whole record comes out, so that poll() knows of all that is left. */
		RC_ASSERT(room >= RC_CLIENT_TLS_STAGE);
		n = rc_client_tls_read(w->tls, at, room);
	} else {
		n = recv(w->fd, at, room, MSG_DONTWAIT);
		n = n < 0 ? -errno : n;
	}
	if (n > 0) {
		w->in_end += (size_t)n;
		return 1;
	}
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n == 0)
		return rc_error_set(err, "the gateway hung up without a close");
	return rc_error_set(
		err, "%s", w->tls != NULL ? rc_client_tls_why(w->tls) : strerror((int)-n));
}

int rc_wsclient_send(
	struct rc_wsclient *w, uint8_t opcode, struct rc_str payload, struct rc_error *err)
{
	unsigned char small[14 + 512];
	unsigned char *frame = small;
	uint32_t mask;

	if (payload.len > sizeof(small) - 14) {
		frame = malloc(14 + payload.len);
		if (frame == NULL)
			return rc_error_set(err, "out of memory");
	}
	rc_random_bytes(&mask, sizeof(mask));
	size_t len = rc_ws_masked_header(frame, opcode, true, payload.len, mask);
	if (payload.len > 0)
		memcpy(frame + len, payload.ptr, payload.len);
	rc_ws_mask(frame + len, payload.len, mask, 0);
	int rc = send_all(w, frame, len + payload.len, SEND_TIMEOUT_MS, err);
	if (frame != small)
		free(frame);
	return rc;
}

void rc_wsclient_close(struct rc_wsclient *w, uint16_t code)
{
	const char bytes[2] = {(char)(code >> 8), (char)(code & 0xff)};
	struct rc_error ignored;

	if (w->close_sent)
		return;
	w->close_sent = true;
	(void)!rc_wsclient_send(
		w, RC_WS_CLOSE, (struct rc_str){bytes, code == 1005 ? 0 : 2}, &ignored);
}

/* ---- messages ------------------------------------------------------------------------------- */

static bool gather(struct rc_wsclient *w, const struct rc_ws_piece *piece)
{
	size_t need = w->message_len + piece->len;

	if (need > w->message_size) {
		size_t size = (size_t)rc_pow2_ceil(RC_MAX(need, (size_t)4096));
		char *larger = realloc(w->message, size);
		if (larger == NULL)
			return false;
		w->message = larger;
		w->message_size = size;
	}
	if (piece->len > 0)
		memcpy(w->message + w->message_len, piece->ptr, piece->len);
	w->message_len = need;
	return true;
}

static enum rc_wsclient_event leave(
	struct rc_wsclient *w, uint16_t code, const char *why, struct rc_error *err)
{
	rc_wsclient_close(w, code);
	(void)rc_error_set(err, "%s", why);
	return RC_WSCLIENT_FAILED;
}

static enum rc_wsclient_event control(
	struct rc_wsclient *w, const struct rc_ws_piece *piece, struct rc_error *err)
{
	struct rc_str payload = {(const char *)piece->ptr, piece->len};

	if (piece->opcode == RC_WS_PING && !w->close_sent &&
		rc_wsclient_send(w, RC_WS_PONG, payload, err) < 0)
		return RC_WSCLIENT_FAILED;
	if (piece->opcode != RC_WS_CLOSE)
		return RC_WSCLIENT_MORE;
	w->close_code = piece->close_code;
	if (payload.len > 2)
		memcpy(w->close_reason, payload.ptr + 2, payload.len - 2);
	rc_wsclient_close(w, piece->close_code);
	return RC_WSCLIENT_CLOSED;
}

/* The buffer of one large message is not kept for all the small ones that follow. */
static void begin_message(struct rc_wsclient *w)
{
	w->message_len = 0;
	if (w->message_size > RELEASE_ABOVE) {
		free(w->message);
		w->message = NULL;
		w->message_size = 0;
	}
}

static enum rc_wsclient_event whole(struct rc_wsclient *w, struct rc_str *message, bool binary,
	bool deflated, struct rc_error *err)
{
	w->seen.messages++;
	w->seen.wire += message->len;
	if (deflated && !rc_wsclient_inflate(w, message, binary))
		return leave(w, 1007, "a message can't be inflated", err);
	w->seen.plain += message->len;
	return RC_WSCLIENT_MESSAGE;
}

enum rc_wsclient_event rc_wsclient_next(
	struct rc_wsclient *w, struct rc_str *message, bool *binary, struct rc_error *err)
{
	const struct rc_ws_limits limits = {.message_max = RC_WSCLIENT_MESSAGE_MAX,
		.fragments_max = UINT32_MAX,
		.check_utf8 = true,
		.deflate = w->inflater != NULL};
	struct rc_ws_piece piece;

	while (true) {
		unsigned char *at = w->in + w->in_begin;
		size_t left = w->in_end - w->in_begin;
		enum rc_ws_result rc = rc_ws_next(&w->decoder, &limits, &at, &left, &piece);
		enum rc_wsclient_event event;

		w->in_begin = w->in_end - left;
		switch (rc) {
		case RC_WS_CONTROL:
			event = control(w, &piece, err);
			if (event != RC_WSCLIENT_MORE)
				return event;
			break;
		case RC_WS_DATA:
			*binary = piece.opcode == RC_WS_BINARY;
			if (piece.first && piece.last) {
				*message = (struct rc_str){(const char *)piece.ptr, piece.len};
				return whole(w, message, *binary, piece.deflated, err);
			}
			if (piece.first)
				begin_message(w);
			if (!gather(w, &piece))
				return leave(w, 1009, "out of memory", err);
			if (!piece.last)
				break;
			*message = (struct rc_str){w->message, w->message_len};
			return whole(w, message, *binary, piece.deflated, err);
		case RC_WS_FAIL:
			return leave(w, piece.close_code, piece.reason, err);
		case RC_WS_MORE:
		default:
			return RC_WSCLIENT_MORE;
		}
	}
}
