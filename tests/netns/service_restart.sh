#!/bin/bash
# A dataplane that dies, a controller that dies, a binary that is replaced: nobody is refused.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

# Run a copy, so that it can be replaced.
SERVICE_BINARY=$T/spctl
cp "$SPCTL" "$SERVICE_BINARY"
service_start --workers 2
service_apply 1 8000 10.20.0.2:7000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000

# The sandbox: nobody's user, no capability, no way to get one, and nothing it missed.
pid=$(dataplane_pid)
of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
expect_match "$(of Uid)" '^64[0-9]{3}[[:space:]]'
expect_eq "$(of Groups)" ''
expect_eq "$(of CapPrm)$(of CapEff)$(of CapBnd)$(of CapAmb)$(of CapInh)" "$(printf '0%.0s' {1..80})"
expect_eq "$(of NoNewPrivs)" 1
if ! grep -qaE '__(asan|tsan)_init' "$SPCTL"; then
	for task in "/proc/$pid/task"/*; do
		expect_eq "$(sed -n 's/^Seccomp:\t//p' "$task/status")" 2
	done
	expect_json "$(service_status)" '.sandbox.sealed and .sandbox.refused == 0'
fi
expect_eq "$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" | sort -u)" /dev/null
expect_eq "$(tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | sort)" LC_ALL=C

# kill -9 of the dataplane: a client of that moment waits, and is served.
hold lost cl tcp 10.10.0.1:8000
kill -STOP "$SERVICE"
kill -9 "$pid"
probe tcp 10.10.0.1:8000 -w 10000 >"$T/waited" &
waiter=$!
waits() { [[ $(gw ss -Htln 'sport = :8000' | awk '{n += $2} END {print n}') -ge 1 ]]; }
eventually waits
kill -CONT "$SERVICE"
wait "$waiter"
expect_eq "$(cat "$T/waited")" 'A|10.20.0.1|hi'
expect_match "$(cat "$T/service.log")" 'dataplane ended \(signal 9'
expect_json "$(service_status)" '.restarts == 1 and .state == "ready" and .generation == 1'
hold_close lost

# A worker that does not turn any more: the whole dataplane is replaced.
kill -STOP "$(dataplane_pid)"
eventually grep -q 'it was killed: it missed its heartbeats' "$T/service.log"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000 -w 10000

# A second signal ends what a first one lets go on.
hold stays cl tcp 10.10.0.1:8000
kill -TERM "$SERVICE"
eventually grep -q 'ends in .* s at the latest: 1 connection left' "$T/service.log"
expect_refused tcp 10.10.0.1:8000
expect_hold stays 'A|10.20.0.1|still' still
kill -TERM "$SERVICE"
wait "$SERVICE"
hold_say stays gone
expect_no_match "$answer" 'A\|'
hold_close stays
expect_eq "$(pgrep -c spctl || :)" 0
