/* SPDX-License-Identifier: Apache-2.0
 *
 * Short names instead of long ones. Each text that is renamed gets one new name everywhere, in whatever scope it stands, and two texts
 * get the same one only where they never stand in one region: an outermost statement, a member of an outermost class. So within a region
 * what was the same is the same and what was different is different, and scopes need not be understood. Renamed are
 *
 *   - private names, `#name`, which can mean nothing else, and `_name`, a field that only these modules know, wherever it stands
 *   - names that are declared here (const, let, var, function, class, parameters) where they stand for what was declared. Behind a
 *     dot, as a key, as a member of a class the same text is a property and stays; { name } becomes { name: n }. Labels stay, and so
 *     does each name that somewhere stands without its declaration in sight: scope.h.
 *
 * On the way, true and false become !0 and !1, 1000 becomes 1e3, const becomes let, declarations that follow each other become one, and
 * what says nothing goes: a semicolon where a closing brace ends the statement as well, the comma behind the last of a list, brackets
 * around a lone parameter of an arrow.
 */
#ifndef RC_WEB_PACK_RENAME_H
#define RC_WEB_PACK_RENAME_H

#include "text.h"

/* wrapped: its outermost statements stand in the first braces, not around them. */
struct text rename_all(const struct text *code, const char *path, bool wrapped);

#endif
