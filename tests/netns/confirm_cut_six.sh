#!/bin/bash
# apply --kill --confirm over IPv6, from a shell that is reached by a route: the new routes take that route to
# another host, the very connection is cut, nobody can confirm, and the old routes and settings come back.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq ipv6
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
lab_start gw "$T/shelld.log" "$LAB_TOOLS/shelld" -6 2222
eventually grep -qx ready "$T/shelld.log"
# The old ones need no forwarding of IPv6: what the new ones turn on goes off again with them.
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"ssh","match":{"ports":9022},"action":{"type":"forward","targets":[{"host":"fd10::1","port":2222}]}},
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config new <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"web","match":{"ports":[9000,9022]},"action":{"type":"forward","targets":[{"host":["10.20.0.3","fd20::3"],"port":7000}]}}]}
CONFIG
# A login by the route, typing what is in $T/typed; ends with 7 when the connection does, else 6.
session() {
	# shellcheck disable=SC2016 # the inner shell's
	cl bash -c 'exec 3<>/dev/tcp/fd10::1/9022 || exit 9
		cat "$1" >&3
		while IFS= read -r -t "$2" line <&3; do
			printf "%s\n" "${line%$'"'\r'"'}"
			[[ $line != *logout* ]] || exit 0
		done
		(($? > 128)) && exit 6 || exit 7' session "$T/typed" "$1"
}
can_log_in() {
	# shellcheck disable=SC2016 # the inner shell's
	echo 'echo hello from $((40 + 2)); echo log""out' >"$T/typed"
	[[ $(session 1) == *'hello from 42'* ]]
}
apply old
sys=$(sysctls)
eventually can_log_in
cat >"$T/script" <<END
'$SPCTL' apply '$T/new.json' --kill --confirm 4
echo code=\$?
exec sleep 1000
END
echo "bash '$T/script'" >"$T/typed"
run session 20
expect_eq "$code" 7 'how the session ended'
expect_no_match "$out" 'code=' 'the connection lasted longer than the command'
expect_answer 'B|fd20::1|hi' tcp '[fd10::1]:9022'
expect_answer 'B|fd20::1|hi' tcp '[fd10::1]:9000'
expect_exit 1 spctl status --json
expect_json "$out" '.generation == 2 and .confirm != null'

EVENTUALLY=15 eventually can_log_in
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer refused tcp '[fd10::1]:9000'
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 1 and .drift == false and .confirm == null'
expect_eq "$(sysctls)" "$sys" 'settings'
expect_exit 0 spctl history
expect_match "$out" 'taken back'
expect_exit 0 spctl down
