/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tokenargs.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/keys.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "proto/json.h"

#define DEPTH         16u /* of the JSON in it */
#define EXPIRES_MAX_S (UINT64_C(3660) * 86400)

static const char usage[] =
	"usage: ringcast token [options]\n"
	"       ringcast token [options] --verify TOKEN\n"
	"\n"
	"Makes a token for development and prints it; signed with hmac_secret of [auth], or with a\n"
	"private key. With --verify looks at one as the gateway would, and prints its claims or the\n"
	"reason why it is refused. The configuration is read as `ringcast serve` reads it.\n"
	"\n"
	"  --user ID            whose it is (none: an anonymous one with rights)\n"
	"  --channel PATTERN    may be subscribed to; repeat for more\n"
	"  --publish PATTERN    may be published to; repeat\n"
	"  --subscribe CHANNEL  is subscribed to at once; repeat\n"
	"  --command TYPE       may be sent to a backend; repeat\n"
	"  --scope SCOPE        for services, such as ringcast:publish; repeat\n"
	"  --info JSON          what others see of the user\n"
	"  --max-connections N  of the user at once\n"
	"  --claim NAME=JSON    any other; repeat\n"
	"  --expires TIME       such as 10m, 1h, 30d (1h); never\n"
	"  --key FILE           PEM: sign with this private key\n"
	"  --alg NAME           HS256, HS384, HS512, RS256, PS256, ES256, EdDSA (as the key or the\n"
	"                       configuration says)\n"
	"  --kid NAME           which key it is, for a gateway that knows several\n"
	"  --verify TOKEN       - reads it from standard input\n"
	"  --config FILE        the configuration\n"
	"  --set KEY=VALUE      an option of it, such as auth.audience=chat; repeat\n"
	"  -h, --help\n"
	"\n"
	"Status: 0 fine, 1 refused or not to be made, 2 wrong usage.\n";

static int wrong(const char *option, const char *value, const char *what)
{
	if (rc_args_printable(rc_str_of(value)))
		(void)fprintf(stderr, "ringcast token: --%s '%s': %s\n", option, value, what);
	else
		(void)fprintf(stderr, "ringcast token: --%s: %s\n", option, what);
	return 2;
}

static bool parse_expires(struct rc_token_options *o, const char *text)
{
	static const struct {
		const char *unit;
		uint32_t s;
	} units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	size_t digits = strspn(text, "0123456789");

	o->never = strcmp(text, "never") == 0;
	if (o->never)
		return true;
	if (digits == 0 || digits > 9)
		return false;
	for (size_t u = 0; u < RC_ARRAY_LEN(units); u++)
		if (strcmp(text + digits, units[u].unit) == 0) {
			o->expires_s = strtoull(text, NULL, 10) * units[u].s;
			return o->expires_s > 0 && o->expires_s <= EXPIRES_MAX_S;
		}
	return false;
}

static bool is_json(const char *text)
{
	return rc_json_validate(rc_str_of(text), DEPTH) == 0;
}

static int add(struct rc_token_list *list, const char *option, const char *value)
{
	if (list->count == RC_TOKEN_LIST_MAX)
		return wrong(option, value, "is one too many");
	if (!rc_utf8_valid(value, strlen(value)))
		return wrong(option, value, "is not UTF-8");
	list->at[list->count++] = value;
	return 0;
}

static int take_text(const char **text, const char *option, const char *value)
{
	*text = value;
	return rc_utf8_valid(value, strlen(value)) ? 0 : wrong(option, value, "is not UTF-8");
}

static int add_claim(struct rc_token_options *o, const char *value)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value || !is_json(equals + 1))
		return wrong("claim", value, "is not NAME=JSON; a text is NAME='\"text\"'");
	return add(&o->claims, "claim", value);
}

static int take_number(struct rc_token_options *o, const char *value)
{
	size_t digits = strspn(value, "0123456789");

	o->max_connections = value;
	return digits && digits < 10 && !value[digits] && value[0] != '0'
		       ? 0
		       : wrong("max-connections", value, "is not a number of connections");
}

enum {
	USER = 256,
	CHANNEL,
	PUBLISH,
	SUBSCRIBE,
	COMMAND,
	SCOPE,
	INFO,
	CONNECTIONS,
	CLAIM,
	EXPIRES,
	KEY,
	ALG,
	KID,
	VERIFY,
	CONFIG,
	SET,
};

static int take(struct rc_token_options *o, int option, const char *value)
{
	switch (option) {
	case USER:
		return take_text(&o->user, "user", value);
	case CHANNEL:
		return add(&o->channels, "channel", value);
	case PUBLISH:
		return add(&o->publish, "publish", value);
	case SUBSCRIBE:
		return add(&o->subscribe, "subscribe", value);
	case COMMAND:
		return add(&o->commands, "command", value);
	case SCOPE:
		return add(&o->scopes, "scope", value);
	case INFO:
		o->info = value;
		return is_json(value) ? 0 : wrong("info", value, "is not JSON");
	case CONNECTIONS:
		return take_number(o, value);
	case CLAIM:
		return add_claim(o, value);
	case EXPIRES:
		return parse_expires(o, value) ? 0
					       : wrong("expires", value, "is no time such as 1h");
	case KEY:
		o->key = value;
		return 0;
	case ALG:
		o->alg = value;
		return rc_alg_of(rc_str_of(value)) < RC_ALGS
			       ? 0
			       : wrong("alg", value,
					 "is none of HS256, HS384, HS512, RS256, PS256, ES256, EdDSA");
	case KID:
		return take_text(&o->kid, "kid", value);
	case VERIFY:
		o->verify = value;
		return 0;
	case CONFIG:
		o->config = value;
		return 0;
	case SET:
		return add(&o->sets, "set", value);
	default:
		(void)fputs("ringcast token --help says what there is\n", stderr);
		return 2;
	}
}

int rc_token_args(struct rc_token_options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"user", required_argument, NULL, USER},
		{"channel", required_argument, NULL, CHANNEL},
		{"publish", required_argument, NULL, PUBLISH},
		{"subscribe", required_argument, NULL, SUBSCRIBE},
		{"command", required_argument, NULL, COMMAND},
		{"scope", required_argument, NULL, SCOPE}, {"info", required_argument, NULL, INFO},
		{"max-connections", required_argument, NULL, CONNECTIONS},
		{"claim", required_argument, NULL, CLAIM},
		{"expires", required_argument, NULL, EXPIRES},
		{"key", required_argument, NULL, KEY}, {"alg", required_argument, NULL, ALG},
		{"kid", required_argument, NULL, KID}, {"verify", required_argument, NULL, VERIFY},
		{"config", required_argument, NULL, CONFIG}, {"set", required_argument, NULL, SET},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int status = 0;

	*o = (struct rc_token_options){.expires_s = 3600};
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; status == 0 && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		if (c == 'h') {
			(void)fputs(usage, stdout);
			return -1;
		}
		status = take(o, c, optarg);
	}
	if (status == 0 && optind < argc) {
		(void)fprintf(stderr, "ringcast token: '%s' is not an option\n", argv[optind]);
		status = 2;
	}
	return status;
}
