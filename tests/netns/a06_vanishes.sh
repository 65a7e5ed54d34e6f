#!/bin/bash
# A6: clients that connect and leave. Pitfalls 5, 6 (counted down at once, not later), 8 (before they sent a byte)
# and 27 (many at once: none is forgotten).
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config first <<'E'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
# The two limits are off: 500 clients of one address are more than both allow.
jq '. + {maxConnectionsPerIP: 0, connectionRateLimitPerMinute: 0}' "$T/first.json" | config kernel
jq '.routes[0].action.forwardingEngine = "relay"' "$T/kernel.json" | config relay

# drop N PORT HOW: so many connections that are closed (FIN) or aborted (RST) without a byte.
drop() {
	# shellcheck disable=SC2016 # for the client's shell
	lab_in cl timeout $((20 * STRETCH)) python3 - "$@" <<'E'
import socket, struct, sys
for i in range(int(sys.argv[1])):
    s = socket.create_connection(("10.10.0.1", int(sys.argv[2])))
    if sys.argv[3] == "reset":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
E
}
need_tool python3
no_target_socket() { [[ -z $(srv a ss -Htn state established 'sport = 7000') ]]; }
active_is_0() { [[ $(spctl status --json | jq '[.routes[].active] | add') == 0 ]]; }

apply kernel
for how in close reset; do
	drop 500 9000 $how
	eventually no_target_socket
done
eventually active_is_0

apply relay
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_idle
fds=$(plane_fds)
for how in close reset; do
	drop 500 9000 $how
	expect_idle
	eventually no_target_socket
	expect_eq "$(plane_fds)" "$fds" "open files after 500 x $how"
done
expect_eq "$(plane_routes '.[0].total')" 1001
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# A port whose routes wait for bytes: nothing is connected for them at all.
apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"sni","match":{"ports":9001,"domains":"*.example.test"},
  "action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"tls":{"mode":"passthrough"}}}]}
E
before=$(refusals closed_before_data)
for how in close reset; do
	drop 250 9001 $how
done
expect_idle
expect_eq "$(($(refusals closed_before_data) - before))" 500
expect_eq "$(plane_routes '.[0].total')" 0
expect_eq "$(plane_fds)" "$((fds))" 'open files'
expect_exit 0 spctl down
