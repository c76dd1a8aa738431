/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters file from both sides: what is written is what another process reads, and a file that is broken, stale or
 * somebody else's is found out.
 */
#include "tree.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ops/counters.h"

struct place {
	char root[TREE_PATH];
	char file[TREE_PATH + 32];
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	tree_make(p->root);
	snprintf(p->file, sizeof(p->file), "%s/test.counters", p->root);
	setenv("RUNTIME_DIRECTORY", p->root, 1);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	unsetenv("RUNTIME_DIRECTORY");
	tree_remove(p->root);
	free(p);
	return 0;
}

static void create(struct rc_counters *c, const char *path, uint32_t shards)
{
	struct rc_error err = {""};
	if (rc_counters_create(c, path, shards, &err) != 0)
		fail_msg("%s", err.text);
}

static void open_view(struct rc_counters_view *v, const char *path)
{
	struct rc_error err = {""};
	if (rc_counters_open(v, path, &err) != 0)
		fail_msg("%s", err.text);
}

static uint64_t read_named(const struct rc_counters_view *v, const char *name, uint32_t shard)
{
	uint32_t i = rc_counters_find(v, name);
	assert_int_not_equal(i, RC_NONE);
	return rc_counters_read(v, i, shard);
}

/* A gateway that died without a word: its file is left behind. */
static void leave_stale(const char *path)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		static struct rc_counters c;
		struct rc_error err;
		_exit(rc_counters_create(&c, path, 1, &err) == 0 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- the list ------------------------------------------------------------------------------- */

static void every_counter_has_a_name_of_its_own_and_a_sentence(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < RC_COUNTER_COUNT; i++) {
		const struct rc_counters_meta *m = rc_counter_meta((enum rc_counter)i);
		assert_true(strlen(m->name) > 0 && strlen(m->unit) > 0);
		assert_int_equal(m->help[strlen(m->help) - 1], '.');
		assert_int_equal(m->word, i);
		for (uint32_t j = 0; j < i; j++)
			assert_string_not_equal(m->name, rc_counter_meta((enum rc_counter)j)->name);
	}
	assert_string_equal(rc_counter_meta(RC_C_accepts)->name, "accepts");
	assert_int_equal(rc_counter_meta(RC_C_clients)->kind, RC_KIND_GAUGE);
	assert_string_equal(rc_counter_hist_meta(RC_H_turn_ns)->name, "turn_ns");
}

static void close_reasons_follow_each_other(void **state)
{
	(void)state;
	for (uint32_t i = RC_C_close_client; i <= RC_C_close_stalled; i++)
		assert_memory_equal(rc_counter_meta((enum rc_counter)i)->name, "close_", 6);
	assert_int_equal(RC_C_close_stalled - RC_C_close_client + 1, 18);
}

/* ---- counting ------------------------------------------------------------------------------- */

static void a_zeroed_block_counts_without_a_file(void **state)
{
	(void)state;
	static struct rc_counters_shard c;
	rc_count(&c, RC_C_accepts, 2);
	rc_count(&c, RC_C_accepts, 3);
	rc_gauge_set(&c, RC_C_clients, 7);
	rc_gauge_add(&c, RC_C_clients, -9);
	rc_count_hist(&c, RC_H_turn_ns, 1000, 4);
	assert_int_equal(rc_counter_get(&c, RC_C_accepts), 5);
	assert_int_equal((int64_t)rc_counter_get(&c, RC_C_clients), -2);
	assert_int_equal(c.hist[RC_H_turn_ns][rc_hist_bucket(1000)], 4);
	assert_int_equal(rc_counter_get(&c, RC_C_accepts + 1), 0);
}

static void counters_in_memory_leave_no_file(void **state)
{
	(void)state;
	struct rc_counters c;
	create(&c, "", 2);
	rc_count(rc_counters_shard(&c, 0), RC_C_sends, 4);
	rc_count(rc_counters_shard(&c, 1), RC_C_sends, 5);
	assert_int_equal(rc_counters_sum(&c, RC_C_sends), 9);
	assert_string_equal(c.path, "");
	rc_counters_destroy(&c);
	rc_counters_destroy(&c);
}

static void histograms_of_all_shards_add_up(void **state)
{
	(void)state;
	struct rc_counters c;
	uint64_t sum[RC_HIST_BUCKETS];
	create(&c, "", 3);
	for (uint32_t s = 0; s < 3; s++)
		rc_count_hist(rc_counters_shard(&c, s), RC_H_publish_to_flush_ns, 500, s + 1);
	rc_counters_sum_hist(&c, RC_H_publish_to_flush_ns, sum);
	assert_int_equal(sum[rc_hist_bucket(500)], 6);
	assert_true(rc_hist_quantile(sum, 0.5) >= 500 && rc_hist_quantile(sum, 0.5) <= 532);
	rc_counters_destroy(&c);
}

static void *count_a_lot(void *block)
{
	for (int i = 0; i < 100000; i++)
		rc_count(block, RC_C_turns, 1);
	return NULL;
}

static void a_reader_sees_a_counter_only_grow_while_its_thread_counts(void **state)
{
	(void)state;
	struct rc_counters c;
	pthread_t thread;
	create(&c, "", 1);
	assert_int_equal(pthread_create(&thread, NULL, count_a_lot, rc_counters_shard(&c, 0)), 0);
	uint64_t last = 0;
	while (last < 100000) {
		uint64_t now = rc_counters_sum(&c, RC_C_turns);
		assert_true(now >= last);
		last = now;
	}
	pthread_join(thread, NULL);
	assert_int_equal(last, 100000);
	rc_counters_destroy(&c);
}

/* ---- the file ------------------------------------------------------------------------------- */

static void another_process_reads_what_was_counted(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	create(&c, p->file, 2);
	rc_count(rc_counters_shard(&c, 0), RC_C_deliveries, 40);
	rc_count(rc_counters_shard(&c, 1), RC_C_deliveries, 2);
	rc_count_hist(rc_counters_shard(&c, 1), RC_H_turn_ns, 3000, 1);
	rc_counters_heartbeat(&c, 12345);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rc_counters_view v;
		struct rc_error err;
		uint64_t hist[RC_HIST_BUCKETS];
		if (rc_counters_open(&v, p->file, &err) != 0)
			_exit(1);
		rc_counters_read_hist(&v, rc_counters_find(&v, "turn_ns"), 1, hist);
		bool right = v.pid == (uint32_t)getppid() && v.shard_count == 2 &&
			     rc_counters_alive(&v) && rc_counters_heartbeat_ms(&v) == 12345 &&
			     read_named(&v, "deliveries", RC_NONE) == 42 &&
			     read_named(&v, "deliveries", 1) == 2 &&
			     hist[rc_hist_bucket(3000)] == 1;
		rc_counters_close(&v);
		_exit(right ? 0 : 2);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rc_counters_destroy(&c);
}

static void the_file_goes_with_its_gateway_and_a_reader_notices(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	struct rc_counters_view v;
	create(&c, p->file, 1);
	rc_count(rc_counters_shard(&c, 0), RC_C_sends, 1);
	open_view(&v, p->file);
	assert_true(rc_counters_alive(&v));
	assert_true(rc_counters_alive(&v));
	rc_counters_destroy(&c);
	assert_int_equal(access(p->file, F_OK), -1);
	assert_false(rc_counters_alive(&v));
	assert_int_equal(read_named(&v, "sends", RC_NONE), 1);
	rc_counters_close(&v);
	rc_counters_close(&v);
}

static void a_file_in_use_is_refused(void **state)
{
	struct place *p = *state;
	struct rc_counters c, d;
	struct rc_error err = {""};
	create(&c, p->file, 1);
	assert_int_equal(rc_counters_create(&d, p->file, 1, &err), -1);
	assert_non_null(strstr(err.text, "running gateway"));
	rc_counters_destroy(&d);
	assert_int_equal(access(p->file, F_OK), 0);
	rc_counters_destroy(&c);
}

static void a_reader_does_not_keep_a_new_gateway_from_the_place_of_a_dead_one(void **state)
{
	struct place *p = *state;
	leave_stale(p->file);
	struct rc_counters_view v;
	struct rc_counters c;
	open_view(&v, p->file);
	assert_false(rc_counters_alive(&v));
	create(&c, p->file, 1);
	rc_counters_close(&v);
	open_view(&v, p->file);
	assert_true(rc_counters_alive(&v));
	rc_counters_close(&v);
	rc_counters_destroy(&c);
}

static void somebody_elses_file_is_not_overwritten(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	struct rc_error err = {""};
	char text[32];
	tree_write(p->root, "/test.counters", "my diary");
	assert_int_equal(rc_counters_create(&c, p->file, 1, &err), -1);
	assert_non_null(strstr(err.text, "is not a counters file"));
	tree_read(p->root, "/test.counters", text, sizeof(text));
	assert_string_equal(text, "my diary");
}

static void look_at_both_ends(void *ctx)
{
	const struct rc_counters_view *v = ctx;
	(void)rc_counters_heartbeat_ms(v);
	for (uint32_t i = 0; i < v->meta_count; i++)
		if (v->meta[i].kind != RC_KIND_HIST)
			(void)rc_counters_read(v, i, RC_NONE);
}

static void a_file_cut_short_under_its_reader_ends_the_look_and_not_the_reader(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	struct rc_counters_view v, again;
	struct rc_error err;
	create(&c, p->file, 64);
	open_view(&v, p->file);
	assert_true(rc_counters_guarded(look_at_both_ends, &v));
	for (int round = 0; round < 3; round++) {
		assert_int_equal(truncate(p->file, round == 0 ? 100000 : 0), 0);
		assert_false(rc_counters_guarded(look_at_both_ends, &v));
	}
	assert_int_equal(rc_counters_open(&again, p->file, &err), -1);
	rc_counters_close(&v);
	rc_counters_destroy(&c);
}

static void a_missing_folder_is_named(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	struct rc_error err = {""};
	char path[2 * TREE_PATH];
	snprintf(path, sizeof(path), "%s/no/such", p->root);
	assert_int_equal(rc_counters_create(&c, path, 1, &err), -1);
	assert_non_null(strstr(err.text, path));
}

static void every_page_of_the_file_is_there_from_the_start(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	struct stat st;
	create(&c, p->file, 8);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_size, c.header->file_bytes);
	assert_true((uint64_t)st.st_blocks * 512 >= c.header->file_bytes);
	rc_counters_destroy(&c);
}

static void no_room_for_the_pages_shows_at_creation_and_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	struct rc_error err = {""};
	struct rlimit old, small;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){4096, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = rc_counters_create(&c, p->file, 4, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(err.text, "can't reserve"));
	assert_int_equal(access(p->file, F_OK), -1);
}

/* ---- folders -------------------------------------------------------------------------------- */

static void without_a_path_the_file_lies_in_the_units_folder(void **state)
{
	struct place *p = *state;
	struct rc_counters c;
	char wanted[2 * TREE_PATH];
	snprintf(wanted, sizeof(wanted), "%s/%ld.counters", p->root, (long)getpid());
	create(&c, NULL, 1);
	assert_string_equal(c.path, wanted);
	assert_int_equal(access(wanted, F_OK), 0);
	rc_counters_destroy(&c);
}

static void of_several_folders_of_a_unit_the_first_is_taken_and_made(void **state)
{
	struct place *p = *state;
	char both[3 * TREE_PATH], first[TREE_PATH + 8], out[RC_COUNTERS_PATH_MAX];
	struct rc_error err = {""};
	snprintf(first, sizeof(first), "%s/one", p->root);
	snprintf(both, sizeof(both), "%s:%s/two", first, p->root);
	setenv("RUNTIME_DIRECTORY", both, 1);
	int fd = rc_counters_folder(out, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_string_equal(out, first);
	struct stat st;
	assert_int_equal(stat(first, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void a_folder_that_others_can_write_is_refused(void **state)
{
	struct place *p = *state;
	char out[RC_COUNTERS_PATH_MAX];
	struct rc_error err = {""};
	struct rc_counters c;
	assert_int_equal(chmod(p->root, 0770), 0);
	assert_int_equal(rc_counters_folder(out, &err), -1);
	assert_non_null(strstr(err.text, "nobody else can write"));
	assert_int_equal(rc_counters_create(&c, NULL, 1, &err), -1);
	assert_int_equal(chmod(p->root, 0700), 0);
}

static void a_link_in_place_of_the_users_folder_is_refused(void **state)
{
	struct place *p = *state;
	char link[2 * TREE_PATH], target[2 * TREE_PATH], out[RC_COUNTERS_PATH_MAX];
	const char *before = getenv("XDG_RUNTIME_DIR");
	char *kept = before == NULL ? NULL : strdup(before);
	setenv("XDG_RUNTIME_DIR", p->root, 1);
	snprintf(link, sizeof(link), "%s/ringcast-%lu", p->root, (unsigned long)geteuid());
	snprintf(target, sizeof(target), "%s/elsewhere", p->root);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(rc_counters_folder_at(2, out), -1);
	/* The same name as a real folder is fine, so it was the link. */
	assert_int_equal(unlink(link), 0);
	assert_int_equal(mkdir(link, 0700), 0);
	int fd = rc_counters_folder_at(2, out);
	assert_true(fd >= 0);
	close(fd);
	assert_string_equal(out, link);
	if (kept != NULL)
		setenv("XDG_RUNTIME_DIR", kept, 1);
	else
		unsetenv("XDG_RUNTIME_DIR");
	free(kept);
}

struct seen {
	const char *root;
	uint32_t here;
};

static bool count_here(void *ctx, const struct rc_counters_view *v)
{
	struct seen *s = ctx;
	if (strncmp(v->path, s->root, strlen(s->root)) == 0)
		s->here++;
	return true;
}

static void the_list_shows_the_living_and_removes_the_dead(void **state)
{
	struct place *p = *state;
	char living[2 * TREE_PATH], dead[2 * TREE_PATH];
	snprintf(living, sizeof(living), "%s/1.counters", p->root);
	snprintf(dead, sizeof(dead), "%s/2.counters", p->root);
	tree_write(p->root, "/3.counters", "no counters");
	tree_write(p->root, "/notes.txt", "");
	leave_stale(dead);
	struct rc_counters c;
	create(&c, living, 1);
	struct seen s = {p->root, 0};
	rc_counters_list(count_here, &s);
	assert_int_equal(s.here, 1);
	assert_int_equal(access(living, F_OK), 0);
	assert_int_equal(access(dead, F_OK), -1);
	char text[32];
	tree_read(p->root, "/3.counters", text, sizeof(text));
	assert_string_equal(text, "no counters");
	rc_counters_destroy(&c);
}

static bool stop_at_once(void *ctx, const struct rc_counters_view *v)
{
	(void)v;
	++*(uint32_t *)ctx;
	return false;
}

static void the_list_stops_when_told(void **state)
{
	struct place *p = *state;
	char path[2][2 * TREE_PATH];
	struct rc_counters c[2];
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%d.counters", p->root, i + 1);
		create(&c[i], path[i], 1);
	}
	uint32_t calls = 0;
	assert_int_equal(rc_counters_list(stop_at_once, &calls), 1);
	assert_int_equal(calls, 1);
	rc_counters_destroy(&c[0]);
	rc_counters_destroy(&c[1]);
}

/* ---- files that are broken ------------------------------------------------------------------ */

/* Opens a file of these bytes; when that works, reads all of it. True when it opened. */
static bool survives(const struct place *p, const unsigned char *bytes, size_t len)
{
	char path[2 * TREE_PATH];
	snprintf(path, sizeof(path), "%s/broken", p->root);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	struct rc_counters_view v;
	struct rc_error err = {""};
	if (rc_counters_open(&v, path, &err) != 0) {
		assert_true(strlen(err.text) > 0);
		return false;
	}
	uint64_t hist[RC_HIST_BUCKETS];
	for (uint32_t i = 0; i < v.meta_count; i++) {
		assert_non_null(memchr(v.meta[i].help, '\0', sizeof(v.meta[i].help)));
		if (v.meta[i].kind == RC_KIND_HIST)
			rc_counters_read_hist(&v, i, v.shard_count - 1, hist);
		else
			rc_counters_read(&v, i, v.shard_count - 1);
	}
	rc_counters_close(&v);
	return true;
}

static unsigned char *copy_of_a_file(const struct place *p, size_t *len)
{
	struct rc_counters c;
	create(&c, p->file, 1);
	*len = (size_t)c.header->file_bytes;
	unsigned char *bytes = malloc(*len);
	assert_non_null(bytes);
	memcpy(bytes, c.header, *len);
	rc_counters_destroy(&c);
	return bytes;
}

static void a_file_cut_short_anywhere_is_refused(void **state)
{
	struct place *p = *state;
	size_t len;
	unsigned char *bytes = copy_of_a_file(p, &len);
	assert_true(survives(p, bytes, len));
	for (size_t cut = 0; cut < len; cut += cut < 1024 ? 8 : 509)
		assert_false(survives(p, bytes, cut));
	assert_false(survives(p, bytes, len - 1));
	free(bytes);
}

static void a_header_or_list_with_any_byte_broken_leads_nobody_astray(void **state)
{
	struct place *p = *state;
	static const unsigned char patterns[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	size_t len;
	unsigned char *bytes = copy_of_a_file(p, &len);
	struct rc_counters_header *h = (struct rc_counters_header *)(void *)bytes;
	size_t end = h->meta_at + 2 * sizeof(struct rc_counters_meta);
	for (size_t at = 0; at < end; at++) {
		unsigned char right = bytes[at];
		for (size_t i = 0; i < sizeof(patterns); i++) {
			bytes[at] = patterns[i];
			survives(p, bytes, len);
		}
		bytes[at] = right;
	}
	assert_true(survives(p, bytes, len));
	free(bytes);
}

/* Each of these is refused for itself, everything else being right. */
static void a_header_that_claims_too_much_is_refused(void **state)
{
	struct place *p = *state;
	size_t len;
	unsigned char *bytes = copy_of_a_file(p, &len);
	struct rc_counters_header *h = (struct rc_counters_header *)(void *)bytes, good = *h;
#define REFUSED(field, value)                                       \
	do {                                                        \
		h->field = (value);                                 \
		if (survives(p, bytes, len))                        \
			fail_msg(#field " = " #value " was taken"); \
		memcpy(h, &good, sizeof(good));                     \
	} while (0)
	REFUSED(magic, RC_COUNTERS_MAGIC + 1);
	REFUSED(magic, 0);
	REFUSED(version, RC_COUNTERS_VERSION + 1);
	REFUSED(header_bytes, 8);
	REFUSED(file_bytes, len + 1);
	REFUSED(shard_count, 0);
	REFUSED(shard_count, 2);
	REFUSED(shard_count, UINT32_MAX);
	REFUSED(meta_count, 0);
	REFUSED(meta_count, good.meta_count + 16);
	REFUSED(meta_count, UINT32_MAX);
	REFUSED(meta_bytes, 0);
	REFUSED(meta_bytes, 264);
	REFUSED(meta_bytes, UINT32_MAX - 7);
	REFUSED(meta_at, UINT64_MAX - 7);
	REFUSED(meta_at, 0);
	REFUSED(shards_at, UINT64_MAX - 127);
	REFUSED(shards_at, good.shards_at + 128);
	REFUSED(shards_at, 128);
	REFUSED(shard_bytes, 0);
	REFUSED(shard_bytes, good.shard_bytes + 128);
	REFUSED(shard_bytes, UINT64_MAX - 127);
	REFUSED(hist_buckets, 5);
#undef REFUSED
	struct rc_counters_meta *m = (struct rc_counters_meta *)(void *)(bytes + good.meta_at);
	m[0].word = UINT32_MAX;
	assert_false(survives(p, bytes, len));
	m[0].word = (uint32_t)(good.shard_bytes / 8);
	assert_false(survives(p, bytes, len));
	m[0].word = (uint32_t)(good.shard_bytes / 8) - 1;
	assert_true(survives(p, bytes, len));
	m[0].kind = RC_KIND_HIST;
	assert_false(survives(p, bytes, len));
	free(bytes);
}

static void texts_of_a_file_can_not_steer_a_terminal(void **state)
{
	struct place *p = *state;
	size_t len;
	unsigned char *bytes = copy_of_a_file(p, &len);
	struct rc_counters_header *h = (struct rc_counters_header *)(void *)bytes;
	struct rc_counters_meta *m = (struct rc_counters_meta *)(void *)(bytes + h->meta_at);
	memset(m[0].name, 'a', sizeof(m[0].name));
	memcpy(m[0].help, "\033[2Jx\n\xff", 8);
	tree_write(p->root, "/evil", "");
	char path[2 * TREE_PATH];
	snprintf(path, sizeof(path), "%s/evil", p->root);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	struct rc_counters_view v;
	open_view(&v, path);
	assert_int_equal(strlen(v.meta[0].name), sizeof(m[0].name) - 1);
	assert_string_equal(v.meta[0].help, "?[2Jx??");
	rc_counters_close(&v);
	free(bytes);
}

static void a_fifo_or_a_folder_is_no_counters_file(void **state)
{
	struct place *p = *state;
	struct rc_counters_view v;
	struct rc_error err = {""};
	assert_int_equal(rc_counters_open(&v, p->root, &err), -1);
	assert_int_equal(mkfifo(p->file, 0600), 0);
	assert_int_equal(rc_counters_open(&v, p->file, &err), -1);
	assert_non_null(strstr(err.text, "not a file"));
	rc_counters_close(&v);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_a_name_of_its_own_and_a_sentence),
		cmocka_unit_test(close_reasons_follow_each_other),
		cmocka_unit_test(a_zeroed_block_counts_without_a_file),
		cmocka_unit_test(counters_in_memory_leave_no_file),
		cmocka_unit_test(histograms_of_all_shards_add_up),
		cmocka_unit_test(a_reader_sees_a_counter_only_grow_while_its_thread_counts),
		IN_FOLDER(another_process_reads_what_was_counted),
		IN_FOLDER(the_file_goes_with_its_gateway_and_a_reader_notices),
		IN_FOLDER(a_file_in_use_is_refused),
		IN_FOLDER(a_reader_does_not_keep_a_new_gateway_from_the_place_of_a_dead_one),
		IN_FOLDER(somebody_elses_file_is_not_overwritten),
		IN_FOLDER(a_file_cut_short_under_its_reader_ends_the_look_and_not_the_reader),
		IN_FOLDER(a_missing_folder_is_named),
		IN_FOLDER(every_page_of_the_file_is_there_from_the_start),
		IN_FOLDER(no_room_for_the_pages_shows_at_creation_and_leaves_nothing),
		IN_FOLDER(without_a_path_the_file_lies_in_the_units_folder),
		IN_FOLDER(of_several_folders_of_a_unit_the_first_is_taken_and_made),
		IN_FOLDER(a_folder_that_others_can_write_is_refused),
		IN_FOLDER(a_link_in_place_of_the_users_folder_is_refused),
		IN_FOLDER(the_list_shows_the_living_and_removes_the_dead),
		IN_FOLDER(the_list_stops_when_told),
		IN_FOLDER(a_file_cut_short_anywhere_is_refused),
		IN_FOLDER(a_header_or_list_with_any_byte_broken_leads_nobody_astray),
		IN_FOLDER(a_header_that_claims_too_much_is_refused),
		IN_FOLDER(texts_of_a_file_can_not_steer_a_terminal),
		IN_FOLDER(a_fifo_or_a_folder_is_no_counters_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
