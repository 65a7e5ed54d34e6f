#!/bin/bash
# "All addresses" means the gateway's own: a client behind the gateway still reaches a foreign
# host's :443. Where spctl turned forwarding on, only its routes are open.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up --routes
serve a A -t '*:443'
serve fo F -t '*:443' -t '*:80'
serve cl C -t '*:2222'

config web_both <<'EOF'
{"routes":[{"name":"web","match":{"ports":443},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":443}]}}]}
EOF
expect_answer 'F|10.10.0.2|hi' tcp 192.0.2.1:443
expect_answer_in fo 'C|10.20.0.4|hi' tcp 10.10.0.2:2222
apply web_both
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:443
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:443'
expect_answer 'F|10.10.0.2|hi' tcp 192.0.2.1:443
expect_answer 'F|fd10::2|hi' tcp '[2001:db8::1]:443'
expect_answer 'F|10.10.0.2|hi' tcp 192.0.2.1:80
# An address that is added after the apply is served.
gw ip addr add 10.10.0.77/24 dev lan
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.77:443
gw ip addr del 10.10.0.77/24 dev lan
expect_exit 0 spctl down
expect_eq "$(gw cat /proc/sys/net/ipv4/ip_forward)" 1 'ip_forward, which was on'
expect_answer 'F|10.10.0.2|hi' tcp 192.0.2.1:443

# Now with forwarding off at first.
gw sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding'
expect_none_in cl tcp 192.0.2.1:443
apply web_both
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:443
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:443'
expect_none_in cl tcp 192.0.2.1:443
expect_none_in cl tcp '[2001:db8::1]:443'
expect_none_in cl tcp 10.20.0.2:443
expect_none_in c2 tcp 10.10.0.2:2222
expect_none_in fo tcp 10.10.0.2:2222
expect_exit 0 spctl down
expect_eq "$(gw cat /proc/sys/net/ipv4/ip_forward)" 0 'ip_forward, which was off'
