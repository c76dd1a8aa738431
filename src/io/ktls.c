/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel TLS by hand: the same whatever library made the handshake. Kernels differ in what they take, and one that takes
 * the keys may still fail at the first record (a crypto module that is not there), so the probe sends one each way.
 */
#include "io/ktls.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define SALT      4
#define IV        12
#define RECORD    23 /* the type of data */
#define PATIENCE  1000
#define STRANGERS 16 /* that may connect to the probe's listener before its own end is found */

/* ---- keys --------------------------------------------------------------------------------------- */

union info {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm_128;
	struct tls12_crypto_info_aes_gcm_256 gcm_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

static void put_sequence(unsigned char out[8], uint64_t sequence)
{
	for (int i = 7; i >= 0; i--, sequence >>= 8)
		out[i] = (unsigned char)sequence;
}

/* Both versions of AES-GCM split the 12 bytes alike; what the last 8 mean, the kernel knows from the version. */
static socklen_t describe(union info *u, const struct rc_ktls_key *k)
{
	memset(u, 0, sizeof(*u));
	u->info.version = k->tls13 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
	switch (k->cipher) {
	case RC_KTLS_AES_128_GCM:
		u->info.cipher_type = TLS_CIPHER_AES_GCM_128;
		memcpy(u->gcm_128.key, k->key, sizeof(u->gcm_128.key));
		memcpy(u->gcm_128.salt, k->iv, SALT);
		memcpy(u->gcm_128.iv, k->iv + SALT, IV - SALT);
		put_sequence(u->gcm_128.rec_seq, k->sequence);
		return sizeof(u->gcm_128);
	case RC_KTLS_AES_256_GCM:
		u->info.cipher_type = TLS_CIPHER_AES_GCM_256;
		memcpy(u->gcm_256.key, k->key, sizeof(u->gcm_256.key));
		memcpy(u->gcm_256.salt, k->iv, SALT);
		memcpy(u->gcm_256.iv, k->iv + SALT, IV - SALT);
		put_sequence(u->gcm_256.rec_seq, k->sequence);
		return sizeof(u->gcm_256);
	case RC_KTLS_CHACHA20_POLY1305:
		u->info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(u->chacha.key, k->key, sizeof(u->chacha.key));
		memcpy(u->chacha.iv, k->iv, IV);
		put_sequence(u->chacha.rec_seq, k->sequence);
		return sizeof(u->chacha);
	case RC_KTLS_CIPHERS:
		break;
	}
	RC_FAIL("no such cipher");
	return 0;
}

static int set_key(int fd, int direction, const struct rc_ktls_key *k)
{
	union info u;
	socklen_t len = describe(&u, k);
	int rc = setsockopt(fd, SOL_TLS, direction, &u, len) < 0 ? -errno : 0;

	explicit_bzero(&u, sizeof(u));
	return rc;
}

static int set_ulp(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 ? -errno : 0;
}

int rc_ktls_engage(int fd, const struct rc_ktls_key *send, const struct rc_ktls_key *receive)
{
	int rc = set_ulp(fd);

	if (rc == 0)
		rc = set_key(fd, TLS_TX, send);
	if (rc == 0)
		rc = set_key(fd, TLS_RX, receive);
	return rc;
}

/* ---- records of another type -------------------------------------------------------------------- */

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(1)];
};

int rc_ktls_send_record(int fd, uint8_t type, const void *bytes, size_t len)
{
	union control control;
	struct iovec part = {.iov_base = (void *)bytes, .iov_len = len};
	struct msghdr m = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_TLS;
	control.head.cmsg_type = TLS_SET_RECORD_TYPE;
	control.head.cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(&control.head) = type;
	ssize_t n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* An error of what was received is told once, to whoever calls next. It is no hindrance to what is said. */
	if (n < 0 && errno != EAGAIN)
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

void rc_ktls_clear_error(int fd)
{
	int error;
	socklen_t len = sizeof(error);

	/* Linux 6.12 keeps it as the socket's error, which is forgotten when it is asked for. 7.x does not. */
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/* The type of what was read: RECORD where the kernel named none, as on a socket without keys. */
static ssize_t receive(int fd, void *bytes, size_t size, int flags, uint8_t *type)
{
	union control control;
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	struct msghdr m = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | flags);

	*type = RECORD;
	if (n < 0)
		return -errno;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_TLS && c->cmsg_type == TLS_GET_RECORD_TYPE &&
		c->cmsg_len >= CMSG_LEN(1))
		*type = *CMSG_DATA(c);
	return n;
}

/*
 * A receive that asks for the type takes data as willingly as an alert, so the front is looked at first. The kernel keeps a
 * record that was looked at, decrypted and with its type, for the next receive of either kind; nobody else receives here.
 */
int rc_ktls_take_record(int fd, uint8_t *type, void *bytes, size_t size)
{
	ssize_t n = receive(fd, bytes, size, MSG_PEEK, type);

	if (n < 0)
		return (int)n;
	if (*type == RECORD)
		return -EAGAIN;
	/* Empty: the kernel would drop it and go on to what follows; no TLS allows it. */
	if (n == 0)
		return -EPROTO;
	return (int)receive(fd, bytes, size, 0, type);
}

/* ---- probing ------------------------------------------------------------------------------------ */

static const char *const version_names[2] = {"TLS 1.2", "TLS 1.3"};
static const char *const cipher_names[RC_KTLS_CIPHERS] = {
	"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
static const char *const cipher_modules[RC_KTLS_CIPHERS] = {"gcm", "gcm", "chacha20poly1305"};

/* The other end of `client`, whoever else connects in between. */
static int accept_own(int listener, int client)
{
	struct sockaddr_in own = {0}, peer = {0};
	socklen_t len = sizeof(own);

	if (getsockname(client, (struct sockaddr *)&own, &len) < 0)
		return -1;
	for (int i = 0; i < STRANGERS; i++) {
		struct pollfd p = {.fd = listener, .events = POLLIN};
		if (poll(&p, 1, PATIENCE) != 1) {
			errno = ETIMEDOUT;
			return -1;
		}
		len = sizeof(peer);
		int fd = accept4(
			listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return -1;
		if (peer.sin_port == own.sin_port && peer.sin_addr.s_addr == own.sin_addr.s_addr)
			return fd;
		(void)close(fd);
	}
	errno = ECONNABORTED;
	return -1;
}

/* Two ends of a connection over loopback, not blocking. 0 or -errno. */
static int open_pair(int fd[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fd[1] = -1;
	if (listener < 0 || fd[0] < 0 || bind(listener, (struct sockaddr *)&a, len) < 0 ||
		listen(listener, STRANGERS) < 0 ||
		getsockname(listener, (struct sockaddr *)&a, &len) < 0 ||
		(connect(fd[0], (struct sockaddr *)&a, len) < 0 && errno != EINPROGRESS) ||
		(fd[1] = accept_own(listener, fd[0])) < 0)
		rc = -errno;
	if (listener >= 0)
		(void)close(listener);
	if (rc < 0 && fd[0] >= 0)
		(void)close(fd[0]);
	return rc;
}

static void because(struct rc_ktls_ability *a, const char *text)
{
	if (a->why_not[0] == 0)
		(void)snprintf(a->why_not, sizeof(a->why_not), "%s", text);
}

/* The first reason is the one that is kept: AES comes before ChaCha20, and either before what follows from it. */
static void because_of_keys(
	struct rc_ktls_ability *a, const char *what, const struct rc_ktls_key *k, int error)
{
	char text[sizeof(a->why_not)];
	const char *name = cipher_names[k->cipher];

	if (error == ENOENT)
		(void)snprintf(text, sizeof(text), "the kernel has no %s for TLS: modprobe %s",
			name, cipher_modules[k->cipher]);
	else if (error == EINVAL || error == ENOTSUP ||
		 error == 524 /* the kernel's own ENOTSUPP */)
		(void)snprintf(text, sizeof(text),
			"the kernel is too old for %s with %s (%s): boot a newer one",
			version_names[k->tls13], name, what);
	else
		(void)snprintf(text, sizeof(text), "%s with %s, %s: %s", version_names[k->tls13],
			name, what, strerror(error));
	because(a, text);
}

static void because_of_record(struct rc_ktls_ability *a, const struct rc_ktls_key *k, int error)
{
	char text[sizeof(a->why_not)];

	(void)snprintf(text, sizeof(text),
		"the kernel takes keys of %s with %s, but no record comes through: %s",
		version_names[k->tls13], cipher_names[k->cipher], strerror(error));
	because(a, text);
}

static void because_of_ulp(struct rc_ktls_ability *a, int error)
{
	char text[sizeof(a->why_not)];

	switch (error) {
	case ENOENT:
		because(a, "the kernel has no TLS module: modprobe tls");
		return;
	case ENOPROTOOPT:
		because(a,
			"this kernel, or the sandbox around it, knows no TCP_ULP: none to be had here");
		return;
	case EPERM:
	case EACCES:
		because(a,
			"TCP_ULP is forbidden (EPERM): allow setsockopt in the container's seccomp filter");
		return;
	default:
		(void)snprintf(text, sizeof(text), "setsockopt(TCP_ULP, tls): %s", strerror(error));
		because(a, text);
	}
}

/* One record from fd[0] to fd[1], under the keys. 0 or -errno. */
static int carry(const int fd[2])
{
	static const char text[] = "one record";
	char got[sizeof(text)];
	struct pollfd p = {.fd = fd[1], .events = POLLIN};
	uint8_t type;

	ssize_t n = send(fd[0], text, sizeof(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(text))
		return -EIO;
	if (poll(&p, 1, PATIENCE) != 1)
		return -ETIMEDOUT;
	n = receive(fd[1], got, sizeof(got), 0, &type);
	if (n < 0)
		return (int)n;
	return n == (ssize_t)sizeof(text) && memcmp(got, text, sizeof(text)) == 0 ? 0 : -EIO;
}

/* False: nothing further can work either. */
static bool probe_one(struct rc_ktls_ability *a, const struct rc_ktls_key *k)
{
	char text[sizeof(a->why_not)];
	int fd[2];
	int rc = open_pair(fd);

	if (rc < 0) {
		(void)snprintf(text, sizeof(text),
			"no connection over 127.0.0.1 to try kernel TLS on: %s", strerror(-rc));
		because(a, text);
		return false;
	}
	rc = set_ulp(fd[0]);
	if (rc == 0)
		rc = set_ulp(fd[1]);
	bool go_on = rc == 0;
	if (!go_on) {
		because_of_ulp(a, -rc);
	} else {
		int send = set_key(fd[0], TLS_TX, k);
		int take = set_key(fd[1], TLS_RX, k);
		if (send < 0)
			because_of_keys(a, "sending", k, -send);
		else if (take < 0)
			because_of_keys(a, "receiving", k, -take);
		else if ((rc = carry(fd)) < 0)
			because_of_record(a, k, -rc);
		a->send[k->tls13][k->cipher] = send == 0 && rc == 0;
		a->receive[k->tls13][k->cipher] = take == 0 && rc == 0;
		a->any |= send == 0 && take == 0 && rc == 0;
	}
	(void)close(fd[0]);
	(void)close(fd[1]);
	return go_on;
}

void rc_ktls_probe(struct rc_ktls_ability *a)
{
	static const uint8_t key[32] = {1, 2, 3};
	static const uint8_t iv[IV] = {4, 5, 6};

	memset(a, 0, sizeof(*a));
	for (int cipher = 0; cipher < RC_KTLS_CIPHERS; cipher++) {
		for (int tls13 = 1; tls13 >= 0; tls13--) {
			struct rc_ktls_key k = {.tls13 = tls13 == 1,
				.cipher = (enum rc_ktls_cipher)cipher,
				.key = key,
				.iv = iv};
			if (!probe_one(a, &k))
				return;
		}
	}
}
