#!/bin/bash
# status beside applies that follow each other closely: never a false alarm.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
for host in 2 3; do
	config "to_$host" <<EOF
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.$host","port":7000}]}}]}
EOF
done
apply to_2
(
	for ((i = 0; i < 60; i++)); do
		spctl apply -q "$T/to_$((2 + (i + 1) % 2)).json" || exit 1
	done
) &
applies=$!
n=0
while kill -0 "$applies" 2>/dev/null; do
	expect_exit 0 spctl status
	n=$((n + 1))
done
wait "$applies" || fail 'an apply failed'
((n >= 10)) || fail "only $n looks while the applies ran"
