/* SPDX-License-Identifier: Apache-2.0
 *
 * ringcast-load: a run, or what is done with results that were kept.
 */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "conduct.h"
#include "lookup.h"
#include "options.h"

static int complain(const struct rc_error *err)
{
	fprintf(stderr, "ringcast-load: %s\n", err->text);
	return load_exit_status(LOAD_UNUSABLE);
}

static int complain_errno(const char *path, int error)
{
	fprintf(stderr, "ringcast-load: %s: %s\n", path, strerror(error));
	return load_exit_status(LOAD_UNUSABLE);
}

/* Better known before the run than after it. */
static int check_output(const char *flag, const char *path, struct rc_error *err)
{
	char copy[1024];

	if (!path[0] || strcmp(path, "-") == 0)
		return 0;
	snprintf(copy, sizeof(copy), "%s", path);
	if (access(path, W_OK) == 0 || (errno == ENOENT && access(dirname(copy), W_OK) == 0))
		return 0;
	rc_error_set(
		err, "%s: %s can't be written: %s; name another file", flag, path, strerror(errno));
	return -errno;
}

static int write_text(const char *path, const char *text, size_t len)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *out = standard ? stdout : fopen(path, "we");
	bool good;

	if (!out)
		return complain_errno(path, errno);
	good = fwrite(text, 1, len, out) == len;
	good &= (standard ? fflush(out) : fclose(out)) == 0;
	return good ? 0 : complain_errno(standard ? "standard output" : path, errno);
}

static int write_result(const struct load_result *r)
{
	const struct load_plan *plan = r->plan;
	bool json_out = strcmp(plan->json, "-") == 0;
	struct rc_error err = {0};
	char *text = NULL;
	size_t len = 0;
	int status = 0;
	FILE *out;

	/* Standard output is for one reader: the table goes elsewhere when a program reads. */
	load_result_table(r, json_out ? stderr : stdout);
	if (!plan->json[0] && !plan->report[0])
		return 0;
	out = open_memstream(&text, &len);
	if (!out)
		return complain_errno("the result", errno);
	if (load_result_json(r, out) < 0 || fclose(out) != 0) {
		free(text);
		return complain_errno("the result", ENOMEM);
	}
	if (plan->json[0])
		status = write_text(plan->json, text, len);
	if (status == 0 && plan->report[0] &&
		load_report(plan->report, (struct rc_str){text, len}, &err) < 0)
		status = complain(&err);
	free(text);
	return status;
}

static int run(struct load_settings *s)
{
	struct load_plan *plan = &s->plan;
	struct rc_error err = {0};
	struct load_result *result;
	int status;

	if (load_settings_build(s, &err) < 0 || load_plan_finish(plan, &err) < 0 ||
		check_output("--json", plan->json, &err) < 0 ||
		check_output("--report", plan->report, &err) < 0) {
		load_target_close(plan->target);
		return complain(&err);
	}
	result = calloc(1, sizeof(*result));
	if (!result) {
		load_target_close(plan->target);
		return complain_errno("the result", ENOMEM);
	}
	if (load_conduct(plan, result, &err) < 0) {
		status = complain(&err);
	} else {
		status = write_result(result);
		if (status == 0)
			status = load_exit_status(result->verdict);
	}
	free(result);
	load_target_close(plan->target);
	return status;
}

static int render(const struct load_settings *s)
{
	struct rc_error err = {0};
	struct rc_str text;
	int status = 0;

	if (load_json_read(&text, s->render, true, &err) < 0)
		return complain(&err);
	if (load_report(s->plan.report, text, &err) < 0)
		status = complain(&err);
	free((void *)text.ptr);
	return status;
}

int main(int argc, char **argv)
{
	static struct load_settings settings;
	struct rc_error err = {0};

	(void)signal(SIGPIPE, SIG_IGN);
	if (load_settings_read(&settings, argc, argv, &err) < 0)
		return complain(&err);
	switch (settings.mode) {
	case LOAD_HELP:
		load_help(stdout);
		return 0;
	case LOAD_TARGETS:
		load_target_list(stdout);
		return 0;
	case LOAD_COMPARE:
		return load_compare(settings.compare_a, settings.compare_b, stdout);
	case LOAD_RENDER:
		return render(&settings);
	case LOAD_RUN:
		break;
	}
	return run(&settings);
}
