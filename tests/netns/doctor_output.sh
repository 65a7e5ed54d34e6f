#!/bin/bash
# doctor judges what other tables do to the answers of targets on this host, on their way out, and
# names chains of devices, which it does not look at.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
four_routes
works

# ---- output: the connection comes in, its answer does not go out
for chain in 'type filter hook output priority 0' 'type filter hook output priority raw' 'type route hook output priority mangle' \
	'type filter hook postrouting priority 0' 'type filter hook postrouting priority 200'; do
	nft_table "table inet fw { chain out { $chain; policy drop; oif lo accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }; }"
	expect_none_in cl tcp 10.10.0.1:9001
	finds input-policy 'table inet fw, chain out \(policy drop\) drops answers to lan, lan2, srv from this host' 'here'
	type_fix
	expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9001
	spctl doctor --json >"$T/after" || :
	expect_json "$(cat "$T/after")" '.findings | map(select(.check == "input-policy")) | all(.level != "problem")'
	gw nft delete table inet fw
	healthy
done
nft_table 'table ip fw { chain out { type filter hook output priority 0; tcp sport 7001 tcp flags & (syn | ack) == syn | ack drop; }; }'
dead 9001
finds_only input-policy 'chain out \(rule handle [0-9]+\) drops answers' 'here'
heals ip fw
nft_table 'table ip fw { chain out { type filter hook output priority raw; tcp sport 7001 notrack; }; }'
dead 9001
finds_only input-policy 'takes answers out of connection tracking' 'here'
heals ip fw

# Every way to let them pass is seen; and what is for others is none of ours.
for rule in 'ct state established accept' 'ct direction reply accept' 'ct status dnat accept' 'tcp sport 7001 accept' \
	'oifname { "lan", "lan2", "srv" } accept' 'ip saddr 127.0.0.1 accept'; do
	nft_table "table ip fw { chain out { type filter hook output priority 0; policy drop; $rule; }; }"
	works
	healthy
	gw nft delete table ip fw
done
nft_table 'table ip fw { chain out { type filter hook output priority 0; tcp dport 7001 drop; oifname srv drop; tcp sport 9001 drop; ct state new drop; }; }'
works
healthy
gw nft delete table ip fw

# ---- chains of devices are named
nft_table 'table netdev nd { chain in { type filter hook ingress device lan priority 0; policy drop; }; }'
dead 9000 9001
notes forward-policy 'table netdev nd, chain in filters at a device'
gw nft add chain netdev nd in2 '{ type filter hook ingress device lan2 priority 0; policy drop; }'
notes forward-policy 'table netdev nd, chain in2? and 1 more filters at a device'
expect_eq "$code" 0
gw nft flush table netdev nd
gw nft delete table netdev nd
nft_table 'table inet fw { chain in { type filter hook ingress device lan priority 0; tcp dport 9000 drop; }; }'
dead 9000
notes forward-policy 'table inet fw, chain in filters at a device'
gw nft delete table inet fw
# One that does nothing is none.
nft_table 'table netdev nd { chain in { type filter hook ingress device lan priority 0; policy accept; }; }'
works
healthy
expect_json "$out" '.findings | map(select(.check == "forward-policy")) | map(.level) == ["ok"]'
