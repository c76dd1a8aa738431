/* SPDX-License-Identifier: Apache-2.0
 *
 * "After start nothing on the data path allocates", made a fact. A thread seals itself when its start is done; from then
 * on malloc, calloc, realloc and aligned_alloc called from our own objects on that thread end a debug build with a
 * message. Libraries' own allocations are not seen. Costs nothing and checks nothing in a release build.
 *
 * Works by the linker: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc. Without these flags the
 * program links and runs the same, unchecked.
 */
#ifndef RC_MEM_SEAL_H
#define RC_MEM_SEAL_H

#include "base/base.h"

/* From here on the calling thread may not allocate. */
void rc_seal_thread(void);
/* For the few places at shutdown that may. Pairs may nest; on a thread that is not sealed they do nothing. */
void rc_seal_suspend(void);
void rc_seal_resume(void);
/* Is anybody looking? True in a debug build that was linked with the flags above. */
bool rc_seal_enforced(void);

#endif
