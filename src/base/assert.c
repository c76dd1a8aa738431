/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

void rc_assert_failed(const char *file, int line, const char *cond)
{
	(void)fprintf(stderr, "ringcast: %s:%d: assertion failed: %s\n", file, line, cond);
	abort();
}
