/* SPDX-License-Identifier: Apache-2.0
 *
 * Cells, and the bytes for a terminal; the contract is in topscreen.h.
 */
#include "cli/topscreen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of one cell: a change of style and a glyph. Of one row: where it begins. */
#define CELL_BYTES_MAX 16
#define ROW_BYTES_MAX  32
#define TEXT_MAX       (2 * RC_TOP_WIDTH_MAX)

static const char *const colour_of[RC_TOP_STYLE_COUNT] = {
	[RC_TOP_PLAIN] = "\033[0m",
	[RC_TOP_HEAD] = "\033[0;1m",
	[RC_TOP_FAINT] = "\033[0;2m",
	[RC_TOP_GOOD] = "\033[0;32m",
	[RC_TOP_WARN] = "\033[0;33m",
	[RC_TOP_BAD] = "\033[0;1;31m",
	[RC_TOP_GRAPH] = "\033[0;36m",
	[RC_TOP_REVERSED] = "\033[0;7m",
};
static const char *const plain_of[RC_TOP_STYLE_COUNT] = {
	[RC_TOP_PLAIN] = "\033[0m",
	[RC_TOP_HEAD] = "\033[0;1m",
	[RC_TOP_FAINT] = "\033[0;2m",
	[RC_TOP_GOOD] = "\033[0m",
	[RC_TOP_WARN] = "\033[0;1m",
	[RC_TOP_BAD] = "\033[0;1m",
	[RC_TOP_GRAPH] = "\033[0m",
	[RC_TOP_REVERSED] = "\033[0;7m",
};

/* U+2581 to U+2588, and U+258F back to U+2588: one column wide in every terminal. */
static const char *const utf8_of[] = {
	"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
static const char ascii_of[] = "_.:-=+*#    ####";
_Static_assert(RC_ARRAY_LEN(utf8_of) == RC_TOP_GLYPH_END - RC_TOP_GLYPH_HEIGHT, "all glyphs");
_Static_assert(sizeof(ascii_of) - 1 == RC_ARRAY_LEN(utf8_of), "in both forms");

/* ---- life ----------------------------------------------------------------------------------- */

bool rc_top_screen_init(struct rc_top_screen *s, uint32_t width, uint32_t height)
{
	*s = (struct rc_top_screen){.width = RC_MIN(RC_MAX(width, 1u), RC_TOP_WIDTH_MAX),
		.height = RC_MIN(RC_MAX(height, 1u), RC_TOP_HEIGHT_MAX),
		.stale = true};
	size_t cells = (size_t)s->width * s->height;
	s->cell = calloc(cells, sizeof(s->cell[0]));
	s->shown = calloc(cells, sizeof(s->shown[0]));
	s->bytes = malloc(cells * CELL_BYTES_MAX + (size_t)s->height * ROW_BYTES_MAX);
	if (s->cell == NULL || s->shown == NULL || s->bytes == NULL)
		return false;
	rc_top_screen_clear(s);
	return true;
}

void rc_top_screen_deinit(struct rc_top_screen *s)
{
	free(s->cell);
	free(s->shown);
	free(s->bytes);
	*s = (struct rc_top_screen){0};
}

void rc_top_screen_clear(struct rc_top_screen *s)
{
	for (size_t i = 0; i < (size_t)s->width * s->height; i++)
		s->cell[i] = (struct rc_top_cell){' ', RC_TOP_PLAIN};
}

/* ---- putting -------------------------------------------------------------------------------- */

void rc_top_window(struct rc_top_screen *s, uint32_t from, uint32_t to, uint32_t lift)
{
	s->window.from = from;
	s->window.to = to;
	s->window.lift = lift;
}

static void put_glyph(struct rc_top_screen *s, uint32_t row, uint32_t col, enum rc_top_style style,
	unsigned char glyph)
{
	if (s->window.to > 0) {
		if (row < s->window.from || row - s->window.from < s->window.lift)
			return;
		row -= s->window.lift;
		if (row >= s->window.to)
			return;
	}
	if (row < s->height && col < s->width)
		s->cell[(size_t)row * s->width + col] =
			(struct rc_top_cell){glyph, (unsigned char)style};
}

uint32_t rc_top_put(struct rc_top_screen *s, uint32_t row, uint32_t col, enum rc_top_style style,
	const char *text)
{
	for (; *text != '\0'; text++, col++)
		put_glyph(s, row, col, style,
			*text < ' ' || *text > '~' ? '?' : (unsigned char)*text);
	return col;
}

uint32_t rc_top_putf(struct rc_top_screen *s, uint32_t row, uint32_t col, enum rc_top_style style,
	const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return rc_top_put(s, row, col, style, text);
}

void rc_top_put_right(struct rc_top_screen *s, uint32_t row, uint32_t end, enum rc_top_style style,
	const char *text)
{
	size_t len = strlen(text);
	size_t cut = len > end ? len - end : 0;
	rc_top_put(s, row, end - (uint32_t)(len - cut), style, text + cut);
}

void rc_top_put_bar(
	struct rc_top_screen *s, uint32_t row, uint32_t col, uint32_t width, double share)
{
	/* Not `share <= 0`: NAN is no bar either. */
	if (!(share > 0))
		return;
	uint32_t eighths = (uint32_t)(RC_MIN(share, 1.0) * width * 8 + 0.5);
	for (; eighths >= 8; eighths -= 8)
		put_glyph(s, row, col++, RC_TOP_GRAPH, RC_TOP_GLYPH_WIDTH + 7);
	if (eighths > 0)
		put_glyph(s, row, col, RC_TOP_GRAPH,
			(unsigned char)(RC_TOP_GLYPH_WIDTH + eighths - 1));
}

void rc_top_put_height(struct rc_top_screen *s, uint32_t row, uint32_t col, double share)
{
	if (!(share >= 0))
		return;
	uint32_t eighths = (uint32_t)(RC_MIN(share, 1.0) * 8 + 0.5);
	eighths = RC_MAX(eighths, 1u);
	put_glyph(s, row, col, RC_TOP_GRAPH, (unsigned char)(RC_TOP_GLYPH_HEIGHT + eighths - 1));
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static char *append(char *to, const char *text)
{
	size_t len = strlen(text);
	memcpy(to, text, len);
	return to + len;
}

static char *append_row(const struct rc_top_screen *s, char *to, uint32_t row)
{
	const struct rc_top_cell *cell = &s->cell[(size_t)row * s->width];
	const char *const *style_of = s->colour ? colour_of : plain_of;
	const char *style = plain_of[RC_TOP_PLAIN];
	/* Blanks at the end are erased and not written. */
	uint32_t end = s->width;
	while (end > 0 && cell[end - 1].glyph == ' ' && cell[end - 1].style != RC_TOP_REVERSED)
		end--;
	to += snprintf(to, ROW_BYTES_MAX, "\033[%u;1H\033[0m", row + 1);
	for (uint32_t col = 0; col < end; col++) {
		unsigned char glyph = cell[col].glyph;
		if (strcmp(style_of[cell[col].style], style) != 0) {
			style = style_of[cell[col].style];
			to = append(to, style);
		}
		if (glyph < RC_TOP_GLYPH_HEIGHT)
			*to++ = (char)glyph;
		else if (s->utf8)
			to = append(to, utf8_of[glyph - RC_TOP_GLYPH_HEIGHT]);
		else
			*to++ = ascii_of[glyph - RC_TOP_GLYPH_HEIGHT];
	}
	/* Behind the last column there is nothing to erase, and the cursor may stand on it still. */
	return end < s->width ? append(to, "\033[0m\033[K") : append(to, "\033[0m");
}

size_t rc_top_screen_bytes(struct rc_top_screen *s)
{
	size_t row_size = s->width * sizeof(s->cell[0]);
	char *to = s->bytes;
	for (uint32_t row = 0; row < s->height; row++) {
		size_t at = (size_t)row * s->width;
		if (s->stale || memcmp(&s->cell[at], &s->shown[at], row_size) != 0)
			to = append_row(s, to, row);
	}
	memcpy(s->shown, s->cell, row_size * s->height);
	s->stale = false;
	return (size_t)(to - s->bytes);
}

/* ---- flows ---------------------------------------------------------------------------------- */

struct rc_top_flow rc_top_flow(struct rc_top_screen *s, uint32_t row, uint32_t indent)
{
	return (struct rc_top_flow){s, row, indent, indent};
}

void rc_top_flow_item(struct rc_top_flow *f, enum rc_top_style style, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (f->col > f->indent && f->col + strlen(text) > f->screen->width) {
		f->row++;
		f->col = f->indent;
	}
	/* Two columns to the next one. */
	f->col = rc_top_put(f->screen, f->row, f->col, style, text) + 2;
}
