/* SPDX-License-Identifier: Apache-2.0
 *
 * The profiles of targets/, built in: what the assembler puts between two labels of read-only memory. A new file needs a line in PROFILES, in
 * the order in which they are listed.
 */
#include "profile.h"

#define PROFILES(X)  \
	X(ringcast)  \
	X(filtered)  \
	X(floor)     \
	X(nats)      \
	X(nchan)     \
	X(mosquitto) \
	X(ws)        \
	X(socketio)  \
	X(websocket)

#define EMBED(name)                                              \
	__asm__(".pushsection .rodata\n"                         \
		"load_profile_" #name ":\n"                      \
		".incbin \"bench/load/targets/" #name ".ini\"\n" \
		"load_profile_" #name "_end:\n"                  \
		".byte 0\n"                                      \
		".popsection\n");                                \
	extern const char load_profile_##name[], load_profile_##name##_end[];

PROFILES(EMBED)

#define ENTRY(name) {#name, load_profile_##name, load_profile_##name##_end},

const struct load_profile load_profiles[] = {PROFILES(ENTRY)};
const uint32_t load_profile_count = RC_ARRAY_LEN(load_profiles);
