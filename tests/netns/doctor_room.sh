#!/bin/bash
# doctor finds a connection table that is nearly full or too small for what the routes allow, a
# target for which few source ports are left, and few ports for the host's own connections.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq
need_tool sysctl
lab_up
serve a A -t '*:7000' -u '*:7000'

config all <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"masked","match":{"ports":9000,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"kept","match":{"ports":9001,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"preserveSourceIP":true}}}]}
EOF
apply all
healthy

# ---- the real number of entries, and a limit that is the test's: the kernel's belongs to the host
gw sh -c 'cat /proc/sys/net/netfilter/nf_conntrack_max' >"$T/max"
gw mount --bind "$T/max" /proc/sys/net/netfilter/nf_conntrack_max
entries() { gw cat /proc/sys/net/netfilter/nf_conntrack_count; }
for ((i = 0; i < 20; i++)); do expect_answer 'A|10.20.0.1|hi' udp 10.10.0.1:9000; done
n=$(entries)
((n >= 20)) || fail "$n entries"
echo $((n * 2)) >"$T/max"
healthy
echo $((n + n / 8)) >"$T/max"
finds_only conntrack "nearly full: $n of $((n + n / 8))" 'masked kept'
expect_exit 0 spctl status
expect_match "$err" "warning: the connection table is nearly full \($n of $((n + n / 8))\)"
type_fix
expect_exit 0 spctl status
expect_eq "$err" ''
expect_eq "$(cat "$T/max")" $(((n + n / 8) * 2))
healthy

# ---- a limit below what the routes allow
config limits <<'EOF'
{"routes":[
 {"name":"big","match":{"ports":9100},"security":{"maxConnections":100000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"plain","match":{"ports":9101},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
echo 99999 >"$T/max"
finds_only conntrack 'allow 100000 connections of one route, .* room for 99999' 'big' "$T/limits.json"
type_fix
healthy "$T/limits.json"
# A ceiling is not a need: what the routes allow together may be more than there is room for.
config ceilings <<'EOF'
{"defaults":{"security":{"maxConnections":60000}},"routes":[
 {"name":"one","match":{"ports":9100},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"two","match":{"ports":9101},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
echo 119999 >"$T/max"
healthy "$T/ceilings.json"
notes conntrack 'together allow 120000 connections .* room for 119999' "$T/ceilings.json"
echo 59999 >"$T/max"
finds_only conntrack 'allow 60000 connections of one route, .* room for 59999' 'one two' "$T/ceilings.json"
gw umount /proc/sys/net/netfilter/nf_conntrack_max
healthy

# ---- source ports: this many flows from our one address to one port of the target
room=$(gw cat /proc/sys/net/netfilter/nf_conntrack_max)
if ((room > 80000)); then
	few() { [[ $(gw conntrack -L -p udp --orig-port-dst 9000 2>/dev/null | wc -l) -ge 51700 ]]; }
	cl ip route add local 20.0.0.0/8 dev lo
	gw ip route add 20.0.0.0/8 via 10.10.0.2
	flood_ports() { cl "$LAB_TOOLS/spray" "10.10.0.1:$1" -s 20.0.0.1 -n 52000; }
	flood_ports 9001
	healthy # these keep the client's address: they take no port of ours
	flood_ports 9000
	few || fail 'too few flows to test with'
	finds ports 'connections from 10\.20\.0\.1 to target 10\.20\.0\.2 udp/7000' 'masked'
	gw conntrack -F 2>/dev/null
	healthy
fi

# ---- few ports for own connections: a process that connects for others needs them
config relay <<'EOF'
{"routes":[
 {"name":"sni","match":{"ports":9443,"domains":"a.example"},"action":{"type":"forward","tls":{"mode":"passthrough"},"targets":[{"host":"10.20.0.2","port":443}]}},
 {"name":"plain","match":{"ports":9101},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
healthy "$T/relay.json"
gw sysctl -qw net.ipv4.ip_local_port_range='60000 60099'
finds_only ports 'have 100 source ports' 'sni' "$T/relay.json"
notes ports 'have 100 source ports' # kernel routes do not use them
expect_eq "$code" 0
type_fix
healthy "$T/relay.json"
healthy
expect_json "$out" '.findings | any(.check == "ports" and .level == "ok")'
