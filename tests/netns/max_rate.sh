#!/bin/bash
# maxRate holds for a route as a whole, each direction for itself, whatever else is applied.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_limit ipv6
lab_up
serve a A -u '*:7000' -t '*:7000'
serve b B -u '*:7000'
serve gw G -u '*:7500'

# 8 kbit/s = 1000 bytes a second, and 65536 more at once.
routes() { # RATE EXTRA
	cat <<-E
		{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[$2
		{"name":"pool","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}],"nftables":{"maxRate":"$1"}}},
		{"name":"six","match":{"ports":9001,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}],"nftables":{"maxRate":"$1"}}},
		{"name":"here","match":{"ports":9002,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.10.0.1","port":7500}],"nftables":{"maxRate":"$1"}}},
		{"name":"free","match":{"ports":9003,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
	E
}
extra='{"name":"extra","match":{"ports":9009},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"maxRate":"8kbps"}}},'
big=$(printf 'x%.0s' {1..1450}) # 1478 bytes on the way there, a few more back
# answered WHERE: of 60 datagrams at once
answered() {
	local n
	n=$(probe_in "${2-cl}" udp "$1" -n 60 -c 20 -m "$big" -w 300 --tally | awk '/^[ABG] / { n += $2 } END { print n + 0 }')
	echo "$n"
}
# 66536 / 1478 = 45; a second more or less of waiting is one more.
between() { (($2 >= $3 && $2 <= $4)) || fail "$1: $2 of 60, not $3 to $4"; }

apply_config < <(routes 8kbps '')
# Neighbours are known before anything is measured.
for to in 10.10.0.1:9000 '[fd10::1]:9001' 10.10.0.1:9002 10.10.0.1:9003; do
	probe udp "$to" -n 2 >/dev/null
done
between 'two targets' "$(answered 10.10.0.1:9000)" 40 55
between 'IPv6' "$(answered '[fd10::1]:9001')" 40 55
between 'a target on the gateway' "$(answered 10.10.0.1:9002)" 40 55
between 'a route without a rate' "$(answered 10.10.0.1:9003)" 60 60
between 'the bucket is empty' "$(answered 10.10.0.1:9000)" 0 8

# A whole packet still passes after a while: the bucket is never smaller than one.
one_passes() { [[ $(probe udp 10.10.0.1:9000 -m "$big" -w 200) == ?"|10.20.0.1|"* ]]; }
eventually one_passes

# Another route comes: this one's bucket stays as empty as it was.
answered 10.10.0.1:9000 >/dev/null
apply_config < <(routes 8kbps "$extra")
between 'after another route came' "$(answered 10.10.0.1:9000)" 0 8
apply_config < <(routes 8kbps '')
between 'after it went' "$(answered 10.10.0.1:9000)" 0 8

# Another rate: two elements for each of the three routes, and the full new rate.
apply_config -v < <(routes 100mbps '')
expect_match "$out" ' 7 elements added, 7 deleted' # and the generation
between 'the new rate' "$(answered 10.10.0.1:9000)" 60 60
between 'the new rate, IPv6' "$(answered '[fd10::1]:9001')" 60 60

# The gateway's own connections are the route's, too.
apply_config < <(routes 8kbps '')
between 'from the gateway' "$(answered 10.10.0.1:9000 gw)" 40 55
between 'from elsewhere' "$(answered 10.10.0.1:9000)" 0 8

# TCP last: what is left of such connections goes on trying.
between 'for TCP, too' "$(probe tcp 10.10.0.1:9000 -m "$big" -w 200 -n 20 -c 20 --tally | awk '/^[AB] / { n += $2 } END { print n + 0 }')" 0 4

# The highest rates that the language knows are ones that the kernel takes.
for rate in 100gbps 140gbps; do
	apply_config < <(routes $rate '')
	between "$rate" "$(answered 10.10.0.1:9000)" 60 60
done
expect_exit 0 spctl down
