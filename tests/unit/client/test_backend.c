/* SPDX-License-Identifier: Apache-2.0
 *
 * libringcast as a backend against a scripted gateway: types, commands, replies, and what becomes of them when a connection ends.
 */
#include "scripted_gateway.h"

#include <stdatomic.h>

/* ---- what scripts are made of ------------------------------------------------------------------ */

static struct rc_ingest_register gateway_register(struct gateway *g)
{
	struct rc_ingest_frame frame = gateway_expect(g, RINGCAST_FRAME_REGISTER);
	struct rc_ingest_register said;

	expect(g, rc_ingest_register_parse(frame.body, &said) == 0);
	return said;
}

/* The next of its entries is this one. */
static void gateway_entry(struct gateway *g, struct rc_ingest_register *said, const char *type,
	unsigned mode, unsigned flags, const char *field)
{
	struct rc_ingest_entry entry;

	expect(g, rc_ingest_register_next(&said->list, &entry));
	expect(g, rc_str_eq(entry.type, rc_str_of(type)) && entry.mode == mode);
	expect(g, rc_str_eq(entry.field, rc_str_of(field)) && entry.flags == flags);
}

static void gateway_registered(struct gateway *g, const struct rc_ingest_register *said)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_registered answer = {said->credit, 30000, said->count};

	gateway_send(g, out, rc_ingest_registered_encode(out, sizeof(out), &answer));
}

/* Greets and takes what is registered. */
static void gateway_backend(struct gateway *g)
{
	struct rc_ingest_register said;

	gateway_greet(g, 0, 100);
	said = gateway_register(g);
	gateway_registered(g, &said);
}

static void gateway_command(struct gateway *g, uint64_t id, const char *type, unsigned flags)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_command c = {.id = id,
		.deadline_ms = 30000,
		.session = RC_STR("c123"),
		.user = RC_STR("anna"),
		.type = rc_str_of(type),
		.message = RC_STR("m1"),
		.payload = RC_STR("{\"n\":7}")};

	gateway_send(g, out, rc_ingest_command_encode(out, sizeof(out), (uint8_t)flags, &c));
}

static void gateway_reply(struct gateway *g, uint64_t id, const char *code, const char *payload)
{
	struct rc_ingest_frame frame = gateway_expect(g, RINGCAST_FRAME_REPLY);
	struct rc_ingest_reply reply;

	expect(g, rc_ingest_reply_parse(frame.body, &reply) == 0);
	expect(g, reply.id == id && rc_str_eq(reply.code, rc_str_of(code)));
	expect(g, rc_str_eq(reply.payload, rc_str_of(payload)));
	expect(g, frame.flags == (*code ? 0 : RINGCAST_FLAG_JSON));
}

/* ---- the backend's side ------------------------------------------------------------------------ */

struct desk {
	struct seen seen; /* first: it is the callbacks' user */
	unsigned registered, types;
	uint32_t credit, timeout_ms;
	unsigned commands;
	struct ringcast_caller callers[8];
	int rc;
};

static void on_registered(void *user, unsigned int types, uint32_t credit, uint32_t timeout_ms)
{
	struct desk *d = user;

	d->registered++;
	d->types = types;
	d->credit = credit;
	d->timeout_ms = timeout_ms;
}

static struct ringcast *desk_opened(const struct gateway *g, struct desk *d)
{
	struct ringcast_options o = options_for(g, &d->seen);

	*d = (struct desk){0};
	o.registered = on_registered;
	return opened(&o);
}

static void keep(struct ringcast *r, const struct ringcast_command *c)
{
	struct desk *d = c->user_data;

	(void)r;
	d->callers[d->commands++ % 8] = c->caller;
}

static void echo(struct ringcast *r, const struct ringcast_command *c)
{
	struct desk *d = c->user_data;

	assert_string_equal(c->session, "c123");
	assert_string_equal(c->user, "anna");
	assert_string_equal(c->id, "m1");
	assert_int_equal(c->deadline_ms, 30000);
	d->commands++;
	assert_int_equal(ringcast_reply(r, c->caller, c->data, c->len, c->flags & RINGCAST_JSON),
		RINGCAST_OK);
}

static void until_commands(struct ringcast *r, const struct desk *d, unsigned count)
{
	while (d->commands < count)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
}

static void until_registered(struct ringcast *r, const struct desk *d, unsigned count)
{
	while (d->registered < count)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
}

static void ended(struct ringcast *r, struct gateway *g)
{
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- types -------------------------------------------------------------------------------------- */

static void two_registers_and_a_flow(struct gateway *g)
{
	struct rc_ingest_register said;
	struct rc_ingest_frame frame;
	uint32_t credit;

	gateway_greet(g, 0, 100);
	said = gateway_register(g);
	expect(g, said.credit == 1024 && said.count == 3);
	gateway_entry(g, &said, "order:place", RINGCAST_MODE_FIELD, RINGCAST_ENTRY_IDEMPOTENT,
		"customer");
	gateway_entry(g, &said, "command", RINGCAST_MODE_USER, 0, "");
	gateway_entry(g, &said, "$connect", RINGCAST_MODE_ROUND_ROBIN, 0, "");
	gateway_registered(g, &said);
	frame = gateway_expect(g, RINGCAST_FRAME_FLOW);
	expect(g, rc_ingest_flow_parse(frame.body, &credit) == 0 && credit == 5);
	said = gateway_register(g);
	expect(g, said.credit == 5 && said.count == 2);
	gateway_entry(g, &said, "$connect", RINGCAST_MODE_ROUND_ROBIN, 0, "");
	gateway_entry(g, &said, "command", RINGCAST_MODE_ROUND_ROBIN, 0, "");
	gateway_registered(g, &said);
	said = gateway_register(g);
	expect(g, said.count == 0);
	gateway_registered(g, &said);
	gateway_until_gone(g);
}

static void types_are_said_together_and_again_when_they_change(void **state)
{
	struct gateway *g = gateway_start(two_registers_and_a_flow);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);

	(void)state;
	assert_int_equal(ringcast_on(r, "order:place", RINGCAST_IDEMPOTENT, "customer", keep, &d),
		RINGCAST_OK);
	assert_int_equal(ringcast_on(r, "command", RINGCAST_BY_USER, NULL, keep, &d), RINGCAST_OK);
	assert_int_equal(ringcast_on(r, "$connect", 0, NULL, keep, &d), RINGCAST_OK);
	until_registered(r, &d, 1);
	assert_int_equal(d.types, 3);
	assert_int_equal(d.credit, 1024);
	assert_int_equal(d.timeout_ms, 30000);
	assert_int_equal(ringcast_set_credit(r, 5), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_on(r, "command", 0, NULL, keep, &d), RINGCAST_OK);
	assert_int_equal(ringcast_off(r, "order:place"), RINGCAST_OK);
	until_registered(r, &d, 2);
	assert_int_equal(d.types, 2);
	assert_int_equal(ringcast_off(r, NULL), RINGCAST_OK);
	until_registered(r, &d, 3);
	assert_int_equal(d.types, 0);
	ended(r, g);
}

static void what_can_not_be_a_type_is_refused(void **state)
{
	struct gateway *g = gateway_start(gateway_accept);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);
	char name[RINGCAST_TYPE_MAX + 2];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(ringcast_on(r, name, 0, NULL, keep, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_on(r, name + 1, 0, name, keep, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_on(r, "", 0, NULL, keep, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_on(r, NULL, 0, NULL, keep, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_on(r, "a", 0, NULL, NULL, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_on(r, "a", 4, NULL, keep, &d), RINGCAST_INVALID);
	assert_int_equal(
		ringcast_on(r, "a", RINGCAST_BY_USER, "field", keep, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_off(r, "a"), RINGCAST_INVALID);
	for (int i = 0; i < RINGCAST_TYPES_MAX; i++) {
		snprintf(name, sizeof(name), "type:%d", i);
		assert_int_equal(ringcast_on(r, name, 0, NULL, keep, &d), RINGCAST_OK);
	}
	assert_int_equal(ringcast_on(r, "one:more", 0, NULL, keep, &d), RINGCAST_INVALID);
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- commands and replies ----------------------------------------------------------------------- */

static void three_commands(struct gateway *g)
{
	gateway_backend(g);
	gateway_command(g, 7, "chat:send", RINGCAST_FLAG_JSON);
	gateway_command(g, 8, "other", RINGCAST_FLAG_JSON | RINGCAST_FLAG_AGAIN);
	gateway_command(g, 9, "chat:send", RINGCAST_FLAG_JSON);
	gateway_reply(g, 7, "", "{\"n\":7}");
	gateway_reply(g, 8, "no_backend", "this backend does not take that type any more");
	gateway_reply(g, 9, "", "{\"n\":7}");
	gateway_until_gone(g);
}

static void command_is_answered_inside_its_callback(void **state)
{
	struct gateway *g = gateway_start(three_commands);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);

	(void)state;
	ringcast_on(r, "chat:send", 0, NULL, echo, &d);
	until_commands(r, &d, 2);
	ended(r, g);
}

static void anything(struct ringcast *r, const struct ringcast_command *c)
{
	struct desk *d = c->user_data;

	d->commands++;
	if (strcmp(c->type, "other") == 0) {
		assert_int_equal(c->flags, RINGCAST_JSON | RINGCAST_REDELIVERED);
		assert_int_equal(
			ringcast_reply_error(r, c->caller, "no_such_thing", "what?"), RINGCAST_OK);
	} else {
		/* Nobody waits for an answer to what a client did. */
		assert_string_equal(c->type, "$lost");
		assert_int_equal(ringcast_reply(r, c->caller, NULL, 0, 0), RINGCAST_GONE);
	}
}

static void one_of_a_type_that_nobody_registered(struct gateway *g)
{
	struct rc_ingest_register said;

	gateway_greet(g, 0, 100);
	said = gateway_register(g);
	expect(g, said.count == 2);
	gateway_registered(g, &said);
	gateway_command(g, 0, "$connect", RINGCAST_FLAG_JSON);
	gateway_command(g, 0, "$lost", RINGCAST_FLAG_JSON);
	gateway_command(g, 4, "other", RINGCAST_FLAG_JSON | RINGCAST_FLAG_AGAIN);
	gateway_reply(g, 4, "no_such_thing", "what?");
	gateway_until_gone(g);
}

static void star_takes_what_no_type_names_but_no_events(void **state)
{
	struct gateway *g = gateway_start(one_of_a_type_that_nobody_registered);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);

	(void)state;
	ringcast_on(r, "$lost", 0, NULL, anything, &d);
	ringcast_on(r, "chat:send", 0, NULL, echo, &d);
	ringcast_on(r, "*", 0, NULL, anything, &d);
	until_commands(r, &d, 2);
	ended(r, g);
}

static void answered_in_the_other_order(struct gateway *g)
{
	gateway_backend(g);
	gateway_command(g, 1, "slow", 0);
	gateway_command(g, 2, "slow", 0);
	gateway_reply(g, 2, "", "null");
	gateway_reply(g, 1, "failed", "");
	gateway_until_gone(g);
}

static void command_is_answered_later_from_a_copy_of_its_caller(void **state)
{
	struct gateway *g = gateway_start(answered_in_the_other_order);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);

	(void)state;
	ringcast_on(r, "slow", 0, NULL, keep, &d);
	until_commands(r, &d, 2);
	assert_int_equal(ringcast_reply(r, d.callers[1], NULL, 0, 0), RINGCAST_OK);
	assert_int_equal(ringcast_reply_error(r, d.callers[0], "Failed", NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_reply_error(r, d.callers[0], "", NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_reply_error(r, d.callers[0], NULL, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_reply(r, d.callers[0], NULL, 5, 0), RINGCAST_INVALID);
	assert_int_equal(
		ringcast_reply(r, d.callers[0], "x", 1, RINGCAST_DURABLE), RINGCAST_INVALID);
	assert_int_equal(
		ringcast_reply(r, d.callers[0], &d, (size_t)1 << 20, 0), RINGCAST_TOO_LARGE);
	assert_int_equal(ringcast_reply_error(r, d.callers[0], "failed", NULL), RINGCAST_OK);
	ended(r, g);
}

static void hang_up_with_a_command_outstanding(struct gateway *g)
{
	gateway_backend(g);
	gateway_command(g, 1, "slow", 0);
	/* It is in the backend's hands. */
	gateway_nothing_but_pong(g, 1);
	gateway_backend(g);
	gateway_command(g, 1, "slow", RINGCAST_FLAG_AGAIN);
	gateway_reply(g, 1, "", "2");
	gateway_until_gone(g);
}

static void reply_to_a_command_of_an_earlier_connection_is_gone(void **state)
{
	struct gateway *g = gateway_start(hang_up_with_a_command_outstanding);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);

	(void)state;
	ringcast_on(r, "slow", RINGCAST_IDEMPOTENT, NULL, keep, &d);
	until_commands(r, &d, 1);
	until_registered(r, &d, 2);
	until_commands(r, &d, 2);
	/* The gateway counts anew, so the numbers are the same. */
	assert_int_equal(d.callers[0].command, d.callers[1].command);
	assert_int_equal(ringcast_reply(r, d.callers[0], "1", 1, RINGCAST_JSON), RINGCAST_GONE);
	assert_int_equal(ringcast_reply(r, d.callers[1], "2", 1, RINGCAST_JSON), RINGCAST_OK);
	ended(r, g);
}

static void off_goes_itself(struct ringcast *r, const struct ringcast_command *c)
{
	struct desk *d = c->user_data;
	uint64_t sequence;

	d->commands++;
	assert_int_equal(ringcast_off(r, "once"), RINGCAST_OK);
	assert_int_equal(
		ringcast_publish(r, "log", "once", c->data, c->len, RINGCAST_JSON, &sequence),
		RINGCAST_OK);
	assert_int_equal(ringcast_reply(r, c->caller, "1", 1, RINGCAST_JSON), RINGCAST_OK);
	assert_int_equal(ringcast_poll(r, 0), RINGCAST_MISUSE);
}

static void once(struct gateway *g)
{
	struct rc_ingest_register said;

	gateway_backend(g);
	gateway_command(g, 1, "once", RINGCAST_FLAG_JSON);
	/* What is not kept goes first. */
	gateway_reply(g, 1, "", "1");
	said = gateway_register(g);
	expect(g, said.count == 0);
	gateway_publish(g, 1);
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void callback_may_publish_and_take_its_own_type_away(void **state)
{
	struct gateway *g = gateway_start(once);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);

	(void)state;
	ringcast_on(r, "once", 0, NULL, off_goes_itself, &d);
	until_commands(r, &d, 1);
	ended(r, g);
}

/* ---- a gateway that does not read ---------------------------------------------------------------- */

#define MANY       2000
#define REPLY_SIZE 16384

static atomic_bool
	may_read; /* pairs with itself: the test's thread releases, the script acquires */

static void commands_and_no_reading(struct gateway *g)
{
	gateway_backend(g);
	for (uint64_t id = 1; id <= MANY; id++)
		gateway_command(g, id, "big", 0);
	while (!atomic_load_explicit(&may_read, memory_order_acquire))
		sched_yield();
	for (uint64_t id = 1; id <= MANY; id++) {
		struct rc_ingest_frame frame = gateway_expect(g, RINGCAST_FRAME_REPLY);
		struct rc_ingest_reply reply;
		expect(g, rc_ingest_reply_parse(frame.body, &reply) == 0 && reply.id == id);
		expect(g, reply.payload.len == REPLY_SIZE);
	}
	gateway_until_gone(g);
}

static void big(struct ringcast *r, const struct ringcast_command *c)
{
	static const char payload[REPLY_SIZE];
	struct desk *d = c->user_data;

	d->commands++;
	/* There is always room for the command in hand. */
	assert_int_equal(ringcast_reply(r, c->caller, payload, sizeof(payload), 0), RINGCAST_OK);
}

static void commands_wait_while_replies_have_no_room(void **state)
{
	struct gateway *g = gateway_start(commands_and_no_reading);
	struct desk d = {0};
	struct ringcast_options o = options_for(g, &d.seen);
	struct ringcast *r;
	unsigned before;

	(void)state;
	atomic_store_explicit(&may_read, false, memory_order_relaxed);
	o.reply_bytes = 65536;
	o.receive_bytes = 16384;
	r = opened(&o);
	ringcast_on(r, "big", 0, NULL, big, &d);
	do {
		struct pollfd p;
		before = d.commands;
		assert_int_equal(ringcast_poll(r, 0), RINGCAST_OK);
		p = (struct pollfd){.fd = ringcast_fd(r), .events = POLLOUT};
		if (d.commands != 0 && d.commands == before && poll(&p, 1, 0) == 0)
			break;
	} while (d.commands < MANY);
	assert_in_range(d.commands, 1, MANY - 1);
	/* Nothing to be done but to wait for the socket. */
	while (ringcast_want(r) & RINGCAST_WANT_READ)
		assert_int_equal(ringcast_poll(r, 0), RINGCAST_OK);
	assert_int_equal(ringcast_want(r), RINGCAST_WANT_WRITE);
	assert_int_not_equal(ringcast_timeout(r), 0);
	atomic_store_explicit(&may_read, true, memory_order_release);
	until_commands(r, &d, MANY);
	ended(r, g);
}

/* ---- silence ------------------------------------------------------------------------------------ */

static void answer_one_ping(struct gateway *g)
{
	struct rc_ingest_frame frame;
	unsigned char out[RC_INGEST_ANSWER_MAX];
	uint64_t token;

	gateway_backend(g);
	frame = gateway_expect(g, RINGCAST_FRAME_PING);
	expect(g, rc_ingest_ping_parse(frame.body, &token) == 0);
	gateway_send(g, out, rc_ingest_pong_encode(out, sizeof(out), token));
	gateway_expect(g, RINGCAST_FRAME_PING);
	expect(g, !gateway_frame(g, &frame));
	gateway_backend(g);
	gateway_until_gone(g);
}

static void gateway_that_is_silent_is_asked_and_then_left(void **state)
{
	struct gateway *g = gateway_start(answer_one_ping);
	struct desk d = {0};
	struct ringcast_options o = options_for(g, &d.seen);
	struct ringcast *r;

	(void)state;
	o.registered = on_registered;
	o.ack_timeout_ms = 30;
	r = opened(&o);
	ringcast_on(r, "slow", 0, NULL, keep, &d);
	until_registered(r, &d, 2);
	assert_string_equal(ringcast_last_error(r), "the gateway is silent");
	ended(r, g);
}

static void no_ping(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void publisher_asks_nobody(void **state)
{
	struct gateway *g = gateway_start(no_ping);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	published(r, "1");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_timeout(r), -1);
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- channels of others ------------------------------------------------------------------------- */

static void on_and_off(struct gateway *g)
{
	static const char on[] = "\6chat:1\6chat:2", off[] = "\6chat:1";
	struct rc_ingest_frame frame;
	struct rc_ingest_assign a;

	gateway_greet(g, 0, 100);
	frame = gateway_expect(g, RINGCAST_FRAME_ASSIGN);
	expect(g, rc_ingest_assign_parse(frame.body, &a) == 0);
	expect(g, a.sequence == 1 && a.on && a.count == 2);
	expect(g, rc_str_eq(a.session, RC_STR("c123")));
	expect(g, rc_str_eq(a.names, rc_str_of(on)));
	frame = gateway_expect(g, RINGCAST_FRAME_ASSIGN);
	expect(g, rc_ingest_assign_parse(frame.body, &a) == 0);
	expect(g, a.sequence == 2 && !a.on && rc_str_eq(a.names, rc_str_of(off)));
	gateway_ack(g, 1);
	gateway_nack(g, 2, RINGCAST_NACK_BAD_CHANNEL, "no");
	gateway_until_gone(g);
}

static void client_is_put_into_channels(void **state)
{
	static const char *const channels[] = {"chat:1", "chat:2"}, *const empty[] = {""};
	struct gateway *g = gateway_start(on_and_off);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);
	uint64_t sequence;

	(void)state;
	assert_int_equal(ringcast_assign(r, "c123", channels, 2, 0, &sequence), RINGCAST_OK);
	assert_int_equal(sequence, 1);
	assert_int_equal(ringcast_unassign(r, "c123", channels, 1, 0, &sequence), RINGCAST_OK);
	assert_int_equal(ringcast_assign(r, "c123", channels, 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_assign(r, "c123", NULL, 1, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_assign(r, "c123", empty, 1, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_assign(r, "", channels, 1, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(
		ringcast_assign(r, "c1", channels, 1, RINGCAST_JSON, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.nacks, 1);
	assert_int_equal(seen.nacked[0], 2);
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- a gateway that is none ---------------------------------------------------------------------- */

static void cut_frames(struct gateway *g)
{
	static const unsigned char command[] = {
		8, 0, 0, 0, RINGCAST_FRAME_COMMAND, 0, 0, 0, 1, 2, 3, 4};
	static const unsigned char answer[] = {5, 0, 0, 0, RINGCAST_FRAME_REGISTER, 0, 0, 0, 1};

	gateway_backend(g);
	gateway_send(g, command, sizeof(command));
	gateway_until_gone(g);
	gateway_backend(g);
	gateway_send(g, answer, sizeof(answer));
	gateway_until_gone(g);
	gateway_backend(g);
	gateway_until_gone(g);
}

static void frames_that_can_not_be_read_end_the_connection(void **state)
{
	struct gateway *g = gateway_start(cut_frames);
	struct desk d;
	struct ringcast *r = desk_opened(g, &d);

	(void)state;
	ringcast_on(r, "slow", 0, NULL, keep, &d);
	until_registered(r, &d, 3);
	assert_string_equal(ringcast_last_error(r), "the gateway sent a frame that can't be read");
	assert_int_equal(d.commands, 0);
	ended(r, g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_said_together_and_again_when_they_change),
		cmocka_unit_test(what_can_not_be_a_type_is_refused),
		cmocka_unit_test(command_is_answered_inside_its_callback),
		cmocka_unit_test(star_takes_what_no_type_names_but_no_events),
		cmocka_unit_test(command_is_answered_later_from_a_copy_of_its_caller),
		cmocka_unit_test(reply_to_a_command_of_an_earlier_connection_is_gone),
		cmocka_unit_test(callback_may_publish_and_take_its_own_type_away),
		cmocka_unit_test(commands_wait_while_replies_have_no_room),
		cmocka_unit_test(gateway_that_is_silent_is_asked_and_then_left),
		cmocka_unit_test(publisher_asks_nobody),
		cmocka_unit_test(client_is_put_into_channels),
		cmocka_unit_test(frames_that_can_not_be_read_end_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
