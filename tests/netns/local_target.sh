#!/bin/bash
# Targets on the gateway itself: 127.0.0.1 opens nothing but the route; redirect where the service
# listens on the wildcard; an address of the gateway.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_redir
lab_up
serve gw L -t '127.0.0.1:8000' -t '127.0.0.1:2222' -u '127.0.0.1:8000'
serve gw W -t '*:8100' -u '*:8100'
serve gw I -t '10.20.0.1:8200'

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
expect_match "$(attack_loopback 2222)" '^(timeout|refused|unreachable)$' 'an outsider at 127.0.0.1:2222'
expect_match "$(attack_loopback 8000)" '^(timeout|refused|unreachable)$' 'an outsider at 127.0.0.1:8000'
# The test can see the difference: without our table, the same packet gets through.
gw sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet'
gw nft delete table inet spctl
expect_eq "$(attack_loopback 2222)" 'L|10.10.0.2|hi' 'the attack_loopback itself (guard off)'
run spctl down
[[ $code == 0 || $code == 1 ]] || fail "down after a deleted table: exit $code"
