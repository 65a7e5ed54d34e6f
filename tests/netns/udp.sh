#!/bin/bash
# UDP: answers from the address that was asked, a moved target, and a flow older than its route.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -u '*:7000'
serve b B -u '*:7000'

config to_a <<'EOF'
{"routes":[{"name":"dns","match":{"ports":5300,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"six","match":{"ports":5301,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
EOF
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/to_a.json" >"$T/to_b.json"

# A client that has been talking to a dead port of the gateway: its entry must not bypass the route.
hold early cl udp 10.10.0.1:5300 -w 300
hold_say early lost
[[ $answer == refused || $answer == timeout ]] || fail "nobody listens, yet: $answer"

apply to_a
expect_answer 'A|10.20.0.1|hi' udp 10.10.0.1:5300
expect_answer 'A|10.20.0.1|hi' udp 10.20.0.1:5300
expect_answer 'A|fd20::1|hi' udp '[fd10::1]:5301'
expect_answer_in gw 'A|10.20.0.1|hi' udp 10.10.0.1:5300
expect_refused udp 10.10.0.1:5302
expect_refused tcp 10.10.0.1:5300
arrives() { hold_say early again && [[ $answer == 'A|10.20.0.1|again' ]]; }
eventually arrives

# The target moves: a UDP flow follows, because it never ends by itself.
hold late cl udp 10.10.0.1:5300 -w 300
expect_hold late 'A|10.20.0.1|one' one
apply to_b
moved() { hold_say late two && [[ $answer == 'B|10.20.0.1|two' ]]; }
EVENTUALLY=5 eventually moved

# The route goes: so does the flow.
apply_config <<'EOF'
{"routes":[{"name":"six","match":{"ports":5301,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
EOF
gone() { hold_say late three && [[ $answer == refused || $answer == timeout || $answer == gone ]]; }
EVENTUALLY=5 eventually gone
expect_answer 'A|fd20::1|hi' udp '[fd10::1]:5301'
expect_exit 0 spctl down
