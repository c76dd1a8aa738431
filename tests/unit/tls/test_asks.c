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
		uint8_t type;
		const char *data;
		uint32_t len;
		int in_12, in_13;
	} rows[] = {
		{21, "\1\0", 2, RC_TLS_ASKS_CLOSE, RC_TLS_ASKS_CLOSE},
		{21, "\2\0", 2, RC_TLS_ASKS_END, RC_TLS_ASKS_CLOSE},
		{21, "\1\x5a", 2, RC_TLS_ASKS_NOTHING, RC_TLS_ASKS_NOTHING},
		{21, "\2\x5a", 2, RC_TLS_ASKS_END, RC_TLS_ASKS_NOTHING},
		{21, "\1\x64", 2, RC_TLS_ASKS_NOTHING, RC_TLS_ASKS_END},
		{21, "\2\x14", 2, RC_TLS_ASKS_END, RC_TLS_ASKS_END},
		{21, "\1\x2a", 2, RC_TLS_ASKS_END, RC_TLS_ASKS_END},
		{21, "\3\x14", 2, ILLEGAL, RC_TLS_ASKS_END},
		{21, "\1", 1, DECODE, DECODE},
		{21, "\1\0\1\0", 4, DECODE, DECODE},
		{21, "", 0, UNEXPECTED, UNEXPECTED},
		{22, "", 0, UNEXPECTED, UNEXPECTED},
		{22, "\x18\0\0\1\0", 5, UNEXPECTED, RC_TLS_ASKS_UPDATE},
		{22, "\x18\0\0\1\1", 5, UNEXPECTED, RC_TLS_ASKS_UPDATE_BOTH},
		{22, "\x18\0\0\1\2", 5, UNEXPECTED, ILLEGAL},
		{22, "\x18\0\0\2\0", 5, UNEXPECTED, DECODE},
		{22, "\x18\1\0\1\0", 5, UNEXPECTED, DECODE},
		{22, "\x18\0\0\1", 4, UNEXPECTED, UNEXPECTED},
		{22, "\x18\0\0\1\0\x18\0\0\1\0", 10, UNEXPECTED, UNEXPECTED},
		{22, "\1\0\0\1\0", 5, -RC_TLS_ALERT_NO_RENEGOTIATION, UNEXPECTED},
		{22, "\1", 1, -RC_TLS_ALERT_NO_RENEGOTIATION, UNEXPECTED},
		{22, "\0\0\0\0", 4, UNEXPECTED, UNEXPECTED},
		{22, "\x0b\0\0\0", 4, UNEXPECTED, UNEXPECTED},
		{20, "\1", 1, UNEXPECTED, UNEXPECTED},
		{24, "\1\0\1x", 4, UNEXPECTED, UNEXPECTED},
		{0, "\1", 1, UNEXPECTED, UNEXPECTED},
	};

	(void)state;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(rows); i++) {
		const unsigned char *data = (const unsigned char *)rows[i].data;
		assert_int_equal(
			rc_tls_asks(RC_TLS_1_2, rows[i].type, data, rows[i].len), rows[i].in_12);
		assert_int_equal(
			rc_tls_asks(RC_TLS_1_3, rows[i].type, data, rows[i].len), rows[i].in_13);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_records_that_are_no_data_ask_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
