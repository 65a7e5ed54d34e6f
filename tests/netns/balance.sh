#!/bin/bash
# How connections are shared out: round robin exactly, by weight, at random, by client address.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_numgen nft_hash
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
for i in {100..139}; do
	echo "addr add 10.10.0.$i/24 dev eth0"
done | ip -n cl -batch -

apply_config <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"rr","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}]}},
 {"name":"weights","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000,"weight":7},{"host":"10.20.0.3","port":7000,"weight":3}]}},
 {"name":"random","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}],"loadBalancing":{"algorithm":"random"}}},
 {"name":"sticky","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}],"loadBalancing":{"algorithm":"ip-hash"}}},
 {"name":"six","match":{"ports":9004},"action":{"type":"forward","targets":[{"host":["fd20::2","fd20::3"],"port":7000}]}},
 {"name":"none","match":{"ports":9005},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000,"weight":0},{"host":"10.20.0.3","port":7000}]}}]}
EOF
expect_answer $'A 50\nB 50' tcp 10.10.0.1:9000 -n 100 --tally
expect_answer $'A 35\nB 15' tcp 10.10.0.1:9001 -n 50 --tally
expect_answer $'A 10\nB 10' tcp '[fd10::1]:9004' -n 20 --tally
expect_answer 'B 10' tcp 10.10.0.1:9005 -n 10 --tally
# One round robin is not moved by another's connections.
expect_match "$(probe tcp 10.10.0.1:9000)" '^A'
expect_match "$(probe tcp 10.10.0.1:9001)" '^[AB]'
expect_match "$(probe tcp 10.10.0.1:9000)" '^B'

# 400 at random over 2: 140..260 is six standard deviations.
tally=$(probe tcp 10.10.0.1:9002 -n 400 -c 8 --tally)
[[ $tally =~ ^A\ ([0-9]+).B\ ([0-9]+)$ ]] || fail "random: $tally"
((BASH_REMATCH[1] >= 140 && BASH_REMATCH[1] <= 260)) || fail "random: $tally"
((BASH_REMATCH[1] + BASH_REMATCH[2] == 400)) || fail "random: $tally"

# ip-hash: the same client always the same target; 40 clients use both.
all=
for i in {100..139}; do
	answers=$(probe tcp 10.10.0.1:9003 -s "10.10.0.$i" -n 3 --tally)
	[[ $answers == 'A 3' || $answers == 'B 3' ]] || fail "ip-hash, client 10.10.0.$i: $answers"
	all+=${answers:0:1}
done
[[ $all == *A* && $all == *B* ]] || fail "ip-hash put all 40 clients on one target: $all"
# The same after an apply that changes another route.
sed -i 's/"ports":9000/"ports":9010/' "$T/routes.json"
apply routes
now=
for i in {100..139}; do
	answers=$(probe tcp 10.10.0.1:9003 -s "10.10.0.$i")
	now+=${answers:0:1}
done
expect_eq "$now" "$all" 'ip-hash after an apply'
expect_exit 0 spctl down
