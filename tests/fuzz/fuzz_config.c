/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files from anybody. Whatever was taken is within its bounds, is written so that it can be read again, and
 * is then the same; a refusal leaves a reason; and the same file read twice gives the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/apply.h"
#include "config/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_config config, again;
static struct rc_config_report report, second;

static void check_row(uint32_t row, uint32_t ns)
{
	const struct rc_option *o = &rc_options[row];
	const void *field = rc_config_field(&config, row, ns);
	char text[RC_VALUE_TEXT_SIZE], why[RC_VALUE_WHY_SIZE];
	union rc_value value;

	rc_value_format(o, field, text);
	RC_ASSERT(rc_value_parse(o, &value, text, why) == 0);
	RC_ASSERT(memcmp(&value, field, o->size) == 0);
}

static void check_values_can_be_written_and_read(void)
{
	uint32_t first_ns = rc_option_first_namespace();

	RC_ASSERT(config.namespace_count <= RC_CONFIG_NAMESPACES_MAX);
	for (uint32_t row = 0; row < rc_option_count; row++)
		for (uint32_t ns = 0; ns <= (row < first_ns ? 0 : config.namespace_count); ns++)
			check_row(row, ns);
}

static void check_printout_reads_back(void)
{
	uint32_t secret = rc_option_find("ingest", "token");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	RC_ASSERT(out);
	rc_config_print(&config, out);
	fclose(out);
	memset(&second, 0, sizeof(second));
	rc_config_init(&again);
	RC_ASSERT(rc_config_load_text(&again, "printed", text, len, &second) == 0);
	free(text);

	RC_ASSERT(again.namespace_count == config.namespace_count);
	for (uint32_t row = 0; row < rc_option_count; row++)
		for (uint32_t ns = 0; ns <= config.namespace_count; ns++)
			RC_ASSERT(row == secret || memcmp(rc_config_field(&config, row, ns),
							   rc_config_field(&again, row, ns),
							   rc_options[row].size) == 0);
}

static void check_reading_again_gives_the_same(const char *text, size_t size)
{
	memset(&second, 0, sizeof(second));
	rc_config_init(&again);
	(void)!rc_config_load_text(&again, "fuzz", text, size, &second);
	RC_ASSERT(memcmp(&again, &config, sizeof(config)) == 0);
	RC_ASSERT(memcmp(&second, &report, sizeof(report)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	int rc;

	memset(&report, 0, sizeof(report));
	rc_config_init(&config);
	rc = rc_config_load_text(&config, "fuzz", text, size, &report);
	RC_ASSERT((rc == 0) == (report.errors == 0));
	RC_ASSERT(rc == 0 || report.error[0][0]);
	check_values_can_be_written_and_read();
	check_reading_again_gives_the_same(text, size);

	/* Not a path that the fuzzer thought of. */
	memset(config.ingest_token_file, 0, sizeof(config.ingest_token_file));
	(void)!rc_config_finish(&config, &report);
	check_printout_reads_back();
	return 0;
}
