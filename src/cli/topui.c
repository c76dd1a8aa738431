/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and what they do; the contract is in topui.h.
 */
#include "cli/topui.h"

uint32_t *rc_top_ui_first(struct rc_top_ui *ui)
{
	return &ui->first[ui->help ? RC_TOP_VIEW_COUNT : ui->view];
}

static void scroll(struct rc_top_ui *ui, uint32_t key)
{
	uint32_t *first = rc_top_ui_first(ui);
	uint32_t step = key == RC_KEY_PAGE_UP || key == RC_KEY_PAGE_DOWN ? RC_MAX(ui->page, 1u) : 1;
	switch (key) {
	case RC_KEY_UP:
	case RC_KEY_PAGE_UP:
		*first -= RC_MIN(*first, step);
		break;
	case RC_KEY_DOWN:
	case RC_KEY_PAGE_DOWN:
		*first += RC_MIN(step, UINT32_MAX - *first);
		break;
	case RC_KEY_HOME:
		*first = 0;
		break;
	case RC_KEY_END:
		*first = UINT32_MAX;
		break;
	default:
		break;
	}
}

static void type(struct rc_top_ui *ui, uint32_t key)
{
	size_t len = strlen(ui->filter);
	switch (key) {
	case RC_KEY_ESCAPE:
		ui->filter[0] = '\0';
		ui->typing = false;
		break;
	case RC_KEY_ENTER:
		ui->typing = false;
		break;
	case RC_KEY_BACKSPACE:
		if (len > 0)
			ui->filter[len - 1] = '\0';
		else
			ui->typing = false;
		break;
	case RC_KEY_ERASE_LINE:
		ui->filter[0] = '\0';
		break;
	default:
		if (key >= ' ' && key <= '~' && len < RC_TOP_FILTER_MAX) {
			ui->filter[len] = (char)key;
			ui->filter[len + 1] = '\0';
		} else {
			scroll(ui, key);
			return;
		}
		break;
	}
	ui->first[RC_TOP_COUNTERS] = 0;
}

static void show(struct rc_top_ui *ui, enum rc_top_view view)
{
	ui->view = view;
	ui->help = false;
}

bool rc_top_ui_key(struct rc_top_ui *ui, uint32_t key)
{
	if (key == RC_KEY_END_OF_FILE)
		return false;
	if (ui->typing) {
		type(ui, key);
		return true;
	}
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 'p':
	case ' ':
		ui->paused = !ui->paused;
		break;
	case 's':
		ui->sort = (ui->sort + 1) % RC_TOP_SORT_COUNT;
		break;
	case 'S':
		ui->sort = (ui->sort + RC_TOP_SORT_COUNT - 1) % RC_TOP_SORT_COUNT;
		break;
	case '1':
		show(ui, RC_TOP_OVERVIEW);
		break;
	case '2':
		show(ui, RC_TOP_SHARDS);
		break;
	case '3':
		show(ui, RC_TOP_COUNTERS);
		break;
	case RC_KEY_TAB:
	case RC_KEY_RIGHT:
		show(ui, (ui->view + 1) % RC_TOP_VIEW_COUNT);
		break;
	case RC_KEY_BACK_TAB:
	case RC_KEY_LEFT:
		show(ui, (ui->view + RC_TOP_VIEW_COUNT - 1) % RC_TOP_VIEW_COUNT);
		break;
	case '/':
		show(ui, RC_TOP_COUNTERS);
		ui->typing = true;
		break;
	case '?':
	case 'h':
		ui->help = !ui->help;
		ui->first[RC_TOP_VIEW_COUNT] = 0;
		break;
	case RC_KEY_ESCAPE:
		if (!ui->help)
			ui->filter[0] = '\0';
		ui->help = false;
		break;
	default:
		scroll(ui, key);
		break;
	}
	return true;
}

bool rc_top_ui_passes(const struct rc_top_ui *ui, const char *name)
{
	return strcasestr(name, ui->filter) != NULL;
}
