/* SPDX-License-Identifier: Apache-2.0
 *
 * An option of [tls] that would do nothing is an error when somebody could believe to be protected by it, else a warning.
 */
#include "config/apply.h"
#include "config/tlsrules.h"
#include "config/value.h"

/*
 * A value that is the default is nobody's wish, even if it stands in the file: a printout that is read back has them all.
 */
static bool is_wished(const struct rc_config *c, const char *key, char value[RC_VALUE_TEXT_SIZE])
{
	uint32_t row = rc_option_find("tls", key);
	const struct rc_option *o = &rc_options[row];

	rc_value_format(o, rc_config_field_const(c, row, 0), value);
	if (o->type == RC_OPTION_ADDRESS && strcmp(value, "none") == 0)
		return false;
	return strcmp(value, o->standard) != 0;
}

static void check_without_certificate(const struct rc_config *c, struct rc_config_report *r)
{
	static const char *const keys[] = {"listen", "ingest_listen", "key", "certificate_folder",
		"ocsp", "client_ca", "clients", "publishers"};
	char value[RC_VALUE_TEXT_SIZE];

	for (size_t i = 0; i < RC_ARRAY_LEN(keys); i++)
		if (is_wished(c, keys[i], value))
			rc_config_report_error(r,
				"[tls] %s = %s has no effect without certificate: set certificate "
				"to the PEM file of the server's certificate, or remove %s",
				keys[i], value, keys[i]);
}

/* One of the two ports and whom it asks for a certificate. */
struct asking {
	const char *key, *listen_key, *who;
	uint32_t ask;
	const struct rc_address *listen;
};

static void check_asking(
	const struct rc_config *c, const struct asking *a, struct rc_config_report *r)
{
	const char *word = a->ask == RC_CONFIG_ASK_REQUIRED ? "required" : "optional";

	if (a->ask == RC_CONFIG_ASK_NO)
		return;
	if (!c->tls_client_ca[0])
		rc_config_report_error(r,
			"[tls] %s = %s needs client_ca: set it to the PEM file of the authorities "
			"that sign the certificates of %s, or set %s = no",
			a->key, word, a->who, a->key);
	else if (!a->listen->family)
		rc_config_report_warning(r,
			"[tls] %s = %s has no effect while %s is none: give that an address",
			a->key, word, a->listen_key);
}

static void check_handshakes(const struct rc_config *c, struct rc_config_report *r)
{
	if (c->tls_max_handshakes_per_address > c->tls_max_handshakes)
		rc_config_report_warning(r,
			"[tls] max_handshakes_per_address = %u is more than max_handshakes = %u, so that "
			"one address can keep all others waiting: set it lower, or max_handshakes higher",
			c->tls_max_handshakes_per_address, c->tls_max_handshakes);
}

void rc_config_check_tls(const struct rc_config *c, struct rc_config_report *r)
{
	const struct asking clients = {
		"clients", "listen", "clients", c->tls_clients, &c->tls_listen};
	const struct asking publishers = {"publishers", "ingest_listen", "publishers",
		c->tls_publishers, &c->tls_ingest_listen};

	if (!c->tls_certificate[0]) {
		check_without_certificate(c, r);
		return;
	}
	if (!c->tls_listen.family && !c->tls_ingest_listen.family)
		rc_config_report_error(r,
			"[tls] certificate has no effect while listen and ingest_listen are both "
			"none: give one of them an address, or remove certificate");
	check_asking(c, &clients, r);
	check_asking(c, &publishers, r);
	if (c->tls_client_ca[0] && c->tls_clients == RC_CONFIG_ASK_NO &&
		c->tls_publishers == RC_CONFIG_ASK_NO)
		rc_config_report_warning(r,
			"[tls] client_ca has no effect while clients and publishers are both no: set "
			"one of them to optional or required");
	check_handshakes(c, r);
}
