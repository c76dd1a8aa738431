/* SPDX-License-Identifier: Apache-2.0
 *
 * libringcast as a reader of channels against a scripted gateway: where it goes on after a connection that broke, and whose event
 * is whose.
 */
#include "scripted_gateway.h"

#include "proto/ingest_cursor.h"

/* ---- what scripts are made of ------------------------------------------------------------------ */

static void gateway_subscribe(
	struct gateway *g, unsigned flags, const char *name, const char *since)
{
	struct rc_ingest_frame frame = gateway_expect(g, RINGCAST_FRAME_SUBSCRIBE);
	struct in in = in_of(frame.body);

	expect(g, frame.flags == flags);
	expect(g, rc_str_eq(take_bytes(&in, take_u8(&in)), rc_str_of(name)));
	expect(g, rc_str_eq(take_bytes(&in, take_u16(&in)), rc_str_of(since)));
	expect(g, all_read(&in) == 0);
}

static void gateway_verdict(
	struct gateway *g, unsigned flags, const char *name, unsigned verdict, const char *text)
{
	unsigned char frame[1024];
	struct out o = out_of(frame, sizeof(frame), RINGCAST_FRAME_SUBSCRIBE, (uint8_t)flags);

	put_str(&o, rc_str_of(name), 1);
	put(&o, verdict, 1);
	put_str(&o, rc_str_of(text), 2);
	gateway_send(g, frame, finish(&o));
}

static void gateway_event(
	struct gateway *g, const char *channel, uint64_t offset, const char *position)
{
	unsigned char frame[1024];
	unsigned flags = RINGCAST_FLAG_JSON | (*position ? RINGCAST_FLAG_POSITION : 0);
	struct out o = out_of(frame, sizeof(frame), RINGCAST_FRAME_EVENT, (uint8_t)flags);

	put(&o, offset, 8);
	put(&o, 1000 + offset, 8);
	put_str(&o, rc_str_of(channel), 1);
	put_str(&o, RC_STR("added"), 1);
	if (*position)
		put_str(&o, rc_str_of(position), 2);
	put_bytes(&o, RC_STR("{}"));
	gateway_send(g, frame, finish(&o));
}

static void gateway_gap(
	struct gateway *g, const char *channel, uint64_t missed, const char *position)
{
	unsigned char frame[1024];
	struct out o = out_of(frame, sizeof(frame), RINGCAST_FRAME_GAP, 0);

	put(&o, RINGCAST_GAP_TRIMMED, 1);
	put(&o, missed, 8);
	put_str(&o, rc_str_of(channel), 1);
	put_str(&o, rc_str_of(position), 1);
	gateway_send(g, frame, finish(&o));
}

static void gateway_position(struct gateway *g, const char *name, const char *position)
{
	unsigned char frame[1024];
	struct out o = out_of(frame, sizeof(frame), RINGCAST_FRAME_POSITION, 0);

	put_str(&o, rc_str_of(name), 1);
	put_str(&o, rc_str_of(position), 2);
	gateway_send(g, frame, finish(&o));
}

/* ---- the reader's side -------------------------------------------------------------------------- */

struct reader {
	struct seen seen; /* first: it is the callbacks' user */
	char told[2048];  /* a word for each callback */
	unsigned words;
};

#define tell(d, ...)                                                                   \
	do {                                                                           \
		struct reader *told_ = (d);                                            \
		size_t len_ = strlen(told_->told);                                     \
		snprintf(told_->told + len_, sizeof(told_->told) - len_, __VA_ARGS__); \
		told_->words++;                                                        \
	} while (0)

static void on_subscribed(void *user, const char *name, int verdict, const char *text)
{
	tell(user, "%s=%d,%s ", name, verdict, text);
}

static void on_gap(void *user, const char *channel, int reason, uint64_t missed)
{
	tell(user, "gap(%s,%d,%llu) ", channel, reason, (unsigned long long)missed);
}

static void on_event(struct ringcast *r, const struct ringcast_event *e)
{
	(void)r;
	assert_string_equal(e->event, "added");
	assert_int_equal(e->timestamp_ms, 1000 + e->offset);
	assert_int_equal(e->flags, RINGCAST_JSON);
	assert_memory_equal(e->data, "{}", 2);
	tell(e->user_data, "%s:%llu,%s ", e->channel, (unsigned long long)e->offset, e->position);
}

static struct ringcast *reader_opened(const struct gateway *g, struct reader *d)
{
	struct ringcast_options o = options_for(g, &d->seen);

	*d = (struct reader){0};
	o.subscribed = on_subscribed;
	o.gap = on_gap;
	return opened(&o);
}

static void until_words(struct ringcast *r, const struct reader *d, unsigned count)
{
	while (d->words < count)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
}

static void ended(struct ringcast *r, struct gateway *g)
{
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- one channel -------------------------------------------------------------------------------- */

static void three_connections(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "news", "beginning");
	gateway_verdict(g, 0, "news", RINGCAST_VERDICT_RECOVERED, "aaaaaaaaab@0");
	gateway_event(g, "news", 1, "");
	gateway_event(g, "news", 2, "");
	gateway_hang_up(g);
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "news", "aaaaaaaaab@2");
	gateway_verdict(g, 0, "news", RINGCAST_VERDICT_EPOCH, "bbbbbbbbbb@7");
	gateway_hang_up(g);
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "news", "bbbbbbbbbb@7");
	gateway_verdict(g, 0, "news", RINGCAST_VERDICT_RECOVERED, "bbbbbbbbbb@7");
	gateway_event(g, "news", 8, "");
	gateway_gap(g, "news", 4, "bbbbbbbbbb@12");
	gateway_hang_up(g);
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "news", "bbbbbbbbbb@12");
	gateway_until_gone(g);
}

static void channel_goes_on_behind_its_last_event(void **state)
{
	struct gateway *g = gateway_start(three_connections);
	struct reader d;
	struct ringcast *r = reader_opened(g, &d);

	(void)state;
	assert_int_equal(ringcast_subscribe(r, "news", "beginning", on_event, &d), RINGCAST_OK);
	until_words(r, &d, 7);
	while (d.seen.ready < 4)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_string_equal(d.told,
		"news=1,aaaaaaaaab@0 news:1,aaaaaaaaab@1 news:2,aaaaaaaaab@2 "
		"news=2,bbbbbbbbbb@7 news=1,bbbbbbbbbb@7 news:8,bbbbbbbbbb@8 gap(news,1,4) ");
	ended(r, g);
}

/* ---- patterns ----------------------------------------------------------------------------------- */

static void a_pattern_and_a_channel_in_it(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "a:1", "");
	gateway_subscribe(g, 0, "a:*", "");
	gateway_subscribe(g, 0, "b:**", "");
	gateway_verdict(g, 0, "a:1", RINGCAST_VERDICT_LIVE, "aaaaaaaaab@4");
	gateway_verdict(g, 0, "a:*", RINGCAST_VERDICT_LIVE, "cccccccccc~5");
	gateway_verdict(g, 0, "b:**", RINGCAST_VERDICT_LIVE, "cccccccccc~5");
	gateway_event(g, "a:1", 5, "");
	gateway_event(g, "a:1", 5, "cccccccccc~6");
	gateway_event(g, "b:x:y", 1, "cccccccccc~7");
	/* Of nobody's, all of these. */
	gateway_event(g, "b", 1, "cccccccccc~8");
	gateway_event(g, "b:", 1, "cccccccccc~8");
	gateway_event(g, "a:1:2", 1, "cccccccccc~8");
	gateway_event(g, "c:1", 1, "");
	gateway_position(g, "a:*", "cccccccccc~9");
	gateway_nothing_but_pong(g, 1);
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "a:1", "aaaaaaaaab@5");
	gateway_subscribe(g, 0, "a:*", "cccccccccc~9");
	gateway_subscribe(g, 0, "b:**", "cccccccccc~7");
	gateway_until_gone(g);
}

static void event_belongs_to_its_channel_or_to_its_pattern(void **state)
{
	struct gateway *g = gateway_start(a_pattern_and_a_channel_in_it);
	struct reader one, all, b;
	struct ringcast *r = reader_opened(g, &one);

	(void)state;
	all = b = (struct reader){0};
	assert_int_equal(ringcast_subscribe(r, "a:1", NULL, on_event, &one), RINGCAST_OK);
	assert_int_equal(ringcast_subscribe(r, "a:*", NULL, on_event, &all), RINGCAST_OK);
	assert_int_equal(ringcast_subscribe(r, "b:**", NULL, on_event, &b), RINGCAST_OK);
	while (one.seen.ready < 2)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_string_equal(one.told, "a:1=0,aaaaaaaaab@4 a:*=0,cccccccccc~5 b:**=0,cccccccccc~5 "
				      "a:1:5,aaaaaaaaab@5 ");
	assert_string_equal(all.told, "a:1:5,cccccccccc~6 ");
	assert_string_equal(b.told, "b:x:y:1,cccccccccc~7 ");
	ended(r, g);
}

/* ---- refused ------------------------------------------------------------------------------------ */

static void refuse_for_ever_and_for_once(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "news", "1768472100000");
	gateway_subscribe(g, 0, "$secret", "");
	gateway_verdict(g, 0, "$secret", RINGCAST_VERDICT_FORBIDDEN, "not yours");
	gateway_verdict(g, 0, "news", RINGCAST_VERDICT_OVER_CAPACITY, "full");
	/* Not subscribed, so not given. */
	gateway_event(g, "news", 1, "");
	gateway_nothing_but_pong(g, 1);
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "news", "1768472100000");
	gateway_verdict(g, 0, "news", RINGCAST_VERDICT_RECOVERED, "aaaaaaaaab@0");
	gateway_until_gone(g);
}

static void refused_is_forgotten_unless_that_is_temporary(void **state)
{
	struct gateway *g = gateway_start(refuse_for_ever_and_for_once);
	struct reader d;
	struct ringcast *r = reader_opened(g, &d);

	(void)state;
	/* In the order of their chains. */
	assert_int_equal(ringcast_subscribe(r, "news", "1768472100000", on_event, &d), RINGCAST_OK);
	assert_int_equal(ringcast_subscribe(r, "$secret", NULL, on_event, &d), RINGCAST_OK);
	until_words(r, &d, 3);
	assert_string_equal(d.told, "$secret=131,not yours news=133,full news=1,aaaaaaaaab@0 ");
	assert_int_equal(ringcast_unsubscribe(r, "$secret"), RINGCAST_INVALID);
	ended(r, g);
}

/* ---- coming and going ---------------------------------------------------------------------------- */

static void off_and_on(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_subscribe(g, 0, "news", "");
	gateway_verdict(g, 0, "news", RINGCAST_VERDICT_LIVE, "aaaaaaaaab@0");
	gateway_subscribe(g, RINGCAST_FLAG_OFF, "news", "");
	gateway_subscribe(g, 0, "news", "beginning");
	/* On its way when it was told. */
	gateway_event(g, "news", 1, "");
	gateway_verdict(g, RINGCAST_FLAG_OFF, "news", RINGCAST_VERDICT_LIVE, "");
	gateway_event(g, "news", 1, "");
	gateway_verdict(g, 0, "news", RINGCAST_VERDICT_RECOVERED, "aaaaaaaaab@0");
	gateway_event(g, "news", 1, "");
	gateway_subscribe(g, RINGCAST_FLAG_OFF, "news", "");
	gateway_nothing_but_pong(g, 1);
	gateway_greet(g, 0, 100);
	gateway_nothing_but_pong(g, 2);
	gateway_greet(g, 0, 100);
	gateway_until_gone(g);
}

static void off_itself(struct ringcast *r, const struct ringcast_event *e)
{
	on_event(r, e);
	assert_int_equal(ringcast_unsubscribe(r, e->channel), RINGCAST_OK);
	assert_int_equal(ringcast_unsubscribe(r, e->channel), RINGCAST_INVALID);
}

static void what_was_on_its_way_to_an_earlier_subscription_is_passed_over(void **state)
{
	struct gateway *g = gateway_start(off_and_on);
	struct reader d;
	struct ringcast *r = reader_opened(g, &d);

	(void)state;
	ringcast_subscribe(r, "news", NULL, on_event, &d);
	until_words(r, &d, 1);
	assert_int_equal(ringcast_unsubscribe(r, "news"), RINGCAST_OK);
	assert_int_equal(ringcast_subscribe(r, "news", "beginning", off_itself, &d), RINGCAST_OK);
	until_words(r, &d, 3);
	while (d.seen.ready < 3)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
	assert_string_equal(d.told, "news=0,aaaaaaaaab@0 news=1,aaaaaaaaab@0 news:1,aaaaaaaaab@1 ");
	ended(r, g);
}

static void what_can_not_be_a_subscription_is_refused(void **state)
{
	struct gateway *g = gateway_start(gateway_accept);
	struct reader d;
	struct ringcast *r = reader_opened(g, &d);
	char name[RINGCAST_CHANNEL_MAX + 2], since[2049];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	memset(since, '1', sizeof(since) - 1);
	since[sizeof(since) - 1] = 0;
	assert_int_equal(ringcast_subscribe(r, name, NULL, on_event, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_subscribe(r, "a", since, on_event, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_subscribe(r, "", NULL, on_event, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_subscribe(r, NULL, NULL, on_event, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_subscribe(r, "a", NULL, NULL, &d), RINGCAST_INVALID);
	assert_int_equal(ringcast_unsubscribe(r, "a"), RINGCAST_INVALID);
	assert_int_equal(ringcast_unsubscribe(r, NULL), RINGCAST_INVALID);
	/* Longest of all. */
	assert_int_equal(ringcast_subscribe(r, name + 1, since + 1, on_event, &d), RINGCAST_OK);
	ended(r, g);
}

/* ---- a gateway that is none ---------------------------------------------------------------------- */

static void cut_frames(struct gateway *g)
{
	static const uint8_t types[] = {RINGCAST_FRAME_EVENT, RINGCAST_FRAME_SUBSCRIBE,
		RINGCAST_FRAME_GAP, RINGCAST_FRAME_POSITION};

	for (size_t i = 0; i < sizeof(types); i++) {
		unsigned char frame[] = {7, 0, 0, 0, types[i], 0, 0, 0, 200, 'x', 'y'};
		gateway_greet(g, 0, 100);
		gateway_subscribe(g, 0, "news", "");
		gateway_send(g, frame, sizeof(frame));
		gateway_until_gone(g);
	}
}

static void frames_that_can_not_be_read_end_the_connection(void **state)
{
	struct gateway *g = gateway_start(cut_frames);
	struct reader d;
	struct ringcast *r = reader_opened(g, &d);

	(void)state;
	ringcast_subscribe(r, "news", NULL, on_event, &d);
	for (size_t i = 1; i <= 4; i++) {
		while (d.seen.ready < i || ringcast_state(r) == RINGCAST_STATE_READY)
			assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
		assert_string_equal(
			ringcast_last_error(r), "the gateway sent a frame that can't be read");
	}
	ended(r, g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channel_goes_on_behind_its_last_event),
		cmocka_unit_test(event_belongs_to_its_channel_or_to_its_pattern),
		cmocka_unit_test(refused_is_forgotten_unless_that_is_temporary),
		cmocka_unit_test(what_was_on_its_way_to_an_earlier_subscription_is_passed_over),
		cmocka_unit_test(what_can_not_be_a_subscription_is_refused),
		cmocka_unit_test(frames_that_can_not_be_read_end_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
