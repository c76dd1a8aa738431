/* SPDX-License-Identifier: Apache-2.0
 *
 * Two questions about listeners: would two of them take the same port, and does one let strangers publish or show a secret.
 */
#include "config/listeners.h"

#define TOKEN_ADVISED_SIZE 16

uint32_t rc_config_listeners(
	const struct rc_config *c, struct rc_config_listener out[RC_CONFIG_LISTENERS_MAX])
{
	const struct rc_config_listener all[RC_CONFIG_LISTENERS_MAX] = {
		{"server", "listen", &c->listen, false, false, c->proxy_protocol, "proxy_protocol"},
		{"ingest", "listen", &c->ingest_listen, false, true, c->ingest_proxy_protocol,
			"proxy_protocol"},
		{"tls", "listen", &c->tls_listen, true, false, c->tls_proxy_protocol,
			"proxy_protocol"},
		{"tls", "ingest_listen", &c->tls_ingest_listen, true, true,
			c->tls_ingest_proxy_protocol, "ingest_proxy_protocol"},
		{"admin", "listen", &c->admin_listen, false, false, c->admin_proxy_protocol,
			"proxy_protocol"},
	};
	uint32_t count = 0;

	for (uint32_t i = 0; i < RC_CONFIG_LISTENERS_MAX; i++)
		if (all[i].address->family && (!all[i].tls || c->tls_certificate[0]))
			out[count++] = all[i];
	return count;
}

static void check_pair(const struct rc_config_listener *a, const struct rc_config_listener *b,
	struct rc_config_report *r)
{
	char first[RC_ADDRESS_TEXT_SIZE], second[RC_ADDRESS_TEXT_SIZE];

	if (!rc_address_collides(a->address, b->address))
		return;
	rc_address_format(a->address, first);
	rc_address_format(b->address, second);
	rc_config_report_error(r,
		"[%s] %s = %s and [%s] %s = %s would take the same port; give one of them another",
		a->section, a->key, first, b->section, b->key, second);
}

/* Who reaches this address may be anybody. */
static void check_exposed_publishers(const struct rc_config *c, const struct rc_config_listener *l,
	const char *address, struct rc_config_report *r)
{
	bool proven = l->tls && c->tls_publishers == RC_CONFIG_ASK_REQUIRED;

	if ((c->ingest_token[0] || c->auth_services[0]) && !l->tls)
		rc_config_report_warning(r,
			"publishers send the token to [ingest] listen = %s in clear, for everybody on the "
			"way to read: take them in at [tls] ingest_listen and set [ingest] listen = none, "
			"unless you trust the network between",
			address);
	if (c->ingest_token[0] || c->auth_services[0] || proven)
		return;
	if (c->ingest_open)
		rc_config_report_warning(r,
			"[%s] is open: everybody who reaches %s may publish anything", l->section,
			address);
	else if (l->tls)
		rc_config_report_error(r,
			"[tls] ingest_listen = %s lets everybody who reaches it publish: set publishers = "
			"required, or token_file in [ingest] (or RINGCAST_INGEST_TOKEN), or listen on "
			"127.0.0.1, or, on a network that you trust, set open = yes in [ingest]",
			address);
	else
		rc_config_report_error(r,
			"[ingest] listen = %s lets everybody who reaches it publish: set token_file "
			"(or RINGCAST_INGEST_TOKEN), or listen on 127.0.0.1, or, on a network that "
			"you trust, set open = yes",
			address);
}

/* The same for who reads. */
static void check_exposed_clients(const struct rc_config *c, const struct rc_config_listener *l,
	const char *address, struct rc_config_report *r)
{
	if (rc_config_has_keys(c) || (l->tls && c->tls_clients == RC_CONFIG_ASK_REQUIRED))
		return;
	if (c->insecure)
		rc_config_report_warning(r,
			"[%s] is insecure: everybody who reaches %s may read every channel",
			l->section, address);
	else
		rc_config_report_error(r,
			"[%s] listen = %s lets everybody who reaches it read every channel: set "
			"hmac_secret_file, public_key or jwks in [auth], or listen on 127.0.0.1, or, on a "
			"network that you trust, set insecure = yes in [server]",
			l->section, address);
}

/* The admin's port is [admin] listen, or those of the clients where there is none. */
static void check_admin_in_clear(const struct rc_config *c, const struct rc_config_listener *l,
	const char *address, struct rc_config_report *r)
{
	bool admin = c->admin_listen.family ? l->address == &c->admin_listen : !l->publishers;

	if ((c->admin_token[0] || c->auth_services[0]) && admin && !l->tls)
		rc_config_report_warning(r,
			"the admin token is sent to [%s] %s = %s in clear, for everybody on the way to "
			"read: set [admin] listen to an address of the loopback, unless you trust the "
			"network between",
			l->section, l->key, address);
}

/* Certificates are asked for at the TLS ports alone. */
static void check_way_round_certificates(const struct rc_config *c,
	const struct rc_config_listener *l, const char *address, struct rc_config_report *r)
{
	uint32_t ask = l->publishers ? c->tls_publishers : c->tls_clients;

	if (l->tls || !c->tls_certificate[0] || ask != RC_CONFIG_ASK_REQUIRED)
		return;
	rc_config_report_warning(r,
		"[tls] %s = required does not hold at [%s] listen = %s, which asks nobody for a "
		"certificate: set [%s] listen = none",
		l->publishers ? "publishers" : "clients", l->section, address, l->section);
}

void rc_config_check_listeners(const struct rc_config *c, struct rc_config_report *r)
{
	struct rc_config_listener open[RC_CONFIG_LISTENERS_MAX];
	uint32_t count = rc_config_listeners(c, open);

	if (count == 0)
		rc_config_report_error(r,
			"nothing is listened on: [server] listen and [ingest] listen are none; give "
			"one of them an address, or name a certificate in [tls]");
	for (uint32_t i = 0; i < count; i++) {
		char address[RC_ADDRESS_TEXT_SIZE];

		for (uint32_t j = i + 1; j < count; j++)
			check_pair(&open[i], &open[j], r);
		if (rc_address_is_loopback(open[i].address))
			continue;
		rc_address_format(open[i].address, address);
		if (open[i].publishers)
			check_exposed_publishers(c, &open[i], address, r);
		else
			check_exposed_clients(c, &open[i], address, r);
		check_way_round_certificates(c, &open[i], address, r);
		check_admin_in_clear(c, &open[i], address, r);
	}
	if (c->admin_token[0] && strlen(c->admin_token) < TOKEN_ADVISED_SIZE)
		rc_config_report_warning(r,
			"the admin token is shorter than %d characters and can be guessed",
			TOKEN_ADVISED_SIZE);
	if (c->ingest_token[0] && strlen(c->ingest_token) < TOKEN_ADVISED_SIZE)
		rc_config_report_warning(r,
			"the ingest token is shorter than %d characters and can be guessed",
			TOKEN_ADVISED_SIZE);
}
