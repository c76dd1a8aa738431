/* SPDX-License-Identifier: Apache-2.0
 *
 * See link.h.
 */
#include "link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads of one call: what publishes shares its thread with what reads. */
#define READS_MAX 8

static bool wants_tls(enum load_scheme scheme)
{
	return scheme == LOAD_TLS || scheme == LOAD_WSS;
}

static int failed(const char *what, int error, struct rc_error *err)
{
	const char *text = strerrordesc_np(error);
	const char *advice = "See that the server runs and that its limits allow this";

	if (error == ECONNREFUSED)
		advice = "See that the server runs and listens there";
	else if (error == EMFILE || error == ENFILE)
		advice = "Raise the descriptor limit (ulimit -n) or run with fewer clients";
	rc_error_set(err, "%s: %s. %s", what, text != NULL ? text : "unknown error", advice);
	return -error;
}

/* "": nothing; else the server's last words, as the end of a sentence. */
static const char *last_words(const struct load_link *l, char out[128])
{
	size_t len = 0;

	if (l->talk.said[0] != '\0') {
		static const struct rc_str before = RC_STR("; its last words: ");

		memcpy(out, before.ptr, before.len);
		len = strlen(l->talk.said);
		memcpy(out + before.len, l->talk.said, len);
		len += before.len;
	}
	out[len] = '\0';
	return out;
}

static int begin_tls(struct load_link *l, const struct load_plan *plan, struct rc_error *err)
{
	const char *host = plan->target->publisher.url.host;
	int rc;

	if (!wants_tls(plan->target->publisher.url.scheme))
		return 0;
	rc = load_tls_context_open(&l->tls_context, plan, err);
	if (rc < 0)
		return rc;
	l->tls = load_tls_open(l->tls_context, l->fd, host);
	if (l->tls == NULL)
		return load_talk_no_memory(err);
	l->handshaking = true;
	return 0;
}

static int begin_connect(struct load_link *l, const struct load_url *url, struct rc_error *err)
{
	const int on = 1;

	l->fd = socket(url->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return failed("no socket", errno, err);
	/* Events leave when they are due, not when there are enough of them. */
	if (url->address.ss_family != AF_UNIX)
		(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	l->connecting = true;
	if (connect(l->fd, (const struct sockaddr *)&url->address, url->address_len) < 0 &&
		errno != EINPROGRESS)
		return failed("no connection", errno, err);
	return 0;
}

int load_link_open(struct load_link *l, const struct load_plan *plan, struct rc_str path,
	uint32_t session, size_t event_len, const struct load_talk_hooks *hooks, uint64_t now_ns,
	struct rc_error *err)
{
	const struct load_publisher_target *to = &plan->target->publisher;
	int rc;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	rc = load_talk_open(&l->talk, to, path, session, event_len, hooks, err);
	if (rc < 0)
		return rc;
	l->patience = plan->connect_timeout > 0 ? plan->connect_timeout : 10;
	l->deadline_ns = now_ns + (uint64_t)(l->patience * 1e9);
	rc = begin_connect(l, &to->url, err);
	if (rc == 0)
		rc = begin_tls(l, plan, err);
	if (rc < 0)
		load_link_close(l);
	return rc;
}

void load_link_close(struct load_link *l)
{
	struct rc_error ignored;

	if (l->talk.target == NULL)
		return;
	if (l->fd >= 0 && load_link_ready(l) && load_outbuf_waiting(&l->talk.out) == 0) {
		load_talk_end(&l->talk);
		(void)!load_link_flush(l, &ignored);
	}
	load_tls_close(l->tls);
	load_tls_context_close(l->tls_context);
	if (l->fd >= 0)
		(void)close(l->fd);
	load_talk_close(&l->talk);
	l->tls = NULL;
	l->tls_context = NULL;
	l->fd = -1;
}

short load_link_events(const struct load_link *l)
{
	if (l->connecting)
		return POLLOUT;
	if (l->handshaking)
		return l->tls_wants != 0 ? l->tls_wants : POLLOUT;
	return (short)(POLLIN | l->tls_wants |
		       (load_outbuf_waiting(&l->talk.out) > 0 ? POLLOUT : 0));
}

/* ---- beginning ---------------------------------------------------------------------------------- */

static int finish_connect(struct load_link *l, struct rc_error *err)
{
	struct pollfd p = {.fd = l->fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0;

	/* Called too early it is not connected yet, and there is no error to be read either. */
	if (poll(&p, 1, 0) <= 0)
		return 0;
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0)
		return failed("no connection", error, err);
	l->connecting = false;
	return l->handshaking ? 0 : load_talk_begin(&l->talk, err);
}

static int shake_hands(struct load_link *l, struct rc_error *err)
{
	int rc = load_tls_handshake(l->tls, &l->tls_wants);

	if (rc == -EAGAIN)
		return 0;
	if (rc < 0) {
		rc_error_set(err,
			"no TLS: %s. See that the port speaks TLS; name the certificates to trust with "
			"--ca, or don't verify with --insecure",
			load_tls_why(l->tls));
		return rc;
	}
	l->handshaking = false;
	l->tls_wants = 0;
	return load_talk_begin(&l->talk, err);
}

int load_link_check(const struct load_link *l, uint64_t now_ns, struct rc_error *err)
{
	static const char *const missing[] = {
		[LOAD_TALK_UPGRADE] = "it did not answer the upgrade to WebSocket",
		[LOAD_TALK_GREETING] = "it did not send the greeting that the target names",
		[LOAD_TALK_WELCOME] = "it did not send the welcome that was waited for",
		[LOAD_TALK_SERVING] = "it did not say that the backend gets commands",
	};
	char words[128];

	if (load_link_ready(l) || now_ns < l->deadline_ns)
		return 0;
	rc_error_set(err,
		"the server did not take the connection within %g s: %s%s. See that the URL names the "
		"right port, or give it more time (--connect-timeout)",
		l->patience,
		l->connecting    ? "connect() has no answer"
		: l->handshaking ? "TLS has no answer"
				 : missing[l->talk.step],
		last_words(l, words));
	return -ETIMEDOUT;
}

/* ---- bytes -------------------------------------------------------------------------------------- */

/* Bytes, 0: not ready, or -errno. */
static ssize_t put_bytes(struct load_link *l, const void *bytes, size_t len)
{
	ssize_t n;

	if (l->tls != NULL) {
		n = load_tls_write(l->tls, bytes, len, &l->tls_wants);
		if (n > 0)
			l->tls_wants = 0;
		return n == -EAGAIN ? 0 : n;
	}
	do
		n = send(l->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

static int broke(const struct load_link *l, int error, struct rc_error *err)
{
	const char *text = strerrordesc_np(error);
	char words[128];

	if (error == EPROTO && l->tls != NULL)
		text = load_tls_why(l->tls);
	rc_error_set(err, "the connection broke: %s%s. See the server's log",
		text != NULL ? text : "unknown error", last_words(l, words));
	return -error;
}

int load_link_flush(struct load_link *l, struct rc_error *err)
{
	struct load_outbuf *out = &l->talk.out;

	if (l->connecting || l->handshaking)
		return 0;
	while (load_outbuf_waiting(out) > 0) {
		ssize_t n = put_bytes(l, out->ptr + out->at, load_outbuf_waiting(out));

		if (n == 0)
			return 0;
		/* What it said before it hung up is worth more than that it did: the next read tells. */
		if (n == -EPIPE || n == -ECONNRESET) {
			load_outbuf_took(out, load_outbuf_waiting(out));
			return 0;
		}
		if (n < 0)
			return broke(l, (int)-n, err);
		load_outbuf_took(out, (size_t)n);
	}
	return 0;
}

/* Bytes, -EAGAIN, or 0 at the end, or -errno. */
static ssize_t get_bytes(struct load_link *l)
{
	ssize_t n;

	if (l->tls != NULL) {
		short want = 0;

		n = load_tls_read(l->tls, l->in, sizeof(l->in), &want);
		/* Reading is always waited for, writing only when there is output or TLS itself has something to say. */
		if (n == -EAGAIN && want == POLLOUT)
			l->tls_wants = POLLOUT;
		else if (load_outbuf_waiting(&l->talk.out) == 0)
			l->tls_wants = 0;
		return n;
	}
	do
		n = recv(l->fd, l->in, sizeof(l->in), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int receive(struct load_link *l, struct rc_error *err)
{
	char words[128];

	l->more = false;
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = get_bytes(l);
		int rc;

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return broke(l, (int)-n, err);
		if (n == 0) {
			rc_error_set(err, "the server closed the connection%s. See its log",
				last_words(l, words));
			return -ECONNRESET;
		}
		rc = load_talk_take(&l->talk, l->in, (size_t)n, err);
		if (rc < 0)
			return rc;
		/* Of TLS one record comes at a time, however much is there. */
		if (l->tls == NULL && (size_t)n < sizeof(l->in))
			return 0;
	}
	l->more = true;
	return 0;
}

int load_link_io(struct load_link *l, struct rc_error *err)
{
	int rc = 0;

	if (l->connecting)
		rc = finish_connect(l, err);
	if (rc == 0 && !l->connecting && l->handshaking)
		rc = shake_hands(l, err);
	if (rc < 0 || l->connecting || l->handshaking)
		return rc;
	rc = load_link_flush(l, err);
	if (rc == 0)
		rc = receive(l, err);
	/* What was said in answer goes at once: hello, pong. */
	return rc == 0 ? load_link_flush(l, err) : rc;
}
