#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Follows a channel as an event stream, and goes on where it was when the connection ends:  follow.sh [GATEWAY [CHANNEL]]
# What came is printed as it is: event:, id:, data:. RINGCAST_TOKEN where the gateway asks for one.
set -eu
gateway=${1:-http://127.0.0.1:8080}
channel=${2:-news}
last=$(mktemp)
status=$(mktemp)
trap 'rm -f "$last" "$status"' EXIT
trap 'exit 0' INT TERM

while :; do
	{
		printf 'header = "Last-Event-ID: %s"\n' "$(cat "$last")"
		[ -z "${RINGCAST_TOKEN:-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$RINGCAST_TOKEN"
	} | {
		curl -sSN --fail -K - "$gateway/events?channel=$channel" && echo 0 >"$status" || echo $? >"$status"
	} | while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		'id: '*) printf '%s' "${line#id: }" >"$last" ;;
		esac
	done
	# 22: the gateway refused. What is temporary among that, 429 and 503, is worth a longer wait; the rest is for somebody to look at.
	[ "$(cat "$status")" != 22 ] || exit 1
	sleep 1
done
