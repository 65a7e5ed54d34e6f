#!/bin/bash
# A18: ten connections a minute are ten at once, then one every six seconds; each client has its own,
# and of IPv6 a client is a /64.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_limit ipv6
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

# The last address of a /64 is the same client as the first, the next /64 is another: by the limit
# over all routes, and by a route's own.
for a in 2001:db8:1::1 2001:db8:1::2 2001:db8:1:0:ffff:ffff:ffff:ffff 2001:db8:1:1::1; do
	ip -n cl addr add "$a/128" dev lo nodad
done
ip -n gw route add 2001:db8:1::/48 via fd10::2
apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":1,"routes":[
 {"name":"all","match":{"ports":9404},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
E
by_subnet() { # PORT
	local last=2001:db8:1:0:ffff:ffff:ffff:ffff start=$SECONDS was
	was=$(refused rate)
	expect_answer 'A|fd20::1|hi' tcp "[fd10::1]:$1" -s 2001:db8:1::1
	for a in 2001:db8:1::1 2001:db8:1::2 $last; do
		expect_answer refused tcp "[fd10::1]:$1" -s "$a"
	done
	expect_answer 'A|fd20::1|hi' tcp "[fd10::1]:$1" -s 2001:db8:1:1::1
	expect_answer refused tcp "[fd10::1]:$1" -s 2001:db8:1:1::1
	expect_answer refused tcp "[fd10::1]:$1" -s 2001:db8:1::2
	# (The next token comes after a minute.)
	((SECONDS - start < 50)) || fail "took $((SECONDS - start)) s: nothing is proved"
	expect_eq "$(refused rate)" $((was + 5)) 'refused'
}
by_subnet 9404
apply_config <<'E'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"own","match":{"ports":9405},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]},"security":{"connectionRate":1}}]}
E
by_subnet 9405
expect_exit 0 spctl down
