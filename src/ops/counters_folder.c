/* SPDX-License-Identifier: Apache-2.0
 *
 * Where counters files lie, and which of the possible folders can be trusted. Start-up and readers, main thread.
 * A folder in /tmp could have been put there by anybody before us, so it is opened without following a link and
 * judged by what was opened, not by its name.
 */
#include "ops/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum candidate { FROM_SYSTEMD, FROM_RUN, FROM_XDG, FROM_TMP };
_Static_assert(FROM_TMP + 1 == RC_COUNTERS_FOLDERS, "every candidate is shown to readers");

/* False when there is no such candidate. */
static bool name_of(enum candidate which, char out[RC_COUNTERS_PATH_MAX])
{
	const char *env;
	int n = -1;
	switch (which) {
	case FROM_SYSTEMD:
		/* Several folders are separated by colons; the first is the unit's main one. */
		env = getenv("RUNTIME_DIRECTORY");
		if (env != NULL && env[0] == '/')
			n = snprintf(
				out, RC_COUNTERS_PATH_MAX, "%.*s", (int)strcspn(env, ":"), env);
		break;
	case FROM_RUN:
		n = snprintf(out, RC_COUNTERS_PATH_MAX, "/run/ringcast");
		break;
	case FROM_XDG:
		env = getenv("XDG_RUNTIME_DIR");
		if (env != NULL && env[0] == '/')
			n = snprintf(out, RC_COUNTERS_PATH_MAX, "%s/ringcast-%lu", env,
				(unsigned long)geteuid());
		break;
	case FROM_TMP:
		n = snprintf(
			out, RC_COUNTERS_PATH_MAX, "/tmp/ringcast-%lu", (unsigned long)geteuid());
		break;
	}
	return n > 0 && n < RC_COUNTERS_PATH_MAX;
}

/*
 * Only the administrator can put something into /run or the unit's environment, and with DynamicUser= systemd makes
 * the folder a link; elsewhere a link is somebody's trick.
 */
static int open_folder(enum candidate which, const char *path)
{
	bool trusted = which == FROM_SYSTEMD || which == FROM_RUN;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (trusted ? 0 : O_NOFOLLOW));
}

/* The folder, open, when it is one and only this user can write it; else -1 with errno. */
static int open_own(enum candidate which, const char *path)
{
	int fd = open_folder(which, path);
	if (fd < 0)
		return -1;
	struct stat st;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0)
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

static int make_own(enum candidate which, const char *path)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -1;
	return open_own(which, path);
}

int rc_counters_folder(char out[RC_COUNTERS_PATH_MAX], struct rc_error *err)
{
	/* What systemd names is an order; the others are tried in turn. */
	bool ordered = name_of(FROM_SYSTEMD, out);
	for (int which = ordered ? FROM_SYSTEMD : FROM_RUN; which <= FROM_TMP; which++) {
		if (!name_of((enum candidate)which, out))
			continue;
		int fd = make_own((enum candidate)which, out);
		if (fd >= 0)
			return fd;
		if (ordered)
			break;
	}
	if (errno == EPERM || errno == ENOTDIR || errno == ELOOP)
		return rc_error_set(err,
			"%s is not a folder that belongs to this user and that nobody else can write; "
			"remove it, or name a file with the option counters",
			out);
	return rc_error_set(err,
		"can't make the folder %s: %s; name a file with the option counters", out,
		strerror(errno));
}

int rc_counters_folder_at(uint32_t i, char out[RC_COUNTERS_PATH_MAX])
{
	if (i >= RC_COUNTERS_FOLDERS || !name_of((enum candidate)i, out))
		return -1;
	int fd = open_folder((enum candidate)i, out);
	if (fd < 0)
		return -1;
	/* The gateway may run as another user than the one who looks. */
	struct stat st;
	if (fstat(fd, &st) == 0 && (st.st_mode & 022) == 0 &&
		(st.st_uid == geteuid() || i == FROM_SYSTEMD || i == FROM_RUN))
		return fd;
	close(fd);
	return -1;
}
