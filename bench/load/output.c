/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client sends: at once, or kept until the socket takes it. See client.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "local.h"
#include "proto/websocket.h"

/* Bytes taken; -EAGAIN; another -errno. */
static ssize_t put(struct load_client *c, const void *bytes, size_t len)
{
	ssize_t n;

	if (c->extra && c->extra->tls)
		return load_tls_write(c->extra->tls, bytes, len, &c->extra->tls_want);
	n = send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static bool keep(struct load_worker *w, struct load_client *c, const char *bytes, size_t len)
{
	struct load_extra *x = load_client_extra(w, c);

	if (!x)
		return false;
	if (x->out_len + len > x->out_cap) {
		size_t cap = rc_pow2_ceil(RC_MAX(x->out_len + len, 512u));
		char *bigger = realloc(x->out, cap);

		if (!bigger) {
			load_client_lost(w, c, "out of memory: say fewer clients");
			return false;
		}
		w->extra_bytes += cap - x->out_cap;
		x->out = bigger;
		x->out_cap = (uint32_t)cap;
	}
	memcpy(x->out + x->out_len, bytes, len);
	x->out_len += (uint32_t)len;
	if (!(c->flags & LOAD_AWAITED)) {
		c->flags |= LOAD_AWAITED;
		load_ring_await(&w->ring, c->fd, POLLOUT,
			load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
	}
	return true;
}

bool load_client_send(struct load_worker *w, struct load_client *c, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t n = 0;

	if (c->fd < 0)
		return false;
	if (!c->extra || c->extra->out_len == c->extra->out_pos) {
		while (len > 0 && (n = put(c, at, len)) > 0) {
			at += n;
			len -= (size_t)n;
		}
		if (n < 0 && n != -EAGAIN && n != -EINTR) {
			load_client_lost(w, c, load_connect_why((int)-n));
			return false;
		}
	}
	return len == 0 || keep(w, c, at, len);
}

bool load_client_send_frame(struct load_worker *w, struct load_client *c, uint8_t opcode,
	const void *payload, size_t len)
{
	unsigned char small[14 + 1024], *frame = small;
	uint32_t mask = (uint32_t)rc_prng_next(&w->prng);
	size_t head;
	bool sent;

	if (len > sizeof(small) - 14 && !(frame = malloc(14 + len))) {
		load_client_lost(w, c, "out of memory: say fewer clients");
		return false;
	}
	head = rc_ws_masked_header(frame, opcode, true, len, mask);
	if (len > 0)
		memcpy(frame + head, payload, len);
	rc_ws_mask(frame + head, len, mask, 0);
	sent = load_client_send(w, c, frame, head + len);
	if (frame != small)
		free(frame);
	return sent;
}

void load_client_writable(struct load_worker *w, struct load_client *c)
{
	struct load_extra *x = c->extra;

	c->flags &= (uint8_t)~LOAD_AWAITED;
	if (c->state == LOAD_CONNECTING) {
		load_client_connected(w, c);
		return;
	}
	if (c->state == LOAD_HANDSHAKE) {
		load_client_handshake(w, c);
		return;
	}
	while (x && x->out_pos < x->out_len) {
		ssize_t n = put(c, x->out + x->out_pos, x->out_len - x->out_pos);

		if (n == -EAGAIN || n == -EINTR) {
			c->flags |= LOAD_AWAITED;
			load_ring_await(&w->ring, c->fd, POLLOUT,
				load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
			return;
		}
		if (n <= 0) {
			load_client_lost(w, c, load_connect_why(n < 0 ? (int)-n : EPIPE));
			return;
		}
		x->out_pos += (uint32_t)n;
	}
	if (x)
		x->out_pos = x->out_len = 0;
	load_client_spare(w, c);
}
