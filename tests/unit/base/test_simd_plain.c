/* SPDX-License-Identifier: Apache-2.0
 *
 * The same without the instructions of any machine: what a third one would run.
 */
#define RC_SIMD_PLAIN
#include "base/utf8.c"

#include "test_simd.c"
