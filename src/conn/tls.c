/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/tls.h"

#include "io/ktls.h"
#include "io/socket.h"

#define SMALL_RECORD \
	4096u /* for who takes little at a time: less to keep of a record that was cut */
#define SMALL_SEND     32768u
#define RECENTLY_TICKS (1000u / RC_CONN_TICK_MS)
#define EMPTY_MAX      32u /* records without data that a peer may be ahead of those with some */
#define TLS13_BIT      0x80000000u

static struct rc_conn_tls *tls_of(const struct rc_conns *cs, const struct rc_conn *c)
{
	return &cs->tls->at[rc_conn_slot(cs, c)];
}

/* ---- begin and end ------------------------------------------------------------------------------ */

static size_t records_at(uint32_t count_max)
{
	return rc_align_up(sizeof(struct rc_conn_tls_shared), RC_CACHE_LINE) +
	       (size_t)count_max * sizeof(struct rc_conn_tls);
}

size_t rc_conn_tls_bytes(uint32_t count_max)
{
	return records_at(count_max) + (size_t)count_max * sizeof(uint32_t);
}

int rc_conn_tls_init(struct rc_conns *cs, void *memory, unsigned char *sealed, uint32_t sealed_size,
	uint32_t renew_records)
{
	unsigned char *base = memory;
	struct rc_conn_tls_shared *t = memory;

	t->engine = rc_tls_engine_open();
	if (!t->engine)
		return -1;
	t->at = (struct rc_conn_tls *)(void *)(base + rc_align_up(sizeof(*t), RC_CACHE_LINE));
	t->records = (uint32_t *)(void *)(base + records_at(cs->count_max));
	t->sealed = sealed;
	t->sealed_size = sealed_size;
	t->renew_records = renew_records;
	cs->tls = t;
	return 0;
}

void rc_conn_tls_close(struct rc_conns *cs)
{
	if (cs->tls)
		rc_tls_engine_close(cs->tls->engine);
	cs->tls = NULL;
}

void rc_conn_tls_begin(struct rc_conns *cs, struct rc_conn *c, const struct rc_tls_keys *keys)
{
	struct rc_conn_tls *t = tls_of(cs, c);

	memset(t, 0, sizeof(*t));
	t->keys = *keys;
	c->flags |= RC_CONN_TLS;
	rc_gauge_add(cs->counters, RC_C_tls_user, 1);
}

/* A number in the last 8 bytes of an IV, moved on. */
static void advance_nonce(uint8_t iv[RC_TLS_IV], uint64_t by)
{
	for (int i = RC_TLS_IV - 1; i >= RC_TLS_IV - 8; i--) {
		by += iv[i];
		iv[i] = (uint8_t)by;
		by >>= 8;
	}
}

/* What the kernel wants to know: in 1.2 with AES-GCM the explicit nonce of the next record. */
static struct rc_ktls_key kernel_key(
	const struct rc_tls_keys *k, const struct rc_tls_direction *d, uint8_t iv[RC_TLS_IV])
{
	memcpy(iv, d->iv, RC_TLS_IV);
	if (k->version == RC_TLS_1_2 && k->cipher != RC_TLS_CHACHA20_POLY1305)
		advance_nonce(iv, d->sequence);
	return (struct rc_ktls_key){
		.tls13 = k->version == RC_TLS_1_3,
		.cipher = (enum rc_ktls_cipher)k->cipher,
		.key = d->key,
		.iv = iv,
		.sequence = d->sequence,
	};
}
_Static_assert((int)RC_KTLS_CHACHA20_POLY1305 == (int)RC_TLS_CHACHA20_POLY1305 &&
		       (int)RC_KTLS_AES_256_GCM == (int)RC_TLS_AES_256_GCM,
	"the same ciphers in the same order");

bool rc_conn_ktls_begin(struct rc_conns *cs, struct rc_conn *c, const struct rc_tls_keys *keys)
{
	uint8_t send_iv[RC_TLS_IV], receive_iv[RC_TLS_IV];
	struct rc_ktls_key send = kernel_key(keys, &keys->send, send_iv);
	struct rc_ktls_key receive = kernel_key(keys, &keys->receive, receive_iv);

	if (rc_ktls_engage(c->fd, &send, &receive) < 0)
		return false;
	cs->tls->records[rc_conn_slot(cs, c)] = send.tls13 ? TLS13_BIT : 0;
	c->flags |= RC_CONN_KTLS;
	rc_gauge_add(cs->counters, RC_C_tls_kernel, 1);
	return true;
}

enum rc_tls_version rc_conn_ktls_version(const struct rc_conns *cs, const struct rc_conn *c)
{
	return cs->tls->records[rc_conn_slot(cs, c)] & TLS13_BIT ? RC_TLS_1_3 : RC_TLS_1_2;
}

void rc_conn_ktls_clear_error(const struct rc_conn *c)
{
	rc_ktls_clear_error(c->fd);
}

int rc_conn_ktls_take(const struct rc_conn *c, uint8_t *type, void *bytes, size_t size)
{
	return rc_ktls_take_record(c->fd, type, bytes, size);
}

static void free_rest(struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t)
{
	rc_pool_put(cs->pool, t->rest, t->rest_size);
	t->rest = NULL;
	t->rest_head = t->rest_len = t->rest_size = 0;
	c->flags &= (uint16_t)~RC_CONN_REST;
}

static void free_part(struct rc_conns *cs, struct rc_conn_tls *t)
{
	rc_pool_put(cs->pool, t->part, t->part_size);
	t->part = NULL;
	t->part_len = t->part_size = 0;
}

void rc_conn_tls_free(struct rc_conns *cs, struct rc_conn *c)
{
	if (c->flags & RC_CONN_KTLS) {
		rc_gauge_add(cs->counters, RC_C_tls_kernel, -1);
	} else {
		struct rc_conn_tls *t = tls_of(cs, c);
		free_rest(cs, c, t);
		free_part(cs, t);
		rc_tls_keys_wipe(&t->keys);
		rc_gauge_add(cs->counters, RC_C_tls_user, -1);
	}
	c->flags &= (uint16_t) ~(RC_CONN_TLS | RC_CONN_KTLS);
}

/* ---- sending ------------------------------------------------------------------------------------ */

/* Ciphertext that goes before all that is sealed later. */
static bool queue(struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t, const void *bytes,
	uint32_t len)
{
	uint32_t need = t->rest_len + len;

	if (t->rest_head + need > t->rest_size) {
		size_t want = rc_pool_size(need);
		unsigned char *fresh = rc_pool_get(cs->pool, want);
		if (!fresh)
			return false;
		if (t->rest_len)
			memcpy(fresh, t->rest + t->rest_head, t->rest_len);
		rc_pool_put(cs->pool, t->rest, t->rest_size);
		t->rest = fresh;
		t->rest_size = (uint32_t)want;
		t->rest_head = 0;
	}
	memcpy(t->rest + t->rest_head + t->rest_len, bytes, len);
	t->rest_len = need;
	c->flags |= RC_CONN_REST;
	return true;
}

/* Our own next keys, announced with the last record of the old ones. */
static void update(struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t)
{
	static const unsigned char message[5] = {24, 0, 0, 1, 0};
	unsigned char record[sizeof(message) + RC_TLS_OVERHEAD_MAX];
	struct rc_tls_keys before = t->keys;
	size_t len = rc_tls_seal(cs->tls->engine, &t->keys, RC_TLS_HANDSHAKE, message,
		sizeof(message), RC_TLS_PLAIN_MAX, record);

	t->owes_update = false;
	if (len == 0 || !queue(cs, c, t, record, (uint32_t)len)) {
		t->keys.send = before.send;
		t->owes_update = true; /* at the next opportunity */
	} else if (rc_tls_keys_next(&t->keys, &t->keys.send) < 0) {
		rc_socket_shutdown(c->fd);
	} else {
		rc_count(cs->counters, RC_C_tls_key_updates, 1);
		rc_conn_ready(cs, c);
	}
	rc_tls_keys_wipe(&before);
}

static void owe_update(struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t)
{
	/* One for all that are owed while nothing can be sent: a peer that asks and does not read costs nothing. */
	t->owes_update = true;
	if (!(c->flags & (RC_CONN_SENDING | RC_CONN_REST)))
		update(cs, c, t);
}

static void seal(struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t, const void *bytes,
	uint32_t len)
{
	struct rc_conn_tls_shared *shared = cs->tls;
	bool small = c->blocked_tick && cs->tick - c->blocked_tick < RECENTLY_TICKS;
	unsigned char *out = shared->sealed + shared->sealed_used;

	RC_ASSERT(!(c->flags & RC_CONN_REST) && rc_conn_tls_room(cs, 0));
	c->send_len = RC_MIN(len, small ? SMALL_SEND : RC_CONN_SEAL_MAX);
	t->record_max = (uint16_t)(small ? SMALL_RECORD : RC_TLS_PLAIN_MAX);
	t->sealed_at = shared->sealed_used;
	t->sealed_len = (uint32_t)rc_tls_seal(
		shared->engine, &t->keys, RC_TLS_DATA, bytes, c->send_len, t->record_max, out);
	shared->sealed_used += t->sealed_len;
	if (t->sealed_len)
		rc_conn_hand_over(cs, c, out, t->sealed_len);
	else
		rc_socket_shutdown(
			c->fd); /* it can't go on; its receive tells those who must know */
}

void rc_conn_tls_send(struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len)
{
	if (c->flags & RC_CONN_TLS) {
		seal(cs, c, tls_of(cs, c), bytes, len);
		return;
	}
	uint32_t *records = &cs->tls->records[rc_conn_slot(cs, c)];
	*records += 1 + len / RC_TLS_PLAIN_MAX;
	if ((*records & ~TLS13_BIT) >= cs->tls->renew_records)
		c->flags |= RC_CONN_SPENT;
	rc_conn_hand_over(cs, c, bytes, len);
}

void rc_conn_send_rest(struct rc_conns *cs, struct rc_conn *c)
{
	struct rc_conn_tls *t = tls_of(cs, c);

	RC_ASSERT(t->rest_len && !(c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED)));
	t->sealed_len = 0;
	c->send_kind = RC_SEND_NONE;
	c->send_len = 0;
	rc_conn_hand_over(cs, c, t->rest + t->rest_head, t->rest_len);
}

/* Which records left, which did not begin to, and the rest of the one between. */
static int64_t settle(struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t, uint32_t n)
{
	uint32_t record = t->record_max + rc_tls_overhead(&t->keys);
	uint32_t made = (c->send_len + t->record_max - 1) / t->record_max;
	uint32_t gone = n / record;
	uint32_t cut = n % record;

	if (cut) {
		uint32_t end = RC_MIN((gone + 1) * record, t->sealed_len);
		if (!queue(cs, c, t, cs->tls->sealed + t->sealed_at + n, end - n))
			return -1;
		gone++;
	}
	t->keys.send.sequence -= made - gone;
	return RC_MIN(gone * t->record_max, c->send_len);
}

int64_t rc_conn_tls_sent(struct rc_conns *cs, struct rc_conn *c, uint32_t n)
{
	struct rc_conn_tls *t = tls_of(cs, c);
	int64_t plain = c->send_len;
	bool blocked = false;

	if (t->sealed_len == 0) {
		t->rest_head += n;
		t->rest_len -= n;
		blocked = t->rest_len > 0;
		if (!blocked)
			free_rest(cs, c, t);
		plain = 0;
	} else if (n < t->sealed_len) {
		blocked = true;
		plain = settle(cs, c, t, n);
	}
	if (t->keys.send.sequence >= cs->tls->renew_records) {
		if (t->keys.version == RC_TLS_1_3)
			t->owes_update = true;
		else
			c->flags |= RC_CONN_SPENT;
	}
	if (t->owes_update && plain >= 0 && !(c->flags & RC_CONN_REST))
		update(cs, c, t);
	return plain >= 0 && blocked ? plain | RC_SENT_BLOCKED : plain;
}

/* A last word. Where something is still on its way it could not keep the order, and the peer sees the end without it. */
static void alert(struct rc_conns *cs, struct rc_conn *c, uint8_t level, uint8_t description)
{
	unsigned char message[2] = {level, description};
	unsigned char record[sizeof(message) + RC_TLS_OVERHEAD_MAX];

	if (c->flags & RC_CONN_KTLS) {
		(void)rc_ktls_send_record(c->fd, RC_TLS_ALERT, message, sizeof(message));
	} else if (!(c->flags & (RC_CONN_SENDING | RC_CONN_REST))) {
		size_t len = rc_tls_seal(cs->tls->engine, &tls_of(cs, c)->keys, RC_TLS_ALERT,
			message, sizeof(message), RC_TLS_PLAIN_MAX, record);
		if (len)
			rc_socket_send_now(c->fd, record, len);
	}
}

void rc_conn_tls_notify(struct rc_conns *cs, struct rc_conn *c)
{
	alert(cs, c, 1, RC_TLS_ALERT_CLOSE_NOTIFY);
}

void rc_conn_tls_refuse(struct rc_conns *cs, struct rc_conn *c, int32_t description)
{
	alert(cs, c, 2, (uint8_t)description);
}

/* ---- receiving ---------------------------------------------------------------------------------- */

static enum rc_conn_opened bad(struct rc_conns *cs, struct rc_conn *c, int32_t description)
{
	rc_conn_tls_refuse(cs, c, description);
	return RC_OPENED_BAD;
}

/* Moves bytes of the input behind those of a record that is not complete, up to `need` of it. The block grows with what came,
 * not with what the header promises: five bytes must not hold the room of a whole record. False: no memory. */
static bool collect(
	struct rc_conns *cs, struct rc_conn_tls *t, struct rc_conn_input *in, uint32_t need)
{
	uint32_t take = RC_MIN(in->len, need - t->part_len);
	uint32_t room = t->part_len + take;

	if (room > t->part_size) {
		size_t want = rc_pool_size(RC_MAX(room, RC_MIN(need, t->part_size * 2)));
		unsigned char *fresh = rc_pool_get(cs->pool, want);
		if (!fresh)
			return false;
		if (t->part_len)
			memcpy(fresh, t->part, t->part_len);
		rc_pool_put(cs->pool, t->part, t->part_size);
		t->part = fresh;
		t->part_size = (uint32_t)want;
	}
	memcpy(t->part + t->part_len, in->bytes, take);
	t->part_len = room;
	in->bytes += take;
	in->len -= take;
	return true;
}

/* A record without data. New keys cost far more than the few bytes that ask for them, and nobody needs many. */
static enum rc_conn_opened control(struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t,
	const struct rc_tls_opened *record)
{
	if (++t->empty > EMPTY_MAX) {
		rc_count(cs->counters, RC_C_tls_bad_messages, 1);
		return bad(cs, c, RC_TLS_ALERT_UNEXPECTED_MESSAGE);
	}
	if (record->type == RC_TLS_DATA)
		return RC_OPENED_NOTHING;
	int asks = rc_tls_asks(
		(enum rc_tls_version)t->keys.version, record->type, record->data, record->len);
	if (asks < 0) {
		rc_count(cs->counters, RC_C_tls_bad_messages, 1);
		return bad(cs, c, -asks);
	}
	switch ((enum rc_tls_asks)asks) {
	case RC_TLS_ASKS_CLOSE:
	case RC_TLS_ASKS_END:
		c->flags |= RC_CONN_NOTIFIED;
		return RC_OPENED_CLOSED;
	case RC_TLS_ASKS_UPDATE:
	case RC_TLS_ASKS_UPDATE_BOTH:
		if (rc_tls_keys_next(&t->keys, &t->keys.receive) < 0)
			return bad(cs, c, RC_TLS_ALERT_INTERNAL_ERROR);
		rc_count(cs->counters, RC_C_tls_key_updates, 1);
		if (asks == RC_TLS_ASKS_UPDATE_BOTH)
			owe_update(cs, c, t);
		return RC_OPENED_NOTHING;
	case RC_TLS_ASKS_NOTHING:
		break;
	}
	return RC_OPENED_NOTHING;
}

/* A record that came in pieces is opened in its own block. */
static enum rc_conn_opened open_part(
	struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t, struct rc_conn_input *in)
{
	struct rc_tls_opened record;
	uint32_t need = RC_TLS_HEADER;

	for (;;) {
		int32_t used = rc_tls_open(
			cs->tls->engine, &t->keys, t->part, t->part_len, &record, &need);
		if (used < 0) {
			rc_count(cs->counters, RC_C_tls_bad_records, 1);
			return bad(cs, c, -used);
		}
		if (used > 0)
			break;
		if (in->len == 0)
			return RC_OPENED_NOTHING;
		if (!collect(cs, t, in, need)) {
			rc_count(cs->counters, RC_C_arena_refused, 1);
			return bad(cs, c, RC_TLS_ALERT_INTERNAL_ERROR);
		}
	}
	in->block = t->part;
	in->block_size = t->part_size;
	t->part = NULL;
	t->part_len = t->part_size = 0;
	if (record.type != RC_TLS_DATA || record.len == 0)
		return control(cs, c, t, &record);
	if (t->empty)
		t->empty--;
	in->data = record.data;
	in->data_len = record.len;
	return RC_OPENED_DATA;
}

/* All whole records up to one that is no data; their plain bytes move together, so that the protocol sees them as one arrival. */
static enum rc_conn_opened open_many(
	struct rc_conns *cs, struct rc_conn *c, struct rc_conn_tls *t, struct rc_conn_input *in)
{
	struct rc_tls_opened record;
	uint32_t need;

	in->data_len = 0;
	while (in->len) {
		int32_t used =
			rc_tls_open(cs->tls->engine, &t->keys, in->bytes, in->len, &record, &need);
		if (used == 0) {
			if (collect(cs, t, in, need))
				break;
			rc_count(cs->counters, RC_C_arena_refused, 1);
			return bad(cs, c, RC_TLS_ALERT_INTERNAL_ERROR);
		}
		if (used < 0) {
			rc_count(cs->counters, RC_C_tls_bad_records, 1);
			return bad(cs, c, -used);
		}
		in->bytes += used;
		in->len -= (uint32_t)used;
		if (record.type != RC_TLS_DATA || record.len == 0) {
			enum rc_conn_opened what = control(cs, c, t, &record);
			if (what == RC_OPENED_NOTHING)
				continue;
			in->len = 0;
			in->after = what;
			break;
		}
		if (t->empty)
			t->empty--;
		if (in->data_len == 0)
			in->data = record.data;
		else
			memmove(in->data + in->data_len, record.data, record.len);
		in->data_len += record.len;
	}
	return in->data_len ? RC_OPENED_DATA : RC_OPENED_NOTHING;
}

enum rc_conn_opened rc_conn_tls_open(
	struct rc_conns *cs, struct rc_conn *c, struct rc_conn_input *in)
{
	struct rc_conn_tls *t = tls_of(cs, c);
	enum rc_conn_opened what = RC_OPENED_NOTHING;

	rc_conn_tls_opened(cs, in);
	if (in->after)
		return in->after;
	while (in->len && t->part && what == RC_OPENED_NOTHING) {
		what = open_part(cs, c, t, in);
		if (what == RC_OPENED_NOTHING)
			rc_conn_tls_opened(cs, in);
	}
	if (what == RC_OPENED_NOTHING && in->len)
		what = open_many(cs, c, t, in);
	return what == RC_OPENED_NOTHING ? in->after : what;
}

void rc_conn_tls_opened(struct rc_conns *cs, struct rc_conn_input *in)
{
	rc_pool_put(cs->pool, in->block, in->block_size);
	in->block = NULL;
	in->block_size = 0;
}
