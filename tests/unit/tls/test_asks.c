/* SPDX-License-Identifier: Apache-2.0
 *
 * What alerts and handshake messages after the handshake ask for, in either version.
 */
#include "../unit.h"
#include "tls/record.h"

static void what_records_that_are_no_data_ask_for(void **state)
{
	enum {
		UNEXPECTED = -RC_TLS_ALERT_UNEXPECTED_MESSAGE,
		DECODE = -RC_TLS_ALERT_DECODE_ERROR,
		ILLEGAL = -RC_TLS_ALERT_ILLEGAL_PARAMETER
	};
	static const struct {
		int type;
		uint32_t len;
		const char *data;
		int in_12, in_13;
	} rows[] = {
		{21, 2, "\1\0", RC_TLS_ASKS_CLOSE, RC_TLS_ASKS_CLOSE},
		{21, 2, "\2\0", RC_TLS_ASKS_END, RC_TLS_ASKS_CLOSE},
		{21, 2, "\1\x5a", RC_TLS_ASKS_NOTHING, RC_TLS_ASKS_NOTHING},
		{21, 2, "\2\x5a", RC_TLS_ASKS_END, RC_TLS_ASKS_NOTHING},
		{21, 2, "\1\x64", RC_TLS_ASKS_NOTHING, RC_TLS_ASKS_END},
		{21, 2, "\2\x14", RC_TLS_ASKS_END, RC_TLS_ASKS_END},
		{21, 2, "\1\x2a", RC_TLS_ASKS_END, RC_TLS_ASKS_END},
		{21, 2, "\3\x14", ILLEGAL, RC_TLS_ASKS_END},
		{21, 1, "\1", DECODE, DECODE},
		{21, 4, "\1\0\1\0", DECODE, DECODE},
		{21, 0, "", UNEXPECTED, UNEXPECTED},
		{22, 0, "", UNEXPECTED, UNEXPECTED},
		{22, 5, "\x18\0\0\1\0", UNEXPECTED, RC_TLS_ASKS_UPDATE},
		{22, 5, "\x18\0\0\1\1", UNEXPECTED, RC_TLS_ASKS_UPDATE_BOTH},
		{22, 5, "\x18\0\0\1\2", UNEXPECTED, ILLEGAL},
		{22, 5, "\x18\0\0\2\0", UNEXPECTED, DECODE},
		{22, 5, "\x18\1\0\1\0", UNEXPECTED, DECODE},
		{22, 4, "\x18\0\0\1", UNEXPECTED, UNEXPECTED},
		{22, 10, "\x18\0\0\1\0\x18\0\0\1\0", UNEXPECTED, UNEXPECTED},
		{22, 5, "\1\0\0\1\0", -RC_TLS_ALERT_NO_RENEGOTIATION, UNEXPECTED},
		{22, 1, "\1", -RC_TLS_ALERT_NO_RENEGOTIATION, UNEXPECTED},
		{22, 4, "\0\0\0\0", UNEXPECTED, UNEXPECTED},
		{22, 4, "\x0b\0\0\0", UNEXPECTED, UNEXPECTED},
		{20, 1, "\1", UNEXPECTED, UNEXPECTED},
		{24, 4, "\1\0\1x", UNEXPECTED, UNEXPECTED},
		{0, 1, "\1", UNEXPECTED, UNEXPECTED},
	};

	(void)state;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(rows); i++) {
		const unsigned char *data = (const unsigned char *)rows[i].data;
		assert_int_equal(rc_tls_asks(RC_TLS_1_2, (uint8_t)rows[i].type, data, rows[i].len),
			rows[i].in_12);
		assert_int_equal(rc_tls_asks(RC_TLS_1_3, (uint8_t)rows[i].type, data, rows[i].len),
			rows[i].in_13);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_records_that_are_no_data_ask_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
