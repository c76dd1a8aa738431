/* SPDX-License-Identifier: Apache-2.0
 *
 * Short names instead of long ones. Each text that is renamed gets one new name everywhere, in whatever scope it stands: so scopes need
 * not be understood, and what was the same is the same, what was different is different. Renamed are
 *
 *   - private names, `#name`, which can mean nothing else
 *   - names that are declared here (const, let, function, class, parameters) where they stand for what was declared. Behind a dot, as
 *     a key, as a member of a class the same text is a property and stays; { name } becomes { name: n }. Labels are left alone, and so
 *     are the globals of browsers and Node that are listed.
 *
 * So no module may use a global that is not listed where another declares a name like it: the tests run what comes out.
 */
#ifndef RC_WEB_PACK_RENAME_H
#define RC_WEB_PACK_RENAME_H

#include "text.h"

struct text rename_all(const struct text *code, const char *path);

#endif
