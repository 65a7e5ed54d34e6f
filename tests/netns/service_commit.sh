#!/bin/bash
# What happens between prepare and commit: a service that dies there, and comes back with what was live before, is
# told once more; who cannot be told is an error that says what is true; and the command's own death resets
# nobody. The moments are staged: a build with FAILPOINTS=1 stops (SIGSTOP) at them.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
. "${0%/*}/failpoint_lib.bash"
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

# routes NAME HOST MATCH: one of the kernel's (9000), one of the service's
routes() {
	config "$1" <<-END
		{"connectionRateLimitPerMinute":0,"routes":[
		 {"name":"k","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.$2","port":7000}]}},
		 {"name":"web","match":{$3},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.$2","port":7000}]}}]}
	END
}
routes old 2 '"ports":8000'
routes new 3 '"ports":8000'

is_stopped() { [[ $(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$job/status") == T ]]; }
# stop_at POINT [VAR=VALUE...] -- ARG...: a command that stands there.
stop_at() {
	local point=$1 vars=()
	shift
	while [[ $1 != -- ]]; do
		vars+=("$1")
		shift
	done
	shift
	nsenter --net=/run/netns/gw -- env "SPCTL_STOPPOINT=$point" "${vars[@]}" "$fp" "$@" >"$T/out" 2>"$T/err" &
	job=$!
	eventually is_stopped
}
go_on() { # $code, $out, $err of that command
	kill -CONT "$job"
	code=0
	wait "$job" || code=$?
	out=$(cat "$T/out") err=$(cat "$T/err")
}
all() { for port in 9000 8000; do probe tcp 10.10.0.1:$port; done | cut -d'|' -f1 | tr '\n' ' '; }
say() { [[ $(all) == "$1 " ]]; }
dead() { [[ $(pgrep -c spctl || :) == 1 ]]; } # but for the command
kill_service() {
	kill -9 "$(cat "$RUN/run.pid")" "$(dataplane_pid)"
	eventually dead
}

# ---- the service is restarted in between (systemd does that), with what was live then
apply old
stop_at pending -- apply "$T/new.json"
kill_service
SPCTL_BACKGROUND=1 service_start
go_on
expect_eq "$code" 0 "exit code ($err)"
expect_eq "$(all)" 'B B '
expect_exit 0 spctl status

# ---- it is ended in between: the command starts another
stop_at pending -- apply "$T/old.json"
kill -TERM "$(cat "$RUN/run.pid")"
eventually dead
go_on
expect_eq "$code" 0 "exit code ($err)"
expect_match "$out" 'started the service'
expect_eq "$(all)" 'A A '
expect_exit 0 spctl status

# ---- it cannot come back as it was: the exit code and the words say what is true
stop_at pending -- apply "$T/new.json"
kill_service
serve gw X -t '*:8000'
other=${LAB_PIDS[-1]}
go_on
expect_eq "$code" 5 'exit code'
expect_match "$err" 'generation [0-9]+ is live, but the service does not serve it: cannot listen on \*:8000: echod'
expect_eq "$(all)" 'B X '
kill "$other"
eventually say 'B B' # by itself
expect_exit 0 spctl status

# ---- both die: whoever comes back finds out by itself, whatever the command had noted
for point in committed verified live; do
	apply old
	stop_at pending SPCTL_FAILPOINT=$point -- apply "$T/new.json"
	kill_service
	SPCTL_BACKGROUND=1 service_start
	go_on
	expect_eq "$code" 137 "exit code, $point"
	eventually say 'B B'
	expect_match "$(cat "$T/service.log")" 'and this service has [0-9]+: it follows'
	apply new
	expect_match "$out" '^nothing to do'
	expect_exit 0 spctl status
done
# One that died before the batch changes nothing.
apply old
stop_at pending SPCTL_FAILPOINT=armed -- apply "$T/new.json"
kill_service
SPCTL_BACKGROUND=1 service_start
go_on
expect_eq "$(all)" 'A A '
expect_no_match "$(cat "$T/service.log")" 'it follows'

# ---- what is prepared in front of what is live gets nothing, and takes nothing along
routes narrow 3 '"ports":8000,"address":"10.10.0.1"'
apply old
for end in KILL CONT; do
	stop_at prepared -- apply "$T/narrow.json"
	hold "early$end" cl tcp 10.10.0.1:8000
	expect_hold "early$end" 'A|10.20.0.1|one' one
	kill "-$end" "$job"
	code=0
	wait "$job" || code=$?
	expect_hold "early$end" 'A|10.20.0.1|two' two
	hold_close "early$end"
	[[ $end == CONT ]] || eventually expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
done
expect_eq "$code" 0 'exit code'
expect_eq "$(all)" 'B B '
expect_exit 0 spctl status

# ---- somebody is faster between the two: the old routes are put back
cat >"$T/faster.py" <<'END'
import signal, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
s.listen(1)
print("listens", flush=True)
signal.pause()
END
need_tool python3
stop_at pending -- apply "$T/old.json"
lab_start gw "$T/faster" python3 "$T/faster.py" 127.0.0.9 8000
eventually grep -q listens "$T/faster"
go_on
expect_eq "$code" 3 'exit code'
expect_match "$err" 'generation [0-9]+ is back: .*cannot listen on \*:8000: python3?[^ ]* listens on 127.0.0.9:8000'
expect_eq "$(all)" 'B B '
expect_exit 0 spctl status
expect_exit 0 spctl down
