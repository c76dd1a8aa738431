/* SPDX-License-Identifier: Apache-2.0
 *
 * What is declared where. Of each declaration the tokens are known from which it is in sight; where the end of that is hard to tell it
 * is taken to be nearer than it is. A word that stands outside of all of them is free: whoever declares it may be the browser, so it
 * is not renamed, nowhere.
 */
#ifndef RC_WEB_PACK_SCOPE_H
#define RC_WEB_PACK_SCOPE_H

#include "code.h"

/* Sets what words are declared, free and outermost. */
void scope_find(struct code *c);

#endif
