#!/bin/bash
# apply --confirm from a remote shell whose port the new routes take: who is logged in cannot log in
# again. The client goes away, the shell gets SIGHUP and dies; the old routes come back all the same.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
need_tool ps
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
shelld=$LAB_TOOLS/shelld
[[ -x $shelld ]] || fail "$shelld is missing: run make tools"
lab_start gw "$T/shelld.log" "$shelld" 2222
eventually grep -qx ready "$T/shelld.log"
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config new <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"all","match":{"ports":["1-65535"]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG

# session FILE [SECONDS]: a login from the client, typing what is in FILE, until it says the word
# "logout"; so long at most for each line.
session() {
	# shellcheck disable=SC2016 # the inner shell's
	cl bash -c '
		exec 3<>/dev/tcp/10.10.0.1/2222 || exit 9
		cat "$1" >&3
		while IFS= read -r -t "$2" line <&3; do
			printf "%s\n" "${line%$'"'\r'"'}"
			[[ $line != *logout* ]] || exit 0
		done
		exit 8' session "$1" "${2:-10}"
}
can_log_in() {
	# shellcheck disable=SC2016 # the inner shell's
	echo 'echo hello from $((40 + 2)); echo log""out' >"$T/typed"
	[[ $(session "$T/typed" 1) == *'hello from 42'* ]]
}
timer() { pgrep -f "confirm-timer --state-dir $T/state"; }
no_timer() { [[ ! $(timer) ]]; }
no_shell() { [[ ! $(pgrep -xf 'sleep 1000') ]] && [[ ! $(pgrep -P "$(pgrep -xo shelld)") ]] && ! pgrep -f 'bash --norc --noprofile' >/dev/null; }

apply old
eventually can_log_in
eventually no_shell
# The terminal is the apply's stdin, stdout and stderr. It is run by a script that goes on in the
# foreground: everything of that job, and the shell, gets SIGHUP when the client goes away.
cat >"$T/script" <<END
'$SPCTL' apply '$T/new.json' --confirm $((3 * STRETCH))
echo code=\$? shell=\$\$
echo logout
exec sleep 1000
END
echo "bash '$T/script'" >"$T/typed"
run session "$T/typed"
expect_eq "$code" 0 "the session's exit code"
expect_match "$out" 'generation 2 waits for confirmation'
expect_match "$out" 'code=0 shell=[0-9]+'
# It is cut: the port leads elsewhere now, and the shell is gone.
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:2222
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually no_shell
[[ $(timer) ]] || fail 'the timer is gone with the shell'
eventually can_log_in
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 1 and .drift == false'
eventually no_timer
