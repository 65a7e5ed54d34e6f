#!/bin/bash
# Two instances in one network namespace: each has its own routes, table and flows.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up --routes
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'

config one <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config two <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9001,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
second() { spctl "$@" --state-dir "$T/state2" --run-dir "$T/run2" --table second; }
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

apply one
expect_exit 0 second apply "$T/two.json"
expect_table spctl
expect_table second
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_answer 'A|10.20.0.1|hi' udp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' udp 10.10.0.1:9001
expect_exit 0 spctl status
expect_exit 0 second status

# Neither apply ends the other's UDP flows, and neither sees the other's table as its own.
hold first cl tcp 10.10.0.1:9000
hold other cl tcp 10.10.0.1:9001
expect_exit 1 spctl apply "$T/one.json" --table second
expect_match "$err" 'exists|another spctl instance'
flow() { gw conntrack -L -p "$2" --orig-port-dst "$1" 2>/dev/null | grep -c "dport=$1"; }
hold udp cl udp 10.10.0.1:9001
expect_hold udp 'B|10.20.0.1|u' u
sed -i 's/10\.20\.0\.2/10.20.0.3/' "$T/one.json"
apply one
expect_hold udp 'B|10.20.0.1|v' v
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
[[ $(flow 9001 udp) -ge 1 ]] || fail 'the UDP flow of the other instance is gone'

# down of one: its flows end, the other's connection and conntrack entries stay.
# The first one turned route_localnet on: that stays for the second, with its guard and nothing else.
expect_exit 0 spctl down
expect_match "$out" 'left on'
[[ $(gw nft list table inet spctl) != *dnat* ]] || fail 'routes are left'
expect_table second
expect_hold other 'B|10.20.0.1|still' still
[[ $(flow 9001 tcp) -ge 1 ]] || fail 'the entries of the other instance are gone'
expect_eq "$(flow 9000 tcp || :)" 0 'entries of the instance that is down'
expect_refused tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_answer 'B|10.20.0.1|hi' udp 10.10.0.1:9001
expect_exit 0 second status
hold_close first
hold_close other
hold_close udp
expect_exit 0 second down
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after both are down'
expect_eq "$(sysctls)" "$sys" 'sysctls after both are down'
