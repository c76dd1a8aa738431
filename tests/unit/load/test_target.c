/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles and URLs: what is taken from them, and sentences for what is wrong in them.
 */
#include "../unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "load/profile.h"

static struct rc_error err;

static struct load_target *parse(const char *text)
{
	struct load_target *t;

	if (load_target_parse(&t, "dir/mine.ini", rc_str_of(text), &err) < 0)
		fail_msg("%s", err.text);
	return t;
}

static void assert_says(const char *part)
{
	if (!strstr(err.text, part))
		fail_msg("'%s' is not in: %s", part, err.text);
}

static void assert_refused(const char *text, const char *part)
{
	struct load_target *t;

	assert_int_equal(load_target_parse(&t, "mine.ini", rc_str_of(text), &err), -EINVAL);
	assert_null(t);
	assert_says(part);
}

/* ---- URLs -------------------------------------------------------------------------------------- */

static void assert_url(const char *text, enum load_scheme scheme, const char *host, uint16_t port,
	const char *path)
{
	struct load_url url;

	if (load_url_parse(&url, "--url", text, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(url.scheme, scheme);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.path, path);
	assert_int_equal(url.address_len, 0);
}

static void urls_have_scheme_host_port_and_path(void **state)
{
	(void)state;
	assert_url("ws://127.0.0.1:8080/ws?a=b", LOAD_WS, "127.0.0.1", 8080, "/ws?a=b");
	assert_url("wss://gate.example.org/ws", LOAD_WSS, "gate.example.org", 443, "/ws");
	assert_url("ws://host", LOAD_WS, "host", 80, "/");
	assert_url("WS://host?x=1", LOAD_WS, "host", 80, "/?x=1");
	assert_url("http://[::1]:81/sub/{channel}", LOAD_SSE, "[::1]", 81, "/sub/{channel}");
	assert_url("https://a-b_c.d", LOAD_SSES, "a-b_c.d", 443, "/");
	assert_url("ingest://localhost", LOAD_INGEST, "localhost", 7400, "");
	assert_url("ingest://localhost:1/", LOAD_INGEST, "localhost", 1, "");
	assert_url("tcp://127.0.0.1:4222", LOAD_TCP, "127.0.0.1", 4222, "");
	assert_url("tls://host:65535", LOAD_TLS, "host", 65535, "");
}

static void wrong_urls_are_refused_with_the_flag_and_the_reason(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"", "--url =  must begin with ws://"},
		{"127.0.0.1:8080", "must begin with"},
		{"ftp://host/", "must begin with"},
		{"ws://", "the host must be"},
		{"ws:///path", "the host must be"},
		{"ws://ho st/", "the host must be"},
		{"ws://me@host/", "user names have no place"},
		{"ws://[::1", "an IPv6 address"},
		{"ws://[]", "an IPv6 address"},
		{"ws://[host]/", "an IPv6 address"},
		{"ws://[::1]x", "the port must be"},
		{"ws://::1/", "the host must be"},
		{"ws://1::1/", "the port must be"},
		{"ws://host:/", "the port must be"},
		{"ws://host:0/", "the port must be"},
		{"ws://host:65536/", "the port must be"},
		{"ws://host:99999999999/", "the port must be"},
		{"ws://host:8x/", "the port must be"},
		{"tcp://host", "write HOST:PORT"},
		{"tls://host", "write HOST:PORT"},
		{"tcp://host:1/path", "this scheme has no path"},
		{"ws://host/a b", "must be written as %HH"},
		{"ws://host/a#b", "must be written as %HH"},
		{"ws://host/\xc3\xa4", "must be written as %HH"},
		{"ws://host/{n}", "only {channel}"},
		{"ws://host/a}", "only {channel}"},
		{"ws://host/{channel", "only {channel}"},
	};
	struct load_url url;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		assert_int_equal(load_url_parse(&url, "--url", cases[i].text, &err), -EINVAL);
		assert_says(cases[i].part);
		assert_says("--url = ");
	}
}

static void urls_that_are_too_long_are_refused(void **state)
{
	char text[2000];
	struct load_url url;

	(void)state;
	for (int len = 250; len < 260; len++) {
		snprintf(text, sizeof(text), "ws://%0*d/", len, 1);
		assert_int_equal(load_url_parse(&url, "--url", text, &err) == 0, len < 256);
	}
	for (int len = 1018; len < 1028; len++) {
		snprintf(text, sizeof(text), "ws://h/%0*d", len - 1, 1);
		assert_int_equal(load_url_parse(&url, "--url", text, &err) == 0, len < 1024);
	}
}

static void addresses_and_local_names_resolve(void **state)
{
	struct load_url url;
	const struct sockaddr_in *v4 = (const void *)&url.address;
	const struct sockaddr_in6 *v6 = (const void *)&url.address;

	(void)state;
	assert_int_equal(load_url_parse(&url, "--url", "ws://127.0.0.2:81", &err), 0);
	assert_int_equal(load_url_resolve(&url, "--url", &err), 0);
	assert_int_equal(url.address_len, sizeof(*v4));
	assert_int_equal(v4->sin_port, htons(81));
	assert_int_equal(v4->sin_addr.s_addr, htonl(0x7f000002));

	assert_int_equal(load_url_parse(&url, "--url", "ws://[::1]:82", &err), 0);
	assert_int_equal(load_url_resolve(&url, "--url", &err), 0);
	assert_int_equal(url.address_len, sizeof(*v6));
	assert_int_equal(v6->sin6_port, htons(82));
	assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));

	assert_int_equal(load_url_parse(&url, "--url", "ws://localhost:83", &err), 0);
	assert_int_equal(load_url_resolve(&url, "--url", &err), 0);
	assert_int_equal(v4->sin_family, AF_INET);
}

/* A name that no resolver is asked for. */
static void unknown_host_is_a_sentence_with_its_name(void **state)
{
	struct load_url url;

	(void)state;
	assert_int_equal(load_url_parse(&url, "--url", "ws://no..such..host", &err), 0);
	assert_int_equal(load_url_resolve(&url, "--url", &err), -EHOSTUNREACH);
	assert_says("--url: host 'no..such..host' can't be resolved");
}

/* ---- profiles ---------------------------------------------------------------------------------- */

static const char whole[] = "\xef\xbb\xbf; a comment ; and more\r\n"
			    "[target]\r\n"
			    "name = test\n"
			    "about = for a test ; with no comment\n"
			    "\n"
			    "  [subscriber]  \n"
			    "\turl = ws://127.0.0.1:1/x\n"
			    "protocol = mqtt\n"
			    "header = A: b=c\n"
			    "header = D: e ; f\n"
			    "frames = binary\n"
			    "greeting = INFO\\x20\n"
			    "hello = CONNECT {}\\r\\n\n"
			    "welcome = \\x20\\x02\n"
			    "subscribe = SUB {channel}\n"
			    "subscribed = PONG\\r\\n\n"
			    "refused = -ERR\n"
			    "since = ,\"since\":\"{position}\"\n"
			    "ping = PING\n"
			    "pong = PONG\n"
			    "gap = \"type\":\"gap\"\n"
			    "recover = ringcast\n"
			    "echo_url = ws://127.0.0.1:1/echo\n"
			    "# another\n"
			    "[publisher]\n"
			    "url=tcp://127.0.0.1:2\n"
			    "event = {payload}\n"
			    "hello = H\n"
			    "header = G: h\n"
			    "ack = \\r\\n\n"
			    "window = 64\n"
			    "ping = 2\n"
			    "pong = 3";

static void every_key_arrives_where_it_belongs(void **state)
{
	struct load_target *t = parse(whole);
	const struct load_subscriber *s = &t->subscriber;
	const struct load_publisher_target *p = &t->publisher;
	char out[100];
	const struct load_values v = {.channel = RC_STR("c"), .payload = RC_STR("p")};

	(void)state;
	assert_string_equal(t->name, "test");
	assert_string_equal(t->about, "for a test ; with no comment");
	assert_string_equal(s->url.path, "/x");
	assert_string_equal(s->protocol, "mqtt");
	assert_string_equal(s->headers, "A: b=c\r\nD: e ; f\r\n");
	assert_true(s->binary);
	assert_string_equal(s->greeting, "INFO ");
	assert_int_equal(load_template_expand(s->hello, &v, out, sizeof(out)), 12);
	assert_memory_equal(out, "CONNECT {}\r\n", 12);
	assert_string_equal(s->welcome, "\x20\x02");
	assert_int_equal(load_template_expand(s->subscribe, &v, out, sizeof(out)), 5);
	assert_string_equal(s->subscribed, "PONG\r\n");
	assert_string_equal(s->refused, "-ERR");
	assert_string_equal(s->since, ",\"since\":\"{position}\"");
	assert_string_equal(s->ping, "PING");
	assert_false(load_template_empty(s->pong));
	assert_string_equal(s->gap, "\"type\":\"gap\"");
	assert_true(s->recover);
	assert_string_equal(s->echo_url.path, "/echo");
	assert_int_equal(p->url.port, 2);
	assert_string_equal(p->headers, "G: h\r\n");
	assert_string_equal(p->protocol, "");
	assert_string_equal(p->greeting, "");
	assert_string_equal(p->welcome, "");
	assert_string_equal(p->ack, "\r\n");
	assert_string_equal(p->ping, "2");
	assert_int_equal(p->window, 64);
	assert_false(p->binary);
	assert_int_equal(load_template_expand(p->event, &v, out, sizeof(out)), 1);
	assert_int_equal(load_template_expand(p->hello, &v, out, sizeof(out)), 1);
	assert_int_equal(load_template_expand(p->pong, &v, out, sizeof(out)), 1);
	load_target_close(t);
}

static void absent_keys_are_empty_and_not_null(void **state)
{
	struct load_target *t = parse("[subscriber]\nurl = ws://h");

	(void)state;
	assert_string_equal(t->name, "mine");
	assert_string_equal(t->about, "");
	assert_string_equal(t->subscriber.headers, "");
	assert_string_equal(t->subscriber.since, "");
	assert_true(load_template_empty(t->subscriber.hello));
	assert_true(load_template_empty(t->subscriber.subscribe));
	assert_true(load_template_empty(t->subscriber.pong));
	assert_true(load_template_empty(t->publisher.event));
	assert_string_equal(t->publisher.headers, "");
	assert_string_equal(t->publisher.url.host, "");
	assert_string_equal(t->subscriber.echo_url.host, "");
	load_target_close(t);
	load_target_close(NULL);
}

static void values_of_4096_bytes_are_taken_whole(void **state)
{
	char text[6000], out[5000];
	struct load_target *t;

	(void)state;
	snprintf(text, sizeof(text), "[subscriber]\nurl = ws://h\nhello = %04096d\n", 7);
	t = parse(text);
	assert_int_equal(
		load_template_expand(t->subscriber.hello, &(struct load_values){0}, out, 5000),
		4096);
	load_target_close(t);
	snprintf(text, sizeof(text), "[subscriber]\nurl = ws://h\nhello = %04097d\n", 7);
	assert_refused(text, "mine.ini:3: hello is longer than 4096 bytes");
}

static void mistakes_name_file_line_and_the_nearest_word(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"[subscriber]\n\nurll = ws://h",
			"mine.ini:3: unknown key 'urll' in [subscriber]; did you mean 'url'?"},
		{"[publisher]\nsubscribe = x",
			"unknown key 'subscribe' in [publisher]; there are url"},
		{"[target]\nzzzzzzzzzz = 1",
			"unknown key 'zzzzzzzzzz' in [target]; there are name about"},
		{"[subscribers]",
			"mine.ini:1: unknown section [subscribers]; did you mean [subscriber]?"},
		{"[quux-server]", "there are [target], [subscriber] and [publisher]"},
		{"[target", "closing ]"},
		{"url = ws://h", "before the first section"},
		{"[subscriber]\nnonsense", "mine.ini:2: is neither"},
		{"[subscriber]\nurl = ws://h\nurl = ws://i",
			"mine.ini:3: url is set a second time; line 2"},
		{"[subscriber]\nurl = host", "mine.ini:2: url = host must begin with"},
		{"[subscriber]\nsubscribe = {chanel}",
			"mine.ini:2: subscribe: unknown word {chanel}"},
		{"[subscriber]\nframes = utf8", "frames: must be text or binary"},
		{"[subscriber]\nrecover = yes", "recover: must be none or ringcast"},
		{"[subscriber]\nheader = nothing", "header: must be a header line"},
		{"[subscriber]\nheader = : x", "header: must be a header line"},
		{"[subscriber]\ngreeting = a\\x00b", "greeting: can't hold \\x00"},
		{"[subscriber]\ngreeting = \\q", "greeting: the backslash at column 1"},
		{"[publisher]\nwindow = -1", "window: must be a number"},
		{"[publisher]\nwindow =", "window: must be a number"},
		{"[publisher]\nwindow = 1000000", "window: must be a number"},
		{"[target]\nname =", "name: must be 1 to 63 bytes"},
		{"[target]\nname = n", "mine.ini: has no url"},
		{"", "mine.ini: has no url"},
		{"[subscriber]\nurl = ws://h\nrecover = ringcast", "needs a since with {position}"},
		{"[subscriber]\nurl = ws://h\nsince = {position}{position}", "more than once"},
		{"[subscriber]\nurl = ws://h\nping = 2", "[subscriber] ping needs a pong"},
		{"[publisher]\nurl = tcp://h:1\nping = 2", "[publisher] ping needs a pong"},
	};
	struct load_target *t;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++)
		assert_refused(cases[i].text, cases[i].part);
	assert_int_equal(
		load_target_parse(&t, "mine.ini", RC_STR("[target]\na\0b = 1"), &err), -EINVAL);
	assert_says("mine.ini:2: the line holds a NUL byte");
}

/* ---- opening and settling ---------------------------------------------------------------------- */

static void built_in_profiles_can_be_read_resolved_and_listed(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	load_target_list(out);
	fclose(out);
	assert_true(load_profile_count >= 3);
	for (uint32_t i = 0; i < load_profile_count; i++) {
		struct load_target *t;

		if (load_target_open(&t, load_profiles[i].name, &err) < 0 ||
			load_target_resolve(t, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(t->name, load_profiles[i].name);
		assert_true(t->about[0]);
		assert_non_null(strstr(text, t->about));
		load_target_close(t);
	}
	free(text);
}

static void unknown_names_list_the_known_ones(void **state)
{
	struct load_target *t;

	(void)state;
	assert_int_equal(load_target_open(&t, "ringcats", &err), -ENOENT);
	assert_says("did you mean 'ringcast'?");
	assert_int_equal(load_target_open(&t, "zzzz", &err), -ENOENT);
	for (uint32_t i = 0; i < load_profile_count; i++)
		assert_says(load_profiles[i].name);
	assert_int_equal(load_target_open(&t, "no/such/profile", &err), -ENOENT);
	assert_says("can't open the profile no/such/profile: No such file");
	assert_int_equal(load_target_open(&t, "/", &err), -EISDIR);
	assert_says("can't read the profile /");
}

static void profiles_are_read_from_files(void **state)
{
	char path[] = "/tmp/ringcast-load-XXXXXX.ini";
	int fd = mkstemps(path, 4);
	struct load_target *t;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, whole, sizeof(whole) - 1), sizeof(whole) - 1);
	assert_int_equal(load_target_open(&t, path, &err), 0);
	assert_string_equal(t->name, "test");
	load_target_close(t);
	assert_int_equal(ftruncate(fd, LOAD_PROFILE_BYTES_MAX + 1), 0);
	assert_int_equal(load_target_open(&t, path, &err), -EINVAL);
	assert_says("larger than 64 KiB");
	close(fd);
	unlink(path);
}

static void http_means_sse_to_subscribers_and_requests_to_publishers(void **state)
{
	struct load_target *t = parse("[subscriber]\nurl = http://127.0.0.1/\n"
				      "[publisher]\nurl = http://127.0.0.1/\nevent = {payload}");

	(void)state;
	assert_int_equal(load_target_resolve(t, &err), 0);
	assert_int_equal(t->subscriber.url.scheme, LOAD_SSE);
	assert_int_equal(t->publisher.url.scheme, LOAD_HTTP);
	assert_int_equal(load_url_parse(&t->publisher.url, "u", "https://127.0.0.1", &err), 0);
	assert_int_equal(load_target_resolve(t, &err), 0);
	assert_int_equal(t->publisher.url.scheme, LOAD_TLS);
	assert_int_equal(t->publisher.url.port, 443);
	assert_int_equal(load_target_resolve(t, &err), 0); /* twice does no harm */
	assert_int_equal(t->publisher.url.scheme, LOAD_TLS);
	load_target_close(t);
}

static void schemes_that_cant_work_are_refused(void **state)
{
	struct load_target *t = parse("[subscriber]\nurl = tcp://127.0.0.1:1");

	(void)state;
	assert_int_equal(load_target_resolve(t, &err), -EINVAL);
	assert_says("the subscribers' url must be");
	load_target_close(t);

	t = parse("[subscriber]\nurl = ws://127.0.0.1:1\necho_url = http://127.0.0.1");
	assert_int_equal(load_target_resolve(t, &err), -EINVAL);
	assert_says("the echo url must be");
	load_target_close(t);

	t = parse("[publisher]\nurl = tcp://127.0.0.1:1");
	assert_int_equal(load_target_resolve(t, &err), -EINVAL);
	assert_says("mine does not say what to publish");
	assert_int_equal(load_url_parse(&t->publisher.url, "u", "ingest://127.0.0.1", &err), 0);
	assert_int_equal(load_target_resolve(t, &err), 0);
	load_target_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_have_scheme_host_port_and_path),
		cmocka_unit_test(wrong_urls_are_refused_with_the_flag_and_the_reason),
		cmocka_unit_test(urls_that_are_too_long_are_refused),
		cmocka_unit_test(addresses_and_local_names_resolve),
		cmocka_unit_test(unknown_host_is_a_sentence_with_its_name),
		cmocka_unit_test(every_key_arrives_where_it_belongs),
		cmocka_unit_test(absent_keys_are_empty_and_not_null),
		cmocka_unit_test(values_of_4096_bytes_are_taken_whole),
		cmocka_unit_test(mistakes_name_file_line_and_the_nearest_word),
		cmocka_unit_test(built_in_profiles_can_be_read_resolved_and_listed),
		cmocka_unit_test(unknown_names_list_the_known_ones),
		cmocka_unit_test(profiles_are_read_from_files),
		cmocka_unit_test(http_means_sse_to_subscribers_and_requests_to_publishers),
		cmocka_unit_test(schemes_that_cant_work_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
