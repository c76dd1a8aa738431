/* SPDX-License-Identifier: Apache-2.0
 *
 * What the person at the keyboard wants to see, and how keys change it. No I/O. Main thread.
 */
#ifndef RC_CLI_TOPUI_H
#define RC_CLI_TOPUI_H

#include "cli/topkeys.h"
#include "cli/topmodel.h"

#define RC_TOP_FILTER_MAX 47

enum rc_top_view { RC_TOP_OVERVIEW, RC_TOP_SHARDS, RC_TOP_COUNTERS, RC_TOP_VIEW_COUNT };

/* The zero value is the start: the overview. */
struct rc_top_ui {
	enum rc_top_view view;
	enum rc_top_sort sort;
	bool paused;
	bool help;
	bool typing; /* keys go into the filter */
	/*
	 * First row that is shown, by view, behind them that of the help; the drawing brings it into what there is, and says how
	 * many rows it shows and whether there are more below.
	 */
	uint32_t first[RC_TOP_VIEW_COUNT + 1];
	uint32_t page;
	bool more;
	char filter[RC_TOP_FILTER_MAX + 1];
};

/* False: q, the end. */
RC_MUST_USE bool rc_top_ui_key(struct rc_top_ui *ui, uint32_t key);
/* Of what is shown now. */
uint32_t *rc_top_ui_first(struct rc_top_ui *ui);
/* Does the name contain the filter, in any case of letters? */
bool rc_top_ui_passes(const struct rc_top_ui *ui, const char *name);

#endif
