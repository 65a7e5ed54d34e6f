#!/bin/bash
# doctor finds targets that cannot be reached, strict reverse-path filters that drop what comes by
# the second way, and answers to kept client addresses that go past this host.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool sysctl
lab_up
serve a A -t '*:7000'

config all <<'EOF'
{"routes":[
 {"name":"near","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"far","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"192.0.2.1","port":7000}]}},
 {"name":"pair","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":["10.20.0.3","192.0.2.1"],"port":7000}]}}]}
EOF
apply all
healthy

# ---- no route, and routes that refuse
gw ip route del 192.0.2.0/24 via 10.20.0.4
finds_only target-route 'no route to target 192\.0\.2\.1' 'far pair'
expect_eq "$fix" 'ip route add 192.0.2.1 via GATEWAY'
fix=${fix/GATEWAY/10.20.0.4}
type_fix
healthy
gw ip route del 192.0.2.1
for type in unreachable prohibit blackhole; do
	gw ip route add $type 192.0.2.0/24
	finds_only target-route "route of type $type leads to target 192\\.0\\.2\\.1" 'far pair'
	gw ip route del $type 192.0.2.0/24
done
gw ip route add 192.0.2.0/24 via 10.20.0.4
healthy

# ---- the interface is down; then its other end is
gw ip link set srv down
finds_only target-route 'interface srv, by which target 10\.20\.0\.2 is reached, is down' 'near'
type_fix
gw ip route replace 192.0.2.0/24 via 10.20.0.4
eventually gw sh -c 'ip link show srv | grep -q LOWER_UP'
healthy
ip -n sw link set to-gw down
eventually gw sh -c 'ip link show srv | grep -q NO-CARRIER'
finds_only target-route 'srv, .* has no carrier' 'near'
ip -n sw link set to-gw up
eventually gw sh -c 'ip link show srv | grep -q LOWER_UP'
healthy
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# ---- a target with two ways: the kernel uses srv, the answers come by srv2, where rp_filter is strict
config keep <<'EOF'
{"routes":[
 {"name":"kept","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"preserveSourceIP":true}}},
 {"name":"far","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"192.0.2.1","port":7000}]}}]}
EOF
apply keep
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9000
healthy
ip link add name to-gw2 netns sw type veth peer name srv2 netns gw
ip -n sw link set to-gw2 master br0 up
gw ip link set srv2 up
gw ip addr add 10.20.0.9/32 dev srv2
gw ip route add 10.20.0.0/24 dev srv2 metric 500
# (arp_ignore: each address is answered for by its own interface)
gw sysctl -qw net.ipv4.conf.all.arp_ignore=1
srv a ip route replace default via 10.20.0.9
healthy
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9000
gw sysctl -qw net.ipv4.conf.srv2.rp_filter=1
expect_none_in cl tcp 10.10.0.1:9000
finds rp-filter 'strict on srv2: answers of target 10\.20\.0\.2' 'kept'
type_fix
healthy
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9000
# Strict where everything has one way only is right.
gw sysctl -qw net.ipv4.conf.lan.rp_filter=1
healthy
gw sysctl -qw net.ipv4.conf.srv2.rp_filter=0
gw ip link del srv2
srv a ip route replace default via 10.20.0.1

# ---- clients from afar come in by a second uplink; the way back is the first
gw ip route add default via 10.10.0.2 metric 10
gw ip route add default via 10.30.0.2 metric 20
srv c2 ip addr add 198.51.100.5/32 dev lo
cl ip route add 198.51.100.5 via 10.10.0.1
healthy
gw sysctl -qw net.ipv4.conf.lan2.rp_filter=1
expect_none_in c2 tcp 10.30.0.1:9001 -s 198.51.100.5
finds_only rp-filter 'strict on lan2: clients \(far away\)' 'kept far'
type_fix
healthy
gw ip route del default via 10.10.0.2
gw ip route del default via 10.30.0.2

# ---- the target answers the clients by another way: nothing comes back through here
srv fo ip route replace 10.10.0.0/24 via 10.20.0.1
srv a ip route replace default via 10.20.0.4
srv fo sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward'
# Connections from before were answered: they are over, and their entries go with them.
gw conntrack -D -p tcp --dport 9000 >/dev/null 2>&1 || :
notes return-path 'cannot be told'
healthy
# (A neighbour of the target is masqueraded: that it is answered says nothing.)
expect_answer_in b 'A|10.20.0.1|hi' tcp 10.20.0.1:9000
for ((i = 0; i < 3; i++)); do expect_none_in cl tcp 10.10.0.1:9000; done
finds_only return-path 'none of [0-9]+ connections to target 10\.20\.0\.2' 'kept'
expect_match "$fix" 'ip route replace default via 10\.20\.0\.1'
type_fix a
expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9000
healthy
expect_json "$out" '.findings | any(.check == "return-path" and .level == "ok")'
# A target that is down is another matter than one whose answers go astray.
gw conntrack -D -p tcp --dport 9000 >/dev/null 2>&1 || :
srv a ip link set eth0 down
for ((i = 0; i < 3; i++)); do expect_none_in cl tcp 10.10.0.1:9000; done
gw ip neigh flush dev srv
neighbour_failed() {
	probe_in gw tcp 10.20.0.2:7000 -w 200
	[[ $(gw ip neigh show 10.20.0.2) == *FAILED* || $(gw ip neigh show 10.20.0.2) == *INCOMPLETE* ]]
}
eventually neighbour_failed
notes target-route '10\.20\.0\.2 does not answer on srv'
expect_json "$out" '[.findings[] | select(.check == "return-path" and .level == "problem")] == []'
srv a ip link set eth0 up
srv a ip route replace default via 10.20.0.1

# ---- a service that never answers (syslog): nothing is wrong, and nothing is to be changed
config syslog <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"syslog","match":{"ports":514,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":5140}],"nftables":{"preserveSourceIP":true}}}]}
EOF
apply syslog
serve b B -u '*:5140'
srv b nft -f - <<<'table ip mute { chain out { type filter hook output priority 0; udp sport 5140 drop; }; }'
for ((i = 0; i < 4; i++)); do expect_none_in cl udp 10.10.0.1:514; done
healthy
notes return-path 'none of [0-9]+ UDP flows to target 10\.20\.0\.3'
expect_json "$out" '[.findings[] | select(.check == "return-path") | .fix] == [null]'
