/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder of its own for a test, and small files in it. Everything ends the test when it fails.
 */
#ifndef RC_TEST_OPS_TREE_H
#define RC_TEST_OPS_TREE_H

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TREE_PATH 512

static inline void tree_make(char root[TREE_PATH])
{
	const char *tmp = getenv("TMPDIR");
	snprintf(root, TREE_PATH, "%s/rc-ops-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(root));
}

static inline int tree_remove_one(
	const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline void tree_remove(const char *root)
{
	assert_int_equal(nftw(root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Makes the folders above it as well. */
static inline void tree_write(const char *root, const char *path, const char *text)
{
	char full[2 * TREE_PATH];
	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = strchr(full + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
		*p = '/';
	}
	FILE *f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline void tree_unlink(const char *root, const char *path)
{
	char full[2 * TREE_PATH];
	snprintf(full, sizeof(full), "%s%s", root, path);
	assert_int_equal(unlink(full), 0);
}

/* Up to size - 1 bytes, as text. */
static inline size_t tree_read(const char *root, const char *path, char *out, size_t size)
{
	char full[2 * TREE_PATH];
	snprintf(full, sizeof(full), "%s%s", root, path);
	FILE *f = fopen(full, "r");
	assert_non_null(f);
	size_t len = fread(out, 1, size - 1, f);
	fclose(f);
	out[len] = '\0';
	return len;
}

#endif
