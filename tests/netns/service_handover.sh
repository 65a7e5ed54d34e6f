#!/bin/bash
# A controller that dies, a binary that is replaced: the sockets stay the same ones, connections of
# before live on, and none is refused meanwhile.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

# A live generation with a relay route, as a service that starts finds it.
config kernel <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},
  "action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
apply kernel
config_relay relay 8000
cp "$T/relay.json" "$SPCTL_STATE_DIR/applied/1.config"

# Run a copy, so that it can be replaced.
SERVICE_BINARY=$T/spctl
cp "$SPCTL" "$SERVICE_BINARY"
service_start --workers 2
expect_json "$(service_status)" '.generation == 1 and .listeners == 2'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
inodes() { gw ss -Htlne 'sport = :8000' | grep -oE 'ino:[0-9]+' | sort; }
sockets=$(inodes)
expect_eq "$(wc -l <<<"$sockets")" 2

# Somebody connects all the time; what fails is counted.
# shellcheck disable=SC2016 # $1 and $2 are the inner shell's
lab_in cl bash -c 'while [[ ! -e $1/stop ]]; do
		got=$("$2" tcp 10.10.0.1:8000 -w 5000)
		echo "$got" >>"$1/load"
	done' load "$T" "$LAB_TOOLS/probe" &
LAB_PIDS+=($!)
load=$!
loaded() { (($(wc -l <"$T/load") >= $1)); }
more() { eventually loaded $(($(wc -l <"$T/load") + 20)); }
eventually loaded 20

# kill -9 of the controller: its dataplane goes on alone.
hold kept cl tcp 10.10.0.1:8000
expect_hold kept 'A|10.20.0.1|one' one
kill -9 "$SERVICE"
wait "$SERVICE" || :
more
expect_hold kept 'A|10.20.0.1|two' two

# The next one takes over: the same sockets, a new dataplane, the old one for what it has.
service_start --workers 2
expect_match "$(cat "$T/service.log")" 'took 2 listening sockets over from 1 former dataplane'
more
expect_eq "$(inodes)" "$sockets" 'the listening sockets'
expect_hold kept 'A|10.20.0.1|three' three
expect_json "$(service_status)" '.draining == 1 and .listeners == 2'

# A new binary: the same process, the same sockets.
cp "$SPCTL" "$T/new"
mv "$T/new" "$SERVICE_BINARY"
: >"$T/service.log"
fds() { find "/proc/$SERVICE/fd" -type l | wc -l; }
had=$(fds)
kill -USR2 "$SERVICE"
eventually grep -q 'service is ready' "$T/service.log"
expect_eq "$(cat "$RUN/run.pid")" "$SERVICE"
expect_eq "$(readlink "/proc/$SERVICE/exe")" "$SERVICE_BINARY"
expect_exit 1 spctl run
(($(fds) <= had + 1)) || fail "$(fds) descriptors, $had before" # one more dataplane drains
more
expect_eq "$(inodes)" "$sockets" 'the listening sockets'
expect_hold kept 'A|10.20.0.1|four' four

# One that does not run is not run.
cp "$SERVICE_BINARY" "$T/good"
printf '#!/bin/sh\nexit 1\n' >"$T/new"
chmod 755 "$T/new"
mv "$T/new" "$SERVICE_BINARY"
kill -USR2 "$SERVICE"
eventually grep -q 'does not run: it is not run, this one goes on' "$T/service.log"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000

touch "$T/stop"
wait "$load"
expect_eq "$(sort "$T/load" | uniq -c | awk '{print $2}')" 'A|10.20.0.1|hi' 'all answers'
hold_close kept
kill -TERM "$SERVICE"
wait "$SERVICE"
expect_eq "$(pgrep -c spctl || :)" 0
