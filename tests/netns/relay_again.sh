#!/bin/bash
# A port that the relay gives up and wants again at once: each apply succeeds, and each connection.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat
lab_up
serve a A -t '*:7000'

config kernel <<'END'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"r",
  "match":{"ports":[9000,{"from":9001,"to":9020}]},
  "action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
END
sed 's/"type":"forward"/"type":"forward","forwardingEngine":"relay"/' "$T/kernel.json" >"$T/relay.json"

# A relay needs no forwarding.
apply relay
expect_eq "$(gw cat /proc/sys/net/ipv4/ip_forward)" 0
for _ in 1 2 3 4 5 6; do
	apply relay
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	apply kernel
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9020
done
# Somebody else's socket is still an error.
nobody_listens() { [[ -z $(gw ss -Htln 'sport = 9010') ]]; }
eventually nobody_listens
serve gw X -t '*:9010'
expect_exit 1 spctl apply "$T/relay.json"
expect_match "$err" 'cannot listen on .*9010: .*listens on'
expect_exit 0 spctl down
