#!/bin/bash
# A24: what an apply changes, and what it must leave alone.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'

config first <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
config second <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":[9000,9010]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
EOF
config without <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":[9010]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
EOF
config invalid <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":70000},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
EOF

apply first
hold old cl tcp 10.10.0.1:9000
expect_hold old 'A|10.20.0.1|one' one

apply second
expect_hold old 'A|10.20.0.1|two' two
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9010

apply without
expect_hold old 'A|10.20.0.1|three' three
expect_refused tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9010

before=$(rules_of)
expect_exit 2 spctl apply "$T/invalid.json"
expect_match "$err" 'invalid\.json:1:[0-9]+: error: .*routes\[0\]\.match\.ports'
expect_match "$err" '70000|65535'
expect_eq "$(rules_of)" "$before" 'ruleset after an invalid file'
expect_hold old 'A|10.20.0.1|four' four
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9010
hold_close old

# Under load: an apply, changed or not, loses no connection.
apply first
lab_start cl "$T/flood.log" "$LAB_TOOLS/flood" 10.10.0.1:9000 -d 30 -c 4
flood=$lab_pid
eventually grep -qx started "$T/flood.log"
for _ in 1 2 3 4 5; do
	apply second
	apply first
done
kill "$flood"
wait "$flood" || :
expect_match "$(cat "$T/flood.log")" '[1-9][0-9]* ok, 0 failed'

# An apply that changes nothing deletes nothing: the connections' ids stay.
hold same cl tcp 10.10.0.1:9000
expect_hold same 'A|10.20.0.1|one' one
ids() { gw conntrack -L -o id -p tcp --state ESTABLISHED 2>/dev/null | grep -o 'id=[0-9]*' | sort; }
before=$(ids)
[[ -n $before ]] || fail "no conntrack entry"
apply first
expect_eq "$(ids)" "$before" 'conntrack ids'
expect_hold same 'A|10.20.0.1|two' two
expect_exit 0 spctl down
