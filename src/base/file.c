/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(struct rc_file *f, int fd, const char *path, struct rc_error *err)
{
	ssize_t got = 1;

	f->bytes = malloc(RC_FILE_MAX + 1);
	if (!f->bytes)
		return rc_error_set(err, "%s: no memory to read it", path);
	while (f->len < RC_FILE_MAX && got > 0) {
		got = read(fd, f->bytes + f->len, RC_FILE_MAX - f->len);
		if (got < 0)
			return rc_error_set(err, "%s: can't be read: %s", path, strerror(errno));
		f->len += (size_t)got;
	}
	if (f->len == RC_FILE_MAX)
		return rc_error_set(err, "%s: larger than 1 MiB; is it the right file?", path);
	f->bytes[f->len] = 0;
	return 0;
}

int rc_file_read(struct rc_file *f, const char *path, struct rc_error *err)
{
	/* O_NONBLOCK: a FIFO by mistake must not hold up the start. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = -1;
	struct stat st;

	memset(f, 0, sizeof(*f));
	if (fd < 0)
		return rc_error_set(err, "%s: can't be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		(void)rc_error_set(err, "%s: is not a file", path);
	else
		rc = read_all(f, fd, path, err);
	f->open_to_all = rc == 0 && (st.st_mode & S_IROTH) != 0;
	(void)close(fd);
	if (rc != 0)
		rc_file_free(f);
	return rc;
}

void rc_file_free(struct rc_file *f)
{
	if (f->bytes)
		explicit_bzero(f->bytes, f->len);
	free(f->bytes);
	memset(f, 0, sizeof(*f));
}

/* Not for tables: nobody has a reason to make two states of his own files look the same. */
static uint64_t mix(uint64_t stamp, uint64_t word)
{
	stamp = (stamp ^ word) * 0x9e3779b97f4a7c15u;
	return stamp ^ stamp >> 32;
}

uint64_t rc_file_stamp(uint64_t stamp, const char *path)
{
	struct stat st;

	if (!path[0])
		return mix(stamp, 1);
	if (stat(path, &st) < 0)
		return mix(stamp, 2);
	stamp = mix(stamp, (uint64_t)st.st_dev);
	stamp = mix(stamp, (uint64_t)st.st_ino);
	stamp = mix(stamp, (uint64_t)st.st_size);
	stamp = mix(stamp, (uint64_t)st.st_mtim.tv_sec);
	return mix(stamp, (uint64_t)st.st_mtim.tv_nsec);
}
