#!/bin/bash
# doctor finds what other tables do to the routes: drop what is forwarded or goes to this host,
# or take a port first. It says so only where it is sure, and each fix heals.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_redir ipv6
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000'
serve gw G -t '127.0.0.1:7001'
lab_start gw "$T/other.log" "$LAB_TOOLS/echod" O -t '*:7009'

config all <<'EOF'
{"routes":[
 {"name":"four","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}},
 {"name":"datagrams","match":{"ports":9010,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"here","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":7001}]}}]}
EOF
apply all
healthy
four_works() { expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000; }

# nft_table TEXT: a table of somebody else.
nft_table() { gw nft -f - <<<"$1"; }
# heals: types the fix, sees it gone, takes the table away.
heals() {
	type_fix
	healthy
	four_works
	gw nft delete table "$@"
	healthy
}

# ---- a forward policy: one family, then both
nft_table 'table ip fw { chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; }; }'
expect_none_in cl tcp 10.10.0.1:9000
finds_only forward-policy 'table ip fw, chain forward \(policy drop\)' 'four datagrams'
heals ip fw

nft_table 'table inet fw { chain forward { type filter hook forward priority filter; policy drop; ct state vmap { established : accept, related : accept, invalid : drop }; tcp dport { 22, 80 } accept; }; }'
finds_only forward-policy 'inet fw, chain forward \(policy drop\)' 'four six datagrams'
heals inet fw

# ---- a rule that drops or rejects, in a chain that is jumped to; what is let through is not named
nft_table 'table inet fw {
	set open { type inet_service; flags interval; elements = { 1000-6999, 8000-9999 }; }
	chain rest { tcp dport @open accept; meta l4proto tcp reject with tcp reset; }
	chain forward { type filter hook forward priority 0; policy accept; ip6 nexthdr tcp return; meta l4proto udp accept; oifname "srv" jump rest; }; }'
expect_refused tcp 10.10.0.1:9000
finds_only forward-policy 'chain rest \(rule handle [0-9]+\) drops' 'four'
heals inet fw

# ---- accepted: firewalld's way, a rule for the target, interfaces, addresses
for rule in 'ct status dnat accept' 'ip daddr 10.20.0.2 accept; ip6 daddr fd20::/64 accept' 'oifname "srv" accept' \
	'iifname { "lan", "lan2" } oifname "s*" accept' 'meta l4proto { tcp, udp } th dport 7000-7010 accept' \
	'ip daddr . th dport { 10.20.0.2 . 7000 } accept; meta nfproto ipv6 accept' 'ct state new counter accept'; do
	nft_table "table inet fw { chain forward { type filter hook forward priority 0; policy drop; $rule; ct state established accept; }; }"
	healthy
	four_works
	gw nft delete table inet fw
done

# ---- who may come in is the firewall's business: a note, and exit code 0
nft_table 'table ip fw { chain forward { type filter hook forward priority 0; policy drop; ip saddr 10.10.0.0/24 accept; ct state established accept; }; }'
four_works
healthy
notes forward-policy 'cannot be told'
gw nft delete table ip fw
# With a default route, what comes in there counts: it is let in.
gw ip route add default via 10.10.0.2
nft_table 'table ip fw { chain forward { type filter hook forward priority 0; policy drop; iifname "lan" accept; ct state established accept; }; }'
healthy
gw ip route replace default via 10.30.0.2
finds_only forward-policy 'from lan2 through' 'four datagrams'
gw ip route del default
gw nft delete table ip fw

# ---- dormant tables, other hooks
nft_table 'table ip fw { flags dormant; chain forward { type filter hook forward priority 0; policy drop; }; }
table ip fw2 { chain output { type filter hook output priority 0; policy drop; ct status dnat accept; }; }'
healthy
gw nft delete table ip fw
gw nft delete table ip fw2

# ---- the input hook: only routes whose target is this host
nft_table 'table inet fw { chain input { type filter hook input priority 0; policy drop; iif lo accept; tcp dport 22 accept; ct state established accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }; }'
expect_none_in cl tcp 10.10.0.1:9001
finds_only input-policy 'inet fw, chain input \(policy drop\)' 'here'
type_fix
healthy
expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9001
gw nft delete table inet fw

# ---- another nat rule on a port of ours: asked before us
nft_table 'table ip other { chain pre { type nat hook prerouting priority -110; policy accept; tcp dport 9000 redirect to :7009; }; }'
expect_answer 'O|10.10.0.2|hi' tcp 10.10.0.1:9000
finds_only nat-before 'table ip other, chain pre \(rule handle [0-9]+\) translates tcp/9000 before' 'four'
type_fix
healthy
four_works
gw nft delete table ip other
# In a map, in a chain that is jumped to.
nft_table 'table inet other {
	map m { type inet_service : ipv4_addr . inet_service; elements = { 9000 : 10.20.0.3 . 7000, 9999 : 10.20.0.3 . 7000 }; }
	chain sub { dnat ip to tcp dport map @m; }
	chain pre { type nat hook prerouting priority -150; policy accept; fib daddr type local meta l4proto tcp jump sub; }; }'
# A map makes the rule match only what is in it: the other routes are not named. (The connection
# is not ours then, and is not forwarded.)
expect_none_in cl tcp 10.10.0.1:9000
finds_only nat-before 'chain sub .* translates tcp/9000' 'four'
type_fix
healthy
four_works
gw nft delete table inet other
# The same priority: who is asked first depends on which was made last, which nothing shows.
nft_table 'table ip other { chain pre { type nat hook prerouting priority -100; policy accept; ip daddr 10.10.0.1 udp dport { 9010, 9011 } dnat to 10.20.0.3:7000; }; }'
healthy
notes nat-before 'translates udp/9010 at spctl.s priority'
# After ours, or another port, or other addresses: nothing to tell.
nft_table 'table ip after { chain pre { type nat hook prerouting priority -99; policy accept; tcp dport 9000 redirect to :7009; }; }
table ip harmless { chain pre { type nat hook prerouting priority -110; policy accept; tcp dport 9002 redirect to :7009; ip daddr 192.0.2.1 tcp dport 9000 redirect to :7009; }; }'
healthy
four_works
# For some clients only: a note.
gw nft add rule ip harmless pre ip saddr 10.30.0.2 tcp dport 9000 redirect to :7009
healthy
notes nat-before 'may translate tcp/9000 for some clients'
gw nft delete table ip harmless
gw nft delete table ip after
gw nft delete table ip other

# ---- iptables-nft, as Docker and others use it
if gw sh -c 'command -v iptables-nft && command -v ip6tables-nft' >/dev/null; then
	ln -s "$(command -v iptables-nft)" "$T/iptables"
	ln -s "$(command -v ip6tables-nft)" "$T/ip6tables"
	PATH=$T:$PATH
	gw iptables -P FORWARD DROP
	gw iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	gw iptables -A FORWARD -p tcp --dport 22 -j ACCEPT
	expect_none_in cl tcp 10.10.0.1:9000
	finds_only forward-policy 'table ip filter, chain FORWARD \(policy drop\)' 'four datagrams'
	expect_match "$fix" '^iptables -I FORWARD '
	type_fix
	healthy
	four_works
	gw iptables -F FORWARD
	# Docker's shape: its own chains, one bridge, one published port.
	gw ip link add docker0 type bridge
	gw ip addr add 172.17.0.1/16 dev docker0
	gw ip link set docker0 up
	gw ip route add default via 10.10.0.2
	for c in DOCKER-USER DOCKER-FORWARD DOCKER; do gw iptables -N "$c"; done
	gw iptables -A FORWARD -j DOCKER-USER
	gw iptables -A FORWARD -j DOCKER-FORWARD
	gw iptables -A DOCKER-USER -j RETURN
	gw iptables -A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	gw iptables -A DOCKER-FORWARD -o docker0 -j DOCKER
	gw iptables -A DOCKER-FORWARD -i docker0 -j ACCEPT
	gw iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
	finds_only forward-policy 'table ip filter, chain FORWARD \(policy drop\) drops connections from lan' 'four datagrams'
	expect_match "$fix" '^iptables -I DOCKER-USER '
	type_fix
	healthy
	four_works
	gw iptables -P FORWARD ACCEPT
	gw iptables -F
	# A published port: the DNAT target of iptables, behind its addrtype and tcp matches.
	gw iptables -t nat -N DOCKER
	gw iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
	gw iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 10.20.0.3:7000
	gw iptables -t nat -A DOCKER ! -i docker0 -p tcp -m multiport --dports 9500:9600,9700 -j DNAT --to-destination 10.20.0.3:7000
	healthy
	notes nat-before 'table ip nat, chain DOCKER .* translates tcp/9000 at spctl.s priority'
	gw iptables -t nat -F
	healthy
	four_works
	gw ip6tables -P FORWARD DROP
	finds_only forward-policy 'table ip6 filter, chain FORWARD' 'six'
	type_fix
	healthy
	expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
fi
# Nothing of ours was touched by all that looking.
expect_exit 0 spctl status
