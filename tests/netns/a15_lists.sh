#!/bin/bash
# A15: who is allowed and not blocked is served; the others are refused, counted, and get no other route.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
ip -n cl addr add 192.168.1.7/32 dev lo
ip -n cl addr add 192.168.2.7/32 dev lo
ip -n gw route add 192.168.0.0/16 via 10.10.0.2

apply_config <<'E'
{"routes":[
 {"name":"sec","match":{"ports":9400},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]},"security":{"ipAllowList":["10.10.0.0/16","192.168.1.*"],"ipBlockList":["10.10.0.66"]}},
 {"name":"next","priority":-1,"match":{"ports":9400},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
E
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9400
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9400 -s 192.168.1.7
expect_eq "$(refused list)" 0
expect_answer refused tcp 10.10.0.1:9400 -s 10.10.0.66
expect_answer_in c2 refused tcp 10.30.0.1:9400
expect_eq "$(refused list sec)" 2 'route_ip_blocked'
expect_eq "$(refused list next)" 0 'route_ip_blocked of the other route'
expect_answer refused tcp 10.10.0.1:9400 -s 192.168.2.7
expect_eq "$(refused list)" 3 'route_ip_blocked'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9400
expect_eq "$(refused list)" 3
expect_exit 0 spctl down
