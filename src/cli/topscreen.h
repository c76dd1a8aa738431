/* SPDX-License-Identifier: Apache-2.0
 *
 * A picture of `ringcast top`: a grid of cells, each a glyph with a style, that is drawn anew each time and turned into
 * the bytes that change what a terminal shows into it. What lies outside is clipped, and no byte that could steer a
 * terminal gets in, so a picture is never wider or higher than its terminal. ANSI escapes and no ncurses: what is needed of
 * it is six sequences that every terminal of today knows, and the program stays without a library more.
 */
#ifndef RC_CLI_TOPSCREEN_H
#define RC_CLI_TOPSCREEN_H

#include "base/base.h"

#define RC_TOP_WIDTH_MAX  512u
#define RC_TOP_HEIGHT_MAX 256u

/* Colour is never all that tells something: the words do. */
enum rc_top_style {
	RC_TOP_PLAIN,
	RC_TOP_HEAD,
	RC_TOP_FAINT,
	RC_TOP_GOOD,
	RC_TOP_WARN,
	RC_TOP_BAD,
	RC_TOP_GRAPH,
	RC_TOP_REVERSED,
	RC_TOP_STYLE_COUNT
};

/* Printable ASCII is its own glyph; from these on there are eight heights and eight widths of a bar. */
enum { RC_TOP_GLYPH_HEIGHT = 0x80, RC_TOP_GLYPH_WIDTH = 0x88, RC_TOP_GLYPH_END = 0x90 };

struct rc_top_cell {
	unsigned char glyph;
	unsigned char style;
};

struct rc_top_screen {
	uint32_t width, height;
	bool utf8, colour;
	bool stale;                /* the terminal shows something else than `shown` */
	struct rc_top_cell *cell;  /* the picture, row by row */
	struct rc_top_cell *shown; /* what the terminal shows */
	char *bytes;               /* room for a whole picture */
	struct {
		uint32_t from, to, lift;
	} window; /* to = 0: none */
};

/* Sizes are brought into 1 to the maxima. False when there is no memory; deinit is valid then as well, and on the zero value. */
bool rc_top_screen_init(struct rc_top_screen *s, uint32_t width, uint32_t height) RC_MUST_USE;
void rc_top_screen_deinit(struct rc_top_screen *s);
void rc_top_screen_clear(struct rc_top_screen *s);

/*
 * What is put into rows `from` on is shown `lift` rows higher, as far as that is between `from` and `to`: a sheet that is
 * higher than the room for it. 0, 0, 0 ends that.
 */
void rc_top_window(struct rc_top_screen *s, uint32_t from, uint32_t to, uint32_t lift);

/* Each returns the column behind what was put, whether or not it was within the picture. */
uint32_t rc_top_put(struct rc_top_screen *s, uint32_t row, uint32_t col, enum rc_top_style style,
	const char *text);
uint32_t rc_top_putf(struct rc_top_screen *s, uint32_t row, uint32_t col, enum rc_top_style style,
	const char *format, ...) RC_PRINTF(5, 6);
/* Ends before column end; what is longer loses its beginning. */
void rc_top_put_right(struct rc_top_screen *s, uint32_t row, uint32_t end, enum rc_top_style style,
	const char *text);
/* A bar of `share` (0 to 1, NAN is none) of the width. */
void rc_top_put_bar(
	struct rc_top_screen *s, uint32_t row, uint32_t col, uint32_t width, double share);
/* One column of a course, as high as share says: NAN is empty, and what is above 0 is seen. */
void rc_top_put_height(struct rc_top_screen *s, uint32_t row, uint32_t col, double share);

/* The bytes for the terminal, valid until the next call; 0 when it shows this already. */
size_t rc_top_screen_bytes(struct rc_top_screen *s);

/*
 * Items that stand behind one another in a row and go on in the next one when they do not fit. Begins in `row` behind
 * `indent` columns.
 */
struct rc_top_flow {
	struct rc_top_screen *screen;
	uint32_t row, col, indent;
};
struct rc_top_flow rc_top_flow(struct rc_top_screen *s, uint32_t row, uint32_t indent);
void rc_top_flow_item(struct rc_top_flow *f, enum rc_top_style style, const char *format, ...)
	RC_PRINTF(3, 4);

#endif
