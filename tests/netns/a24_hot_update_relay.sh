#!/bin/bash
# A24 in the relay: what an apply changes, and what it must leave alone.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
relayed() { jq '. + {maxConnectionsPerIP: 0, connectionRateLimitPerMinute: 0} | .routes[].action.forwardingEngine = "relay"'; }

relayed <<'E' | config first
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
relayed <<'E' | config second
{"routes":[{"name":"tcp","match":{"ports":[9000,9010]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
E
relayed <<'E' | config without
{"routes":[{"name":"tcp","match":{"ports":[9010]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
E
config invalid <<'E'
{"routes":[{"name":"tcp","match":{"ports":70000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.3","port":7000}]}}]}
E
answered() { [[ $(probe tcp "$2") == "$1|10.20.0.1|hi" ]]; }
not_served() { [[ $(probe tcp 10.10.0.1:9000) =~ ^(refused|reset|closed)$ ]]; }

apply first
hold old cl tcp 10.10.0.1:9000
expect_hold old 'A|10.20.0.1|one' one

apply second
expect_hold old 'A|10.20.0.1|two' two
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9010

# Its listener takes what is queued, then nobody is there any more: the kernel refuses.
apply without
expect_hold old 'A|10.20.0.1|three' three
eventually not_served
no_listener() { [[ -z $(gw ss -Htln 'sport = :9000') ]]; }
eventually no_listener
expect_answer refused tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9010

pid=$(plane_pid) generation=$(plane_service .generation)
expect_exit 2 spctl apply "$T/invalid.json"
expect_match "$err" 'invalid\.json:1:[0-9]+: error: .*routes\[0\]\.match\.ports'
expect_match "$err" '70000|65535'
expect_eq "$(plane_pid) $(plane_service .generation)" "$pid $generation" 'after an invalid file'
expect_hold old 'A|10.20.0.1|four' four
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9010

# One whose port somebody has changes nothing, either, and says who.
serve gw S -t '*:9011'
jq '.routes[0].match.ports = [9010, 9011]' "$T/second.json" | config taken
expect_exit 1 spctl apply "$T/taken.json"
expect_match "$err" 'cannot listen on .*9011: echod\[[0-9]+\]'
expect_hold old 'A|10.20.0.1|five' five
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9010
hold_close old

# An apply that changes nothing leaves each connection its route's generation.
apply first
hold same cl tcp 10.10.0.1:9000
expect_hold same 'A|10.20.0.1|one' one
apply first
expect_hold same 'A|10.20.0.1|two' two
expect_eq "$(plane_routes '.[0].active')" 1
hold_close same
expect_idle
expect_exit 0 spctl down
