#!/bin/bash
# Lists of 100 000 and 50 000 prefixes: exact at their edges, one set for all routes, a change is a few elements.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq ipv6
lab_up
serve a A -t '*:7000'
ip -n cl route add local 20.0.0.0/6 dev lo
ip -n cl route add local fd99:1::/32 dev lo
cl sh -c 'echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind'
ip -n gw route add 20.0.0.0/6 via 10.10.0.2
ip -n gw route add fd99:1::/32 via fd10::2

n4=100000 n6=50000
v4() { printf '%d.%d.%d' $((20 + ($1 >> 15))) $((($1 >> 7) & 255)) $((($1 << 1) & 255)); } # a /24, the next one is free
v6() { printf 'fd99:1:%x:%x' $(($1 >> 15)) $((($1 << 1) & 65535)); }			     # a /64, likewise

# file NAME ENTRY: ENTRY stands for the one in the middle
file() {
	awk -v n4=$n4 -v n6=$n6 -v odd="$2" 'BEGIN {
		printf "{\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,\"defaults\":{\"security\":{\"ipAllowList\":["
		for (i = 0; i < n4; i++)
			printf "\"%s\",\n", i == n4 / 2 ? odd : 20 + int(i / 32768) "." int(i / 128) % 256 "." (i * 2) % 256 ".0/24"
		for (i = 0; i < n6; i++)
			printf "\"fd99:1:%x:%x::/64\"%s\n", int(i / 32768), (i * 2) % 65536, i + 1 < n6 ? "," : "]}},"
		print "\"routes\":["
		for (i = 0; i < 1000; i++)
			printf "{\"name\":\"r%d\",\"match\":{\"ports\":%d},\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":[\"10.20.0.2\",\"fd20::2\"],\"port\":7000}]}}%s\n",
				i, 9000 + i, i < 999 ? "," : ""
		print "]}"
	}' >"$T/$1.json"
}
file first "$(v4 $((n4 / 2))).0/24"
file second "$(v4 $((n4 / 2))).0/25"
before=$(gw nft list ruleset | wc -l)

# 100 000 prefixes in three seconds are promised. Other work on the machine may make an apply late: then the
# time that it computed counts. Under emulation, twenty times slower, it still ends.
jq -c '.defaults.security.ipAllowList |= map(select(contains(":") | not))' "$T/first.json" >"$T/v4.json"
expect_eq "$(jq '.defaults.security.ipAllowList | length' "$T/v4.json")" 100000
bound=3000
! is_slow || bound=60000
# now: milliseconds: of the clock, computed by what this shell ran, and while somebody waited for a CPU
now() {
	times >"$T/times"
	wall=$((${EPOCHREALTIME/[.,]/} / 1000))
	cpu=$(awk -F '[ms ]' 'NR == 2 { printf "%d", ($1 * 60 + $2 + $4 * 60 + $5) * 1000 }' "$T/times")
	waited=$(awk -F = '/^some/ { printf "%d", $NF / 1000 }' /proc/pressure/cpu 2>/dev/null || echo 0)
}
for try in 1 2 3; do
	now
	was=("$wall" "$cpu" "$waited")
	apply v4
	now
	ms=$((wall - was[0])) computed=$((cpu - was[1])) busy=$((waited - was[2]))
	echo "apply of $n4 prefixes: $ms ms, computed $computed ms, others waited $busy ms"
	((busy < ms / 2)) || ms=$computed
	((ms >= bound && try < 3)) || break
	expect_exit 0 spctl down
done
((ms < bound)) || fail "apply took $ms ms, not $bound, three times"
apply first
expect_eq "$(gw nft -j list sets inet | jq -r '.nftables[].set | select(.flags == ["interval"]) | .name' | sort | paste -sd' ')" \
	'allow0_4 allow0_6' 'the sets of 1000 routes'
expect_eq "$before" 0

served() { expect_answer "$1|hi" "${@:2}"; }
RANDOM=7
for i in 0 $((n4 - 1)) $((RANDOM * 3)) $((RANDOM * 3)) $((RANDOM * 3)); do
	net=$(v4 "$i") next=$(v4 "$i")
	served 'A|10.20.0.1' tcp 10.10.0.1:9000 -s "$net.0"
	served 'A|10.20.0.1' tcp 10.10.0.1:9999 -s "$net.255"
	expect_answer refused tcp 10.10.0.1:9000 -s "${next%.*}.$((${next##*.} + 1)).0"
	((i == 0)) || expect_answer refused tcp 10.10.0.1:9500 -s "$(v4 $((i - 1)) | awk -F. '{ print $1 "." $2 "." $3 + 1 }').255"
done
for i in 0 $((n6 - 1)) $RANDOM $RANDOM; do
	net=$(v6 "$i")
	served 'A|fd20::1' tcp '[fd10::1]:9000' -s "$net::"
	served 'A|fd20::1' tcp '[fd10::1]:9999' -s "$net:ffff:ffff:ffff:ffff"
	expect_answer refused tcp '[fd10::1]:9000' -s "$(printf 'fd99:1:%x:%x::' $((i >> 15)) $((((i << 1) + 1) & 65535)))"
	((i == 0)) || expect_answer refused tcp '[fd10::1]:9500' \
		-s "$(printf 'fd99:1:%x:%x:ffff:ffff:ffff:ffff' $(((i - 1) >> 15)) $((((i << 1) - 1) & 65535)))"
done

# A prefix that became smaller: an interval out, an interval in, and the number of the file.
apply second -v
expect_match "$out" ' 3 elements added, 3 deleted'
expect_match "$out" '~ [0-9]+ route' 'a list that differs in one prefix'
net=$(v4 $((n4 / 2)))
served 'A|10.20.0.1' tcp 10.10.0.1:9000 -s "$net.127"
expect_answer refused tcp 10.10.0.1:9000 -s "$net.128"
apply second
expect_match "$out" '^nothing to do'
rm "$SPCTL_RUN_DIR/image"
expect_exit 0 spctl status --json
expect_json "$out" '.drift == false' 'read from the kernel alone'
start=${EPOCHREALTIME/[.,]/}
expect_exit 0 spctl down
echo "down: $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
