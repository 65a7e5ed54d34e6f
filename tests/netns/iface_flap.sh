#!/bin/bash
# An interface that goes and comes back is served again, without another apply.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve gw G -t '127.0.0.1:8000'

apply_config <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"local","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}}]}
EOF
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9001

gw ip link set lan down
expect_none_in cl tcp 10.10.0.1:9000
gw ip link set lan up
again() { [[ $(probe tcp 10.10.0.1:9000 -w 500) == 'A|10.20.0.1|hi' ]]; }
eventually again

# Deleted and made anew, with default values for everything that is set per interface.
gw ip link del lan
ip link add eth0 netns cl type veth peer name lan netns gw
gw ip addr add 10.10.0.1/24 dev lan
gw ip link set lan up
cl ip addr add 10.10.0.2/24 dev eth0
cl ip link set eth0 up
cl ip route add default via 10.10.0.1
eventually again
expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9001
expect_exit 0 spctl status
expect_exit 0 spctl down
