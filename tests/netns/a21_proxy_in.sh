#!/bin/bash
# A21: PROXY headers of trusted peers, and of others. Pitfall 14: limits count the announced client, not the peer.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7001'
HELLO=$LAB_TOOLS/hello

config inner <<'E'
{"proxyIPs":["10.10.0.9"],"acceptProxyProtocol":true,"routes":[{"name":"inner","match":{"ports":9501},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7001}],"sendProxyProtocol":true},"security":{"ipAllowList":["203.0.113.7"]}}]}
E
apply inner
printf 'hi\n' >"$T/hi"
printf '' >"$T/nothing"
# from ADDR HEADER [OPTION...]: what the client with that header gets.
from() {
	local source=$1 header=$2
	shift 2
	lab_in cl "$HELLO" 10.10.0.1:9501 --source "$source" --proxy "$header" --file "$T/hi" "$@" | tr -d '\r' || :
}
ours='PROXY TCP4 203.0.113.7 10.10.0.1 5000 9501'
forwarded='bytes A|10.20.0.1|PROXY TCP4 203.0.113.7 10.10.0.1 5000 9501'
no='^(reset|closed)$'
expect_eq "$(from 10.10.0.9 "$ours")" "$forwarded"
expect_match "$(from 10.10.0.9 'PROXY TCP4 198.51.100.1 10.10.0.1 5000 9501')" "$no"
expect_eq "$(refusals route_ip_blocked)" 1
# Not trusted: its header is payload of the address that it really has, which the list does not have.
expect_match "$(from 10.10.0.2 "$ours")" "$no"
expect_eq "$(refusals route_ip_blocked)" 2
expect_eq "$(refusals bad_proxy_header)" 0

# In single bytes; with the payload in the same segment (it is forwarded once: pitfall 25).
expect_eq "$(from 10.10.0.9 "$ours" --segment 1)" "$forwarded"
for i in {1..5}; do
	expect_eq "$(from 10.10.0.9 "$ours" --segment $((i * 11)))" "$forwarded"
done

# 108 bytes without an end, and what only begins like one.
long=$(printf 'PROXY TCP4 203.0.113.7 %085d' 0)
expect_eq "${#long}" 108
printf '%s' "$long" >"$T/long"
expect_match "$(lab_in cl "$HELLO" 10.10.0.1:9501 --source 10.10.0.9 --file "$T/long" || :)" "$no"
for bad in 'PROXY TCP4 203.0.113.7 10.10.0.1 5000' 'PROXY TCP4 203.0.113.007 10.10.0.1 5000 9501' \
	'PROXY TCP4 203.0.113.7 10.10.0.1 5000 95010' 'PROXY TCP6 203.0.113.7 10.10.0.1 5000 9501' \
	'PROXY  TCP4 203.0.113.7 10.10.0.1 5000 9501' 'PROXY TCP4 a b c d' 'PROXY '; do
	expect_match "$(from 10.10.0.9 "$bad")" "$no" "$bad"
done
expect_eq "$(refusals bad_proxy_header)" 8
# Garbage is no header: a route that takes payload without one sees whose it really is.
head -c 4096 /dev/urandom >"$T/garbage"
expect_match "$(lab_in cl "$HELLO" 10.10.0.1:9501 --source 10.10.0.9 --file "$T/garbage" || :)" "$no"
# UNKNOWN: the socket's own address, which is not on the list; on one that has it, it is.
expect_match "$(from 10.10.0.9 'PROXY UNKNOWN')" "$no"
jq '.routes[0].security.ipAllowList += ["10.10.0.9"]' "$T/inner.json" | config both
apply both
expect_match "$(from 10.10.0.9 'PROXY UNKNOWN')" '^bytes A\|10\.20\.0\.1\|PROXY TCP4 10\.10\.0\.9 10\.10\.0\.1 [0-9]+ 9501$'
expect_eq "$(from 10.10.0.9 "$ours")" "$forwarded"

# Version 2: the bytes of its header, once in one piece and once cut.
printf '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\x0a\0\x01\x13\x88\x25\x1d' >"$T/v2"
for cut in 1 3 4096; do
	expect_eq "$(lab_in cl "$HELLO" 10.10.0.1:9501 --source 10.10.0.9 --before "$T/v2" --file "$T/hi" --segment $cut | tr -d '\r')" \
		"$forwarded" "version 2 by $cut"
done

# A trusted peer that says nothing is waited for, and does not hold up the next.
hold silent cl tcp 10.10.0.1:9501 -s 10.10.0.9
expect_eq "$(from 10.10.0.9 "$ours")" "$forwarded"
hold_close silent
expect_idle

# Limits are those of who was announced: two of one, and others beside them, though all have one address.
jq '. + {maxConnectionsPerIP: 2} | del(.routes[0].security)' "$T/inner.json" | config limit
apply limit
open_as() { # NAME ADDR
	hold "$1" cl tcp 10.10.0.1:9501 -s 10.10.0.9
	hold_say "$1" "PROXY TCP4 $2 10.10.0.1 5000 9501"$'\r'
}
open_as one 203.0.113.7
expect_match "$answer" 'A\|10.20.0.1\|PROXY TCP4 203.0.113.7'
open_as two 203.0.113.7
expect_match "$answer" 'A\|10.20.0.1\|PROXY TCP4 203.0.113.7'
open_as three 203.0.113.7
expect_match "$answer" '^(reset|closed|gone)$'
open_as four 203.0.113.8
expect_match "$answer" 'A\|10.20.0.1\|PROXY TCP4 203.0.113.8'
expect_eq "$(refusals ip_limit)" 1
hold_close one
again() { [[ $(from 10.10.0.9 "$ours") == "$forwarded" ]]; }
eventually again
for i in two three four; do
	hold_close $i
done
expect_idle
expect_exit 0 spctl down
