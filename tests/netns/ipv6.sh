#!/bin/bash
# IPv6 clients and targets; a port may have both families; forwarding is turned on per family.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -t '*:443'
serve b B -t '*:7000'
v6_forwarding() { gw cat /proc/sys/net/ipv6/conf/all/forwarding; }
v4_forwarding() { gw cat /proc/sys/net/ipv4/ip_forward; }

apply_config <<'EOF'
{"routes":[{"name":"four","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
expect_eq "$(v4_forwarding) $(v6_forwarding)" '1 0' 'forwarding with a v4 route'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_refused tcp '[fd10::1]:9000'

apply_config <<'EOF'
{"routes":[{"name":"six","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
EOF
# IPv4 forwarding stays until `down`: flows of the former route may still live.
expect_eq "$(v4_forwarding) $(v6_forwarding)" '1 1' 'forwarding with a v6 route'
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9000'
expect_answer 'A|fd20::1|hi' tcp '[fd20::1]:9000'
expect_answer_in c2 'A|fd20::1|hi' tcp '[fd30::1]:9000'
expect_refused tcp 10.10.0.1:9000

# One route, targets of both families: each client gets those of its own.
apply_config <<'EOF'
{"routes":[{"name":"both","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::3"],"port":7000}]}},
 {"name":"kept","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"fd20::2","port":443}],"nftables":{"preserveSourceIP":true},"forwardingEngine":"nftables"}}]}
EOF
expect_answer 'A 6' tcp 10.10.0.1:9000 -n 6 --tally
expect_answer 'B 6' tcp '[fd10::1]:9000' -n 6 --tally
expect_answer 'A|fd10::2|hi' tcp '[fd10::1]:9001'
expect_answer 'A|fd10::9|hi' tcp '[fd10::1]:9001' -s fd10::9

hold old cl tcp '[fd10::1]:9001'
apply_config <<'EOF'
{"routes":[{"name":"kept","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"fd20::2","port":443}],"nftables":{"preserveSourceIP":true},"forwardingEngine":"nftables"}}]}
EOF
expect_hold old 'A|fd10::2|still' still
expect_refused tcp '[fd10::1]:9001'
hold_close old
expect_exit 0 spctl down
expect_eq "$(v4_forwarding) $(v6_forwarding)" '0 0' 'forwarding after down'
