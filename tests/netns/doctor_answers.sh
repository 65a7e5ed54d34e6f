#!/bin/bash
# doctor judges other tables by every way in, and with the answers as well: what is dropped for
# all clients is a problem, what one interface may not is what firewalls are for.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
four_routes
works

# ---- clients are let in by one interface and not by the other: that is how it was meant
nft_table 'table ip fw { chain fo { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "lan" accept; }; }'
works
expect_none_in c2 tcp 10.30.0.1:9000
healthy
notes forward-policy 'drops connections from lan2 through this host, but not all others'
gw nft delete table ip fw
# By none: a problem.
nft_table 'table ip fw { chain fo { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "wan" accept; }; }'
dead 9000
finds_only forward-policy 'drops connections from lan, lan2 through' 'four kept datagrams'
heals ip fw

# ---- the first packet passes, the answer does not. (Of datagrams nobody knows whether there is one.)
nft_table 'table ip fw { chain fo { type filter hook forward priority 0; policy drop; iifname { "lan", "lan2" } accept; }; }'
dead 9000 9002
finds_only forward-policy 'table ip fw, chain fo \(policy drop\) drops answers to lan, lan2 through' 'four kept'
notes forward-policy 'drops the answers to datagrams'
heals ip fw
nft_table 'table ip fw { chain fo { type filter hook forward priority 0; ip saddr 10.20.0.2 tcp sport 7000 tcp flags & (syn | ack) == syn | ack drop; }; }'
dead 9000
finds_only forward-policy 'chain fo \(rule handle [0-9]+\) drops answers' 'four kept'
heals ip fw
# Every way to let the answers pass is seen.
for rule in 'ct state established accept' 'ct direction reply accept' 'ct status seen-reply accept' 'ip saddr 10.20.0.2 accept' \
	'iifname srv accept' 'tcp sport 7000 accept' 'oifname { "lan", "lan2" } accept'; do
	nft_table "table ip fw { chain fo { type filter hook forward priority 0; policy drop; iifname { lan, lan2 } accept; $rule; }; }"
	works
	healthy
	gw nft delete table ip fw
done
