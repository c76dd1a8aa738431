/* SPDX-License-Identifier: Apache-2.0
 *
 * Small reads of /proc and /sys under a root that tests replace with a folder of their own. The caller's buffers, one
 * thread; nothing is ever written.
 */
#ifndef RC_OPS_HOSTREAD_H
#define RC_OPS_HOSTREAD_H

#include "base/base.h"

#define RC_HOST_TEXT_MAX 4096

/* The file as text, cut at size - 1, without the blanks at its end. 0, or -errno with "" in out. */
int rc_host_read(const char *root, const char *path, char *out, size_t size) RC_MUST_USE;
/* The same of a sysctl by its dotted name. */
int rc_host_sysctl(const char *root, const char *name, char *out, size_t size) RC_MUST_USE;
/* Number `field` (from 0) of those separated by blanks; "max" and "unlimited" are UINT64_MAX. */
bool rc_host_field(const char *text, uint32_t field, uint64_t *out) RC_MUST_USE;
/* What follows `key` at the start of a line, blanks skipped, up to the end of that line; false when there is none. */
bool rc_host_line(const char *text, const char *key, char *out, size_t size) RC_MUST_USE;
/* The word in brackets of "always [madvise] never"; false when there is none. */
bool rc_host_choice(const char *text, char *out, size_t size) RC_MUST_USE;
/* "12", "3 KiB", "1.5 GiB", "no limit". */
void rc_host_bytes(uint64_t bytes, char *out, size_t size);
/* Calls each with the name of every entry of a folder; it returns false to stop. 0, or -errno. */
int rc_host_folder(
	const char *root, const char *path, bool (*each)(void *ctx, const char *name), void *ctx);

#endif
