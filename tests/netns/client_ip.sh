#!/bin/bash
# Routes of one port that differ by client: narrower first, gaps go to the local listener.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'
serve gw G -t '*:9001'

apply_config <<'EOF'
{"routes":[
 {"name":"all","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"one","match":{"ports":9000,"transport":"all","clientIp":["10.10.0.9","fd10::9"]},"action":{"type":"forward","targets":[{"host":["10.20.0.3","fd20::3"],"port":7000}]}},
 {"name":"gap","match":{"ports":9001,"clientIp":["10.10.0.0/28"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"gap-range","match":{"ports":9001,"clientIp":["10.30.0.1-10.30.0.9"]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"wins","priority":5,"match":{"ports":9002,"clientIp":["10.10.0.0/24"]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"loses","match":{"ports":9002,"clientIp":["10.10.0.2"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"glob","match":{"ports":9003,"clientIp":["10.10.0.*"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
for proto in tcp udp; do
	expect_answer 'A|10.20.0.1|hi' "$proto" 10.10.0.1:9000
	expect_answer 'B|10.20.0.1|hi' "$proto" 10.10.0.1:9000 -s 10.10.0.9
	expect_answer 'A|10.20.0.1|hi' "$proto" 10.10.0.1:9000 -s 10.10.0.66
	expect_answer 'A|fd20::1|hi' "$proto" '[fd10::1]:9000'
	expect_answer 'B|fd20::1|hi' "$proto" '[fd10::1]:9000' -s fd10::9
done
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001 -s 10.10.0.9
expect_answer 'G|10.10.0.66|hi' tcp 10.10.0.1:9001 -s 10.10.0.66
expect_answer_in c2 'B|10.20.0.1|hi' tcp 10.30.0.1:9001
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9002
expect_refused_in c2 tcp 10.30.0.1:9002
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9003
expect_refused_in c2 tcp 10.30.0.1:9003

expect_exit 0 spctl explain "$T/routes.json" --port 9000 --client 10.10.0.9
expect_match "$out" 'one'
expect_exit 0 spctl down
