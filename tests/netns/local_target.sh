#!/bin/bash
# Targets on the gateway itself: 127.0.0.1 opens nothing but the route; redirect where the service
# listens on the wildcard; an address of the gateway.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_redir
lab_up
serve gw L -t '127.0.0.1:8000' -t '127.0.0.1:2222' -u '127.0.0.1:8000'
serve gw W -t '*:8100' -u '*:8100'
serve gw I -t '10.20.0.1:8200'

# outsider: a neighbour on the link who addresses 127.0.0.1 to the gateway's MAC.
mac=$(gw cat /sys/class/net/lan/address 2>/dev/null || gw ip -br link show dev lan | awk '{print $3}')
attack() {
	cl sh -c 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet'
	cl ip rule add pref 10 to 127.0.0.0/8 lookup 100 2>/dev/null || :
	cl ip route replace 127.0.0.1 via 10.10.0.1 dev eth0 table 100
	cl ip neigh replace 10.10.0.1 lladdr "$mac" dev eth0 nud permanent
	cl ip rule del pref 0 lookup local 2>/dev/null || :
	cl ip rule add pref 20 lookup local 2>/dev/null || :
	probe tcp 127.0.0.1:"$1" -s 10.10.0.2 -w 400
}

apply_config <<'EOF'
{"routes":[
 {"name":"loop","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}},
 {"name":"name","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"localhost","port":8000}]}},
 {"name":"wild","match":{"ports":9100,"transport":"all"},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8100}]}},
 {"name":"own","match":{"ports":9200},"action":{"type":"forward","targets":[{"host":"10.20.0.1","port":8200}]}}]}
EOF
expect_answer 'L|10.10.0.2|hi' tcp 10.10.0.1:9000
expect_answer 'L|10.10.0.2|hi' udp 10.10.0.1:9000
expect_answer 'L|10.10.0.2|hi' tcp 10.10.0.1:9001
expect_answer_in c2 'L|10.30.0.2|hi' tcp 10.30.0.1:9000
expect_answer 'W|10.10.0.2|hi' tcp 10.10.0.1:9100
expect_answer 'W|10.10.0.2|hi' udp 10.10.0.1:9100
expect_answer 'I|10.10.0.2|hi' tcp 10.10.0.1:9200
expect_answer_in gw 'L|127.0.0.1|hi' tcp 127.0.0.1:9000
expect_answer_in gw 'W|127.0.0.1|hi' tcp 127.0.0.1:9100

# Local targets need no forwarding off the host.
expect_eq "$(gw cat /proc/sys/net/ipv4/ip_forward)" 0 ip_forward
# 127.0.0.1 of the gateway is closed to the link, whether a route goes there or not.
expect_match "$(attack 2222)" '^(timeout|refused|unreachable)$' 'an outsider at 127.0.0.1:2222'
expect_match "$(attack 8000)" '^(timeout|refused|unreachable)$' 'an outsider at 127.0.0.1:8000'
# The test can see the difference: without our table, the same packet gets through.
gw sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet'
gw nft delete table inet spctl
expect_eq "$(attack 2222)" 'L|10.10.0.2|hi' 'the attack itself (guard off)'
run spctl down
[[ $code == 0 || $code == 1 ]] || fail "down after a deleted table: exit $code"
