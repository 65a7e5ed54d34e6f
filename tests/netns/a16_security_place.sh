#!/bin/bash
# A16: of two security blocks the one in the action counts, and a warning says that there are two.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config two <<'E'
{"routes":[{"name":"two","match":{"ports":9401},"security":{"ipAllowList":["10.10.0.2"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"security":{"ipAllowList":["10.10.0.3"]}}}]}
E
for command in check plan apply; do
	expect_exit 0 spctl $command "$T/two.json"
	expect_match "$err" 'warning: routes\[0\]\.security: .*action\.security beats it' "$command"
done
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9401 -s 10.10.0.3
expect_answer refused tcp 10.10.0.1:9401
expect_eq "$(refused list)" 1
expect_exit 0 spctl down
