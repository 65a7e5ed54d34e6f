#!/bin/bash
# A18: ten connections a minute are ten at once, then one every six seconds; each client has its own.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_limit
lab_up
serve a A -t '*:7000'
apply_config <<'E'
{"connectionRateLimitPerMinute":10,"routes":[{"name":"rate","match":{"ports":9403},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
served() { [[ $(probe tcp 10.10.0.1:9403) == 'A|10.20.0.1|hi' ]]; }

start=${EPOCHREALTIME/[.,]/}
expect_eq "$(probe tcp 10.10.0.1:9403 -n 11 --tally | sort | paste -sd' ')" 'A 10 refused 1'
expect_eq "$(refused rate)" 1
expect_eq "$(probe tcp 10.10.0.1:9403 -s 10.10.0.3 -n 10 --tally)" 'A 10' 'another client'
eventually served
waited=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
# The first token comes 6 s after the first connection.
((waited > 5000)) || fail "served again after $waited ms"
expect_answer refused tcp 10.10.0.1:9403
expect_exit 0 spctl down
