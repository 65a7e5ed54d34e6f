#!/bin/bash
# doctor judges other tables at every hook that forwarded packets pass, before and behind the
# translation, with and without connection tracking.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
four_routes
works

# ---- filters before the translation (raw, mangle): they see the client's address and port
for priority in raw mangle; do
	nft_table "table inet fw { chain pre { type filter hook prerouting priority $priority; policy accept; tcp dport 9000 drop; }; }"
	dead 9000
	finds_only forward-policy 'table inet fw, chain pre \(rule handle [0-9]+\) drops connections' 'four'
	heals inet fw
	nft_table "table inet fw { chain pre { type filter hook prerouting priority $priority; policy accept; tcp dport 9001 drop; }; }"
	dead 9001
	finds_only input-policy 'chain pre \(rule handle [0-9]+\) drops connections' 'here'
	heals inet fw
	# Port and address of the target are not there yet.
	nft_table "table inet fw { chain pre { type filter hook prerouting priority $priority; policy accept; tcp dport 7000 drop; ip daddr 10.20.0.2 drop; tcp dport 9999 drop; }; }"
	works
	healthy
	gw nft delete table inet fw
done
# Before connection tracking nothing is new and nothing is established; then it is.
nft_table 'table inet fw { chain pre { type filter hook prerouting priority raw; policy accept; ct state { new, established } drop; }; }'
works
healthy
gw nft delete table inet fw
nft_table 'table inet fw { chain pre { type filter hook prerouting priority mangle; policy accept; iifname srv ct state established tcp sport 7000 drop; }; }'
dead 9000
finds_only forward-policy 'chain pre .* drops answers' 'four kept'
heals inet fw
nft_table 'table inet fw { chain pre { type filter hook prerouting priority raw; policy accept; iifname srv tcp sport 7000 drop; }; }'
dead 9000
finds_only forward-policy 'chain pre .* drops answers' 'four kept'
heals inet fw
# Behind the translation: the target's.
nft_table 'table inet fw { chain pre { type filter hook prerouting priority filter; policy accept; tcp dport 9000 accept; tcp dport 7000 drop; }; }'
dead 9000
finds_only forward-policy 'chain pre .* drops connections' 'four kept'
heals inet fw

# ---- postrouting
nft_table 'table inet fw { chain post { type filter hook postrouting priority 0; policy accept; oifname srv tcp dport 7000 drop; }; }'
dead 9000
finds_only forward-policy 'chain post .* drops connections' 'four kept'
heals inet fw
nft_table 'table inet fw { chain post { type filter hook postrouting priority 200; policy accept; tcp sport 9000 drop; tcp sport 7000 accept; }; }'
dead 9000
finds_only forward-policy 'chain post .* drops answers' 'four'
heals inet fw

# ---- no tracking, no translation
nft_table 'table inet fw { chain raw { type filter hook prerouting priority raw; policy accept; tcp dport 9000 notrack; tcp dport 9999 notrack; }; }'
dead 9000
finds_only forward-policy 'chain raw \(rule handle [0-9]+\) takes connections out of connection tracking' 'four'
heals inet fw
nft_table 'table inet fw { chain raw { type filter hook prerouting priority raw; policy accept; ip saddr 10.20.0.2 notrack; }; }'
dead 9000
finds_only forward-policy 'takes answers out of connection tracking' 'four kept datagrams'
heals inet fw
if gw sh -c 'command -v iptables-nft' >/dev/null; then
	gw iptables-nft -t raw -A PREROUTING -p tcp --dport 9000 -j CT --notrack
	dead 9000
	finds_only forward-policy 'takes connections out of connection tracking' 'four'
	heals ip raw
fi

# ---- another masquerade: where the client's address is to be kept, the target sees another
for priority in 90 srcnat 110; do
	nft_table "table ip fw { chain post { type nat hook postrouting priority $priority; policy accept; oifname srv masquerade; }; }"
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9002
	finds_only nat-after 'table ip fw, chain post \(rule handle [0-9]+\) replaces' 'kept'
	heals ip fw
done
nft_table 'table ip fw { chain post { type nat hook postrouting priority srcnat; policy accept; ip saddr 10.10.0.0/24 snat to 10.20.0.1; }; }'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9002
healthy
notes nat-after 'may replace the client.s address, .* for some clients'
gw nft delete table ip fw
# Not for what is translated, or elsewhere.
nft_table 'table ip fw { chain post { type nat hook postrouting priority srcnat; policy accept; ct status dnat return; masquerade; }; }
table ip fw2 { chain post { type nat hook postrouting priority srcnat; policy accept; oifname "lan" masquerade; ip daddr 10.20.0.3 masquerade; }; }'
works
healthy
expect_json "$out" '.findings | map(select(.check == "nat-after")) | map(.level) == ["ok"]'
gw nft delete table ip fw
gw nft delete table ip fw2
if gw sh -c 'command -v iptables-nft' >/dev/null; then
	ln -s "$(command -v iptables-nft)" "$T/iptables"
	PATH=$T:$PATH
	gw iptables -t nat -A POSTROUTING -o srv -j MASQUERADE
	finds_only nat-after 'table ip nat, chain POSTROUTING .* replaces' 'kept'
	type_fix
	healthy
	works
fi
