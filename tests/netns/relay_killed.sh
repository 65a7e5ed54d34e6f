#!/bin/bash
# kill -9 under load: of the dataplane (who comes meanwhile waits and is served), and of the controller (the dataplane
# goes on, and the next apply takes over without losing a connection).
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
reuse_ports
config one <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"web","match":{"ports":9000},
 "action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"kernel","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
sed 's/10\.20\.0\.2/10.20.0.3/g' "$T/one.json" | config two
apply one
hold kernel cl tcp 10.10.0.1:9001

# A new connection every few milliseconds; those that were open when the dataplane died are lost, and nobody else:
# a client counts as lost only if it was connected (its bytes were taken) before the kill.
cat >"$T/load.py" <<'E'
import select, socket, sys, time
until, kills, lost, ok, bad = time.monotonic() + float(sys.argv[1]), sys.argv[2], 0, 0, []
def killed_at():
    try:
        return [[float(x) for x in l.split()] for l in open(kills)]
    except FileNotFoundError:
        return []
print("ready", flush=True)
while time.monotonic() < until:
    start = time.monotonic()
    s = None
    try:
        s = socket.create_connection(("10.10.0.1", 9000), timeout=8)
        s.sendall(b"hi\n")
        got = s.recv(100)
        why = None if got.startswith((b"A|", b"B|")) else "closed"
    except OSError as e:
        why = str(e)
    if s:
        s.close()
    end = time.monotonic()
    if why is None:
        ok += 1
    else:
        bad.append((start, end, why))
    time.sleep(0.002)
k = killed_at()
# One that was under way while the dataplane died was in its hands.
lost = [b for b in bad if any(b[0] <= dead and b[1] >= before for before, dead in k)]
new = [b for b in bad if b not in lost]
print("%d ok, %d of that moment, %d failed" % (ok, len(lost), len(new)), *new)
E
need_tool python3
loads=()
for i in 1 2 3; do
	lab_start cl "$T/load.$i.log" python3 -u "$T/load.py" 6 "$T/kills"
	loads+=("$lab_pid")
	eventually grep -q ready "$T/load.$i.log"
done
# kill_timed PID: and writes down between which moments it died.
kill_timed() {
	python3 - "$1" "$T/kills" <<'E'
import os, signal, sys, time
before = time.monotonic()
os.kill(int(sys.argv[1]), signal.SIGKILL)
try:
    while open("/proc/%s/stat" % sys.argv[1]).read().rsplit(")", 1)[1].split()[0] not in "ZX":
        pass
except (FileNotFoundError, ProcessLookupError):
    pass
open(sys.argv[2], "a").write("%f %f\n" % (before, time.monotonic()))
E
}
for i in 1 2; do
	pid=$(plane_pid)
	kill_timed "$pid"
	back() { [[ $(plane_service '"\(.state) \(.restarts)"') == "ready $i" && $(plane_pid) != "$pid" ]]; }
	eventually back
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000 -w $((8000 * STRETCH))
	expect_hold kernel "A|10.20.0.1|$i" "$i"
	sleep 0.5 # under load
done
for pid in "${loads[@]}"; do
	wait "$pid" || :
done
cat "$T"/load.*.log
expect_eq "$(cat "$T"/load.*.log | grep -c '^[1-9][0-9]* ok, [0-9]* of that moment, 0 failed')" 3 "$(cat "$T"/load.*.log)"

# The controller: its dataplane goes on, with what it has and with new ones.
hold old cl tcp 10.10.0.1:9000
pid=$(plane_pid)
lab_start cl "$T/flood.log" "$LAB_TOOLS/flood" 10.10.0.1:9000 -d 60 -c 2 -w 8000
flood=$lab_pid
eventually grep -qx started "$T/flood.log"
kill -9 "$(controller_pid)"
for i in {1..20}; do
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
done
expect_hold old 'A|10.20.0.1|alone' alone
kill -0 "$pid" || fail 'the dataplane ended'
# The next apply finds it, and hands over.
apply two
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_hold old 'A|10.20.0.1|again' again
expect_hold kernel 'A|10.20.0.1|again' again
[[ $(plane_pid) != "$pid" ]] || fail 'the former dataplane is still in charge'
apply one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
kill "$flood"
wait "$flood" || :
expect_match "$(tail -n 1 "$T/flood.log")" '^[1-9][0-9]* ok, 0 failed$' "$(paste -sd' ' "$T/flood.log")"
hold_close old
former_is_gone() { ! kill -0 "$pid"; }
eventually former_is_gone
hold_close kernel
expect_exit 0 spctl down
expect_eq "$(pgrep -c -x spctl || :)" 0
