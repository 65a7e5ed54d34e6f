#!/bin/bash
# Clients that hold back their first bytes: they starve nobody, and there is a bound to how many are kept.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool prlimit setpriv python3
lab_up
tls_certs A
tls_serve a A 10.20.0.2:443
serve a A -t '*:7000'
# 4096 descriptors: a tenth of them, as far as they are for connections, for those that have said nothing.
lab_start gw "$T/service.log" setpriv --bounding-set=-sys_resource prlimit --nofile=4096:4096 "$SPCTL" run
eventually grep -q 'service is ready' "$T/service.log"
apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"sni","match":{"ports":8443,"domains":"*.example.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":443}],"tls":{"mode":"passthrough"}}},
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
cat >"$T/silent.py" <<'E'
import signal, socket, sys
s = []
for i in range(int(sys.argv[1])):
    c = socket.create_connection(("10.10.0.1", 8443))
    if i % 2:
        c.send(b"\x16\x03\x01")
    s.append(c)
print("ready", flush=True)
signal.pause()
E
lab_start cl "$T/silent.log" python3 "$T/silent.py" 1000
silent=$lab_pid
eventually grep -q ready "$T/silent.log"
bounded() { (($(plane_process .undecided) + $(refusals global_limit) == 1000)); }
eventually bounded
kept=$(plane_process .undecided)
((kept > 330 && kept < 410)) || fail "$kept are kept"
# A client that does what it should is served at once, here and on the port beside.
from=$EPOCHREALTIME
expect_cn A www.example.test 10.10.0.1:8443
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
is_slow || ((${EPOCHREALTIME/./} - ${from/./} < 5000000)) || fail "it took $((${EPOCHREALTIME/./} - ${from/./})) us"
# Also one that takes its time: the oldest were dropped, not the newest.
expect_match "$(lab_in cl "$LAB_TOOLS/hello" 10.10.0.1:8443 --sni www.example.test --segment 50 --delay 20 || :)" '^bytes 16'
lab_stop "$silent"
expect_idle
expect_exit 0 spctl down
