/* SPDX-License-Identifier: Apache-2.0
 *
 * What `ringcast command` takes from its command line; the contract is in subscribeargs.h.
 */
#include "cli/subscribeargs.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/json.h"
#include "proto/message.h"
#include "proto/names.h"

#define SERVER     "127.0.0.1:8080"
#define TIMEOUT_MS 15000

static const char usage_text[] =
	"usage: ringcast command [options] TYPE [PAYLOAD]\n"
	"\n"
	"Says a message of that type to whichever backend has registered for it, as a client of the gateway,\n"
	"and prints the data of its answer. PAYLOAD is JSON (null); of TYPE `command` it is the action.\n"
	"\n"
	"  --server HOST:PORT  the gateway's HTTP port (" SERVER ");\n"
	"                      wss://HOST:PORT for the one that speaks TLS; a path may follow\n"
	"  --path PATH         where its WebSocket is (/ws)\n" RC_ARGS_TLS_HELP
	"  --token TOKEN       who you are (RINGCAST_TOKEN, which other users can't see)\n"
	"  --timeout TIME      end with status 1 when no answer came for so long (15s)\n"
	"  --json              print the answer whole\n"
	"  --all               print on standard error what the gateway says besides\n"
	"  -h, --help\n"
	"\n"
	"Status: 0 there was an answer; 1 an error, which is told, or none in time; 2 wrong usage; 3 no gateway\n"
	"answers.\n";

static int check(struct rc_subscribe_options *o, int argc, char **argv)
{
	if (argc < 1 || argc > 2)
		return rc_subscribe_say("a TYPE is needed, and at most a PAYLOAD; 'ringcast "
					"command --help' says what there is");
	o->type = argv[0];
	o->payload = argc > 1 ? argv[1] : "null";
	if (!rc_event_name_valid(rc_str_of(o->type)))
		return rc_subscribe_say("'%s' is not the type of a message", o->type);
	/* Other types the gateway answers itself, and would never say a reply. */
	if (rc_msg_type_known(rc_str_of(o->type)) && strcmp(o->type, "command") != 0)
		return rc_subscribe_say("'%s' is a message to the gateway itself", o->type);
	if (rc_json_validate(rc_str_of(o->payload), RC_MSG_DEPTH_MAX) < 0)
		return rc_subscribe_say("the payload is not JSON: %.60s", o->payload);
	return rc_subscribe_where(o);
}

int rc_command_parse(struct rc_subscribe_options *o, int argc, char **argv)
{
	enum { SERVER_ = 256, PATH, TOKEN, TIMEOUT, JSON, ALL };
	static const struct option longs[] = {{"server", required_argument, NULL, SERVER_},
		{"path", required_argument, NULL, PATH}, {"token", required_argument, NULL, TOKEN},
		{"timeout", required_argument, NULL, TIMEOUT}, {"json", no_argument, NULL, JSON},
		{"all", no_argument, NULL, ALL}, RC_ARGS_TLS_LONGS,
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

	*o = (struct rc_subscribe_options){.server = SERVER,
		.token = getenv("RINGCAST_TOKEN"),
		.timeout_ms = TIMEOUT_MS,
		.format = RC_EVENTLINE_DATA};
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		switch (c) {
		case SERVER_:
			o->server = optarg;
			break;
		case PATH:
			o->path = optarg;
			break;
		case TOKEN:
			o->token = optarg;
			break;
		case TIMEOUT:
			if (!rc_args_duration(optarg, &o->timeout_ms))
				return rc_subscribe_say(
					"--timeout: '%s' is not a time such as 500ms or 10s",
					optarg);
			break;
		case JSON:
			o->format = RC_EVENTLINE_MESSAGE;
			break;
		case ALL:
			o->all = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return -1;
		default:
			if (rc_args_tls_take(&o->tls, c, optarg))
				break;
			(void)fputs("'ringcast command --help' says what there is\n", stderr);
			return RC_SUBSCRIBE_USAGE;
		}
	}
	return check(o, argc - optind, argv + optind);
}
