#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What the API offers, with curl alone:  publish.sh [GATEWAY]   (RINGCAST_ADMIN_TOKEN where the gateway asks for a token)
set -eu
gateway=${1:-http://127.0.0.1:8080}

api() { # path, then what else curl takes
	path=$1
	shift
	if [ -n "${RINGCAST_ADMIN_TOKEN:-}" ]; then
		# By standard input: arguments can be seen by everybody on the host.
		printf 'header = "Authorization: Bearer %s"\n' "$RINGCAST_ADMIN_TOKEN" | curl -sS --fail-with-body -K - "$gateway$path" "$@"
	else
		curl -sS --fail-with-body "$gateway$path" "$@"
	fi
	echo
}

echo "one event, which is published once however often this is sent:"
api /api/publish -H "Idempotency-Key: example-$$" -d '{"channel":"orders:17","event":"paid","data":{"total":250}}'
api /api/publish -H "Idempotency-Key: example-$$" -d '{"channel":"orders:17","event":"paid","data":{"total":250}}'

echo "several, each with an outcome of its own:"
api /api/publish -d '[{"channel":"orders:17","event":"sent","data":{}},{"channel":"no channel","data":1}]'

echo "the channel, and the channels below orders:"
api /api/channels/orders:17
api "/api/channels?prefix=orders:&limit=10"

echo "everybody who is connected:"
api /api/broadcast -d '{"event":"notice","data":"back in five minutes"}'
