#!/bin/bash
# A22: kernel forwarding with a table name of the user's; the gateway as client;
# other tables untouched; leftovers of a killed apply are no obstacle.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
gw nft add table inet other
gw nft add chain inet other c '{ type filter hook input priority 10; policy accept; }'
before=$(gw nft -s list table inet other)

config k1 <<'EOF'
{"routes":[{"name":"k1","match":{"ports":9600},"action":{"type":"forward","forwardingEngine":"nftables","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"protocol":"tcp","tableName":"spctl_lab"}}}]}
EOF
apply k1
expect_table spctl_lab
expect_no_table spctl
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9600
expect_answer_in gw 'A|10.20.0.1|hi' tcp 10.10.0.1:9600
expect_match "$(gw nft list table inet spctl_lab)" 'k1|spctl' 'a name of ours in the table'
expect_eq "$(gw nft -s list table inet other)" "$before" 'the other table'

# Killed in the middle, again and again: the next apply puts everything right.
for i in 1 2 3 4 5; do
	lab_in gw timeout -s KILL "0.0$i" "$SPCTL" apply "$T/k1.json" >"$T/killed.log" 2>&1 || :
done
apply k1
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9600
expect_exit 0 spctl status

expect_exit 0 spctl down
expect_no_table spctl_lab
expect_eq "$(gw nft -s list table inet other)" "$before" 'the other table after down'
