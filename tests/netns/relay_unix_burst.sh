#!/bin/bash
# A unix target whose queue is full for a moment: who comes then waits, as it would with TCP, and is served.
. "${0%/*}/lib.sh"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool python3
lab_up
chmod 755 "$T"
cat >"$T/app.py" <<'E'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen(2)
print("ready", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
while True:
    c, _ = s.accept()
    c.sendall(b"app|" + c.recv(100))
    c.close()
E
lab_start gw "$T/app.log" python3 -u "$T/app.py" "$T/app.sock" "$T/go"
app=$lab_pid
eventually grep -q ready "$T/app.log"
config unix <<E
{"connectionTimeout":8000,"routes":[{"name":"app","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"unix:$T/app.sock"}]}}]}
E
apply unix
lab_start cl "$T/burst" "$LAB_TOOLS/probe" tcp 10.10.0.1:9000 -n 20 -c 20 --tally -w $((8000 * STRETCH))
burst=$lab_pid
full() { (($(plane_process .connections) == 20)); }
eventually full
touch "$T/go"
wait "$burst" || :
expect_eq "$(cat "$T/burst")" 'app 20'
expect_eq "$(plane_routes '.[0].targets[0].failed')" 0 'held against the target'

# Nobody ever takes them: the time is over for those that found no place, and their reason is told.
jq '.connectionTimeout = 1000' "$T/unix.json" | config short
apply short
kill -STOP "$app"
lab_start cl "$T/late" "$LAB_TOOLS/probe" tcp 10.10.0.1:9000 -n 8 -c 8 --tally -w $((3000 * STRETCH))
wait "$lab_pid" || :
expect_match "$(cat "$T/late")" '(reset|closed) [1-9]'
(($(refusals connect_timeout) > 0)) || fail "$(plane_routes .)"
kill -CONT "$app"
expect_exit 0 spctl down
