#!/bin/bash
# A17: connections at once of a route, and of a client over all routes.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_connlimit
lab_up
serve a A -t '*:7000'
apply_config <<'E'
{"maxConnectionsPerIP":5,"connectionRateLimitPerMinute":1000,"routes":[
 {"name":"lim","match":{"ports":9402},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]},"security":{"maxConnections":3}},
 {"name":"free","match":{"ports":9499},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
for i in 1 2 3; do
	hold "$i" cl tcp 10.10.0.1:9402
done
expect_answer refused tcp 10.10.0.1:9402
expect_answer refused tcp 10.10.0.1:9402 -s 10.10.0.3
expect_eq "$(refused route)" 2
expect_eq "$(refused ip)" 0
expect_hold 1 'A|10.20.0.1|still' still

# A place that is free can be taken at once, however many are waiting for it.
hold_close 2
EVENTUALLY=2 eventually try_hold 4 cl tcp 10.10.0.1:9402
expect_answer refused tcp 10.10.0.1:9402

eventually try_hold 5 cl tcp 10.10.0.1:9499
eventually try_hold 6 cl tcp 10.10.0.1:9499
routes=$(refused route)
expect_answer refused tcp 10.10.0.1:9499
expect_answer refused tcp 10.10.0.1:9402
expect_eq "$(refused ip)" 2
expect_eq "$(refused route)" "$routes" 'the client is refused before the route is asked'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9499 -s 10.10.0.3
for i in 1 3 4 5 6; do
	expect_hold "$i" 'A|10.20.0.1|alive' alive
done
expect_exit 0 spctl down
