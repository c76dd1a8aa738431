/* SPDX-License-Identifier: Apache-2.0
 *
 * Small files, such as those with keys in them: read whole, and looked at whether they have changed. Main thread.
 */
#ifndef RC_BASE_FILE_H
#define RC_BASE_FILE_H

#include "base/error.h"

#define RC_FILE_MAX ((size_t)1 << 20)

/* Zero-terminated behind its bytes. */
struct rc_file {
	char *bytes;
	size_t len;
	bool open_to_all; /* everybody may read it */
};

/* 0, or -1 with the file and what is wrong with it. */
int rc_file_read(struct rc_file *f, const char *path, struct rc_error *err) RC_MUST_USE;
/* Wipes it too. */
void rc_file_free(struct rc_file *f);
/* Another number when the file is another one, or was written to, or is there no more. "": always the same. */
uint64_t rc_file_stamp(uint64_t stamp, const char *path);

#endif
