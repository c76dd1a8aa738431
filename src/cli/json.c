/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings of JSON for what the subcommands print; the contract is in json.h.
 */
#include "cli/json.h"

void rc_json_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ')
			fprintf(out, "\\u%04x", c);
		else
			putc(c, out);
	}
	putc('"', out);
}
