#!/bin/bash
# TCP over a link with a smaller MTU behind the gateway, where no ICMP gets through.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a K -t '*:7000' --sink
serve a S -t '*:7001' --source 3000000
# The gateway's leg is small; the server believes in 1500, and so does the client.
gw ip link set srv mtu 1300
for ns in cl a; do
	lab_in "$ns" nft -f - <<-'EOF'
		table inet deaf {
			chain c {
				type filter hook prerouting priority -300
				icmp type destination-unreachable drop
				icmpv6 type packet-too-big drop
			}
		}
	EOF
done

apply_config <<'EOF'
{"routes":[{"name":"in","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"out","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7001}]}}]}
EOF
expect_answer 'K|10.20.0.1|3000000' tcp 10.10.0.1:9000 --bulk 3000000 -w 5000
expect_answer '3000000' tcp 10.10.0.1:9001 --drain -w 5000
expect_answer 'K|fd20::1|3000000' tcp '[fd10::1]:9000' --bulk 3000000 -w 5000
# What the two ends agreed on, seen from the client: 1300 - 40 - 12 bytes of time stamps.
hold big cl tcp 10.10.0.1:9000
mss=$(cl ss -Htin dst 10.10.0.1:9000 | grep -o ' mss:[0-9]*')
((${mss#*:} <= 1260)) || fail "the client's MSS is $mss on a path of 1300"
hold_close big
expect_exit 0 spctl down
