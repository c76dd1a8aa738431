/* SPDX-License-Identifier: Apache-2.0
 *
 * Short names instead of long ones. Each text that is renamed gets one new name everywhere, in whatever scope it stands, and two texts
 * get the same one only where they never stand in one region: an outermost statement, a member of an outermost class. So within a region
 * what was the same is the same and what was different is different, and scopes need not be understood. Renamed are
 *
 *   - private names, `#name`, which can mean nothing else, and `_name`, a field that only these modules know, wherever it stands
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
