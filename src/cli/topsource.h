/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the model of `ringcast top` gets its snapshots: the counters file of a gateway and, once that has ended, of the one
 * in its place. The gateway is never asked anything: its file is read, and its lock on the file is tried. Main thread.
 *
 *   alive --it ends--> gone, the last snapshot stays --a successor appears--> alive, the model begins anew
 *   alive --its file is cut short--> cut, likewise
 *
 * A successor is whoever lives at the same path, or in the same folder if it started since the other was last seen alive:
 * gateways that ran beside it are none.
 */
#ifndef RC_CLI_TOPSOURCE_H
#define RC_CLI_TOPSOURCE_H

#include "cli/topmodel.h"

struct rc_top_source {
	struct rc_counters_view view; /* closed when the file was cut */
	struct rc_top_model model;
	struct rc_top_snap *target; /* of the look that is going on */
	bool alive, cut;
	uint64_t wall_ms; /* of the last step */
	uint64_t seen_ms; /* when the gateway was last known to live */
};

/* Takes the view over. False when there is no memory; deinit is due all the same. */
bool rc_top_source_init(struct rc_top_source *s, const struct rc_counters_view *v) RC_MUST_USE;
void rc_top_source_deinit(struct rc_top_source *s);
/* One more snapshot, if there is somebody to take it of. False when there is no memory for a successor's. */
bool rc_top_source_step(struct rc_top_source *s) RC_MUST_USE;

#endif
