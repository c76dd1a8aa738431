/* SPDX-License-Identifier: Apache-2.0
 *
 * Modules that become one. They stand in it in the order in which they are needed, without their imports and exports, so their
 * outermost names must differ; that, and that what is imported is exported, is checked.
 */
#ifndef RC_WEB_PACK_MODULE_H
#define RC_WEB_PACK_MODULE_H

#include "text.h"

struct names {
	struct text text; /* each with a NUL behind it */
	size_t count;
};

struct bundle {
	struct text code;
	struct names exports; /* of the module that it began with */
};

enum bundle_form {
	BUNDLE_MODULE,  /* with the exports at its end */
	BUNDLE_CLASSIC, /* a script: the exports are members of one global */
	BUNDLE_PAGE,    /* nobody imports it */
};

/* global: of the classic form. */
struct text bundle_make(const char *entry, enum bundle_form form, const char *global);
/* One module as it is, with its imports: only comments and blanks go. */
struct text module_strip(const char *path);

#endif
