#!/bin/bash
# Who counts as one client, and what is counted together.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_connlimit nft_limit ipv6
lab_up
serve a A -t '*:7000' -u '*:7000'
for i in 1 2; do
	ip -n cl addr add "2001:db8:1::$i/128" dev lo nodad
	ip -n cl addr add "2001:db8:2::$i/128" dev lo nodad
done
ip -n gw route add 2001:db8:1::/64 via fd10::2
ip -n gw route add 2001:db8:2::/64 via fd10::2

apply_config <<'E'
{"maxConnectionsPerIP":4,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"two","match":{"ports":[9001,"9010-9040"],"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnections":2}},
 {"name":"also-two","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnections":2}},
 {"name":"one-each","match":{"ports":9003},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnectionsPerIP":1}},
 {"name":"one-each-2","match":{"ports":9005},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":{"maxConnectionsPerIP":1}},
 {"name":"free","match":{"ports":9004,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}}]}
E
close_all() {
	local i
	for i; do
		hold_close "$i"
	done
	gw conntrack -F 2>/dev/null
}

# A route's limit is over all its ports, both protocols and both families; the other route has its own.
hold a cl tcp 10.10.0.1:9001
hold b cl udp '[fd10::1]:9030'
hold_say b hi
expect_eq "$answer" 'A|fd20::1|hi'
expect_answer refused tcp 10.10.0.1:9001 -s 10.10.0.3
expect_answer refused tcp 10.10.0.1:9020 -s 10.10.0.9
expect_answer refused udp 10.10.0.1:9001 -s 10.10.0.9
expect_answer_in c2 refused tcp '[fd30::1]:9010'
eventually try_hold c cl tcp 10.10.0.1:9002
expect_eq "$(refused route)" 4
close_all a b c

# A client's limit is over all routes; clients do not share it.
for i in 1 2; do
	hold "$i" cl tcp 10.10.0.1:900$i
	hold "f$i" cl tcp 10.10.0.1:9004
done
expect_answer refused tcp 10.10.0.1:9004
expect_answer refused udp 10.10.0.1:9004
for s in 10.10.0.3 10.10.0.9 10.10.0.66; do
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9004 -s $s
done
expect_answer_in c2 'A|10.20.0.1|hi' tcp 10.30.0.1:9004
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9004'
expect_eq "$(refused ip)" 2
# The gateway is a client, too, and not the one from above.
for i in 1 2 3 4; do
	hold "g$i" gw tcp 127.0.0.1:9004
done
expect_answer_in gw refused tcp 127.0.0.1:9004
close_all 1 2 f1 f2 g1 g2 g3 g4

# Of IPv6 a client is a /64.
for i in 1 2; do
	hold "x$i" cl tcp '[fd10::1]:9004' -s "2001:db8:1::$i"
	hold "y$i" cl tcp '[fd10::1]:9004' -s "2001:db8:1::$i"
done
expect_answer refused tcp '[fd10::1]:9004' -s 2001:db8:1::1
expect_answer refused tcp '[fd10::1]:9004' -s 2001:db8:1::2
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9004' -s 2001:db8:2::1
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9004'
close_all x1 x2 y1 y2

# The limit of a route for each client is that route's alone.
hold a cl tcp 10.10.0.1:9003
hold b cl tcp 10.10.0.1:9003 -s 10.10.0.3
hold c cl tcp '[fd10::1]:9003' -s 2001:db8:1::1
hold d cl tcp 10.10.0.1:9005
for s in 10.10.0.2 10.10.0.3; do
	expect_answer refused tcp 10.10.0.1:9003 -s $s
done
expect_answer refused tcp '[fd10::1]:9003' -s 2001:db8:1::2
expect_answer refused tcp 10.10.0.1:9005
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9003 -s 10.10.0.9
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9005 -s 10.10.0.9
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9003' -s 2001:db8:2::1
close_all a b c d
expect_exit 0 spctl down
