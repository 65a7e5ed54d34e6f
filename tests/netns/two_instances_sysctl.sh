#!/bin/bash
# Two instances of which the first turned forwarding on: its down leaves the second one
# working, and a later down takes the rest back.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve b B -t '*:7000'

config one <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config two <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
second() { spctl "$@" --state-dir "$T/state2" --run-dir "$T/run2" --table second; }
sys=$(sysctls)

apply one
expect_exit 0 second apply "$T/two.json"
hold other cl tcp 10.10.0.1:9001
expect_exit 0 spctl down
expect_hold other 'B|10.20.0.1|still' still
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9001
hold_close other
# What the first turned on stays for the second, with its guard: a foreign host is not forwarded to.
expect_eq "$(gw cat /proc/sys/net/ipv4/ip_forward)" 1 ip_forward
expect_match "$(gw nft list table inet spctl)" 'drop' 'the guard'
expect_exit 0 second down
expect_exit 0 spctl down
expect_eq "$(sysctls)" "$sys" 'sysctls after both are down'
