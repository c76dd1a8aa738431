/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws the views of `ringcast top` into a picture of whatever size. What does not fit is left out, the least important
 * first; from 20 columns and 5 rows on there is something to read. No I/O. Main thread.
 */
#ifndef RC_CLI_TOPDRAW_H
#define RC_CLI_TOPDRAW_H

#include "cli/figures.h"
#include "cli/topmodel.h"
#include "cli/topscreen.h"
#include "cli/topui.h"

struct rc_top_picture {
	struct rc_top_screen *screen;
	const struct rc_top_model *model; /* with one snapshot at least */
	struct rc_top_ui *ui;
	bool alive;       /* the gateway is */
	bool cut;         /* its counters file was cut short */
	uint64_t wall_ms; /* now */
	uint64_t seen_ms; /* when it was last known to live */
};

void rc_top_draw(const struct rc_top_picture *p);

/* ---- for the files of the views: they draw from `row` on, above `bottom` ------------------------ */

void rc_top_draw_overview(const struct rc_top_picture *p, uint32_t row, uint32_t bottom);
void rc_top_draw_shards(const struct rc_top_picture *p, uint32_t row, uint32_t bottom);
void rc_top_draw_counters(const struct rc_top_picture *p, uint32_t row, uint32_t bottom);
void rc_top_draw_help(const struct rc_top_picture *p, uint32_t row, uint32_t bottom);
/* These return the row behind what they drew. */
uint32_t rc_top_draw_summary(const struct rc_top_picture *p, uint32_t row);
uint32_t rc_top_draw_troubles(const struct rc_top_picture *p, uint32_t row, uint32_t bottom);
uint32_t rc_top_draw_closes(const struct rc_top_picture *p, uint32_t row, uint32_t bottom);
/* Rows `first` on of the table of shards, with a line of titles above. */
uint32_t rc_top_draw_shard_table(
	const struct rc_top_picture *p, uint32_t row, uint32_t bottom, uint32_t first);
/* Brings the first row that is shown to where a page full of `count` rows follows, and returns it. */
uint32_t rc_top_settle(const struct rc_top_picture *p, uint32_t count, uint32_t page);
/* "5 s", "0.1 s" */
const char *rc_top_span_text(double seconds, char out[RC_FIGURE_SIZE]);

#endif
