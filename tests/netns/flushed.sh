#!/bin/bash
# Somebody flushes the whole ruleset, or changes ours: status says so, apply repairs it.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
apply one
# The order in which chains were made is not part of it.
ruleset() { rules_of | sort; }
rules=$(ruleset)
expect_exit 0 spctl status

gw nft flush ruleset
expect_exit 1 spctl status
expect_match "$out$err" 'drift'
expect_exit 1 spctl status --json
expect_json "$out" '.drift == true'
expect_refused tcp 10.10.0.1:9000
apply one
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
expect_eq "$(ruleset)" "$rules" 'ruleset after the repair'

# Less obvious: one chain of ours emptied.
chain=$(gw nft -j list chains | jq -r '[.nftables[].chain // empty | select(.table == "spctl" and .hook == "prerouting" and .type == "nat")][0].name')
gw nft flush chain inet spctl "$chain"
expect_exit 1 spctl status
expect_match "$out$err" 'drift'
apply one
expect_exit 0 spctl status
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_eq "$(ruleset)" "$rules" 'ruleset after the second repair'

# A rule added to it by hand.
gw nft add rule inet spctl "$chain" tcp dport 4711 drop
expect_exit 1 spctl status
apply one
expect_exit 0 spctl status

# Flushed and then taken down.
gw nft flush ruleset
expect_exit 0 spctl down
expect_exit 0 spctl status
expect_eq "$(gw cat /proc/sys/net/ipv4/ip_forward)" 0 ip_forward
