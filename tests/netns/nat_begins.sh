#!/bin/bash
# The first kernel route turns connection tracking on while connections of a former server on that port live or just
# end. What conntrack then takes for a live connection although it is over must not swallow the next one between the
# same ports; what lives goes on.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve gw former -t '*:9000' # not spctl's
config web <<-E
	{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"web","match":{"ports":[9000]},
	 "action":{"type":"forward","forwardingEngine":"nftables","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E

# dead PORT DPORT [reversed]: what conntrack keeps of a connection that it met at its last packet.
dead() {
	local ends=(-s 10.10.0.2 -d 10.10.0.1 --sport "$1" --dport "$2")
	[[ -z ${3-} ]] || ends=(-s 10.10.0.1 -d 10.10.0.2 --sport "$2" --dport "$1")
	lab_in gw conntrack -I -p tcp "${ends[@]}" --state ESTABLISHED --timeout 300 >/dev/null 2>&1
}

hold old cl tcp 10.10.0.1:9000
expect_hold old 'former|10.10.0.2|one' one
dead 20001 9000
dead 20002 9000 reversed
dead 20003 9001
apply web
expect_eq "$(probe tcp 10.10.0.1:9000 -p 20001)" 'A|10.20.0.1|hi' 'the ports of a connection that is over'
expect_eq "$(probe tcp 10.10.0.1:9000 -p 20002)" 'A|10.20.0.1|hi' 'the same, met from the other side'
expect_hold old 'former|10.10.0.2|two' two
expect_match "$(lab_in gw conntrack -L -p tcp --dport 9001 2>/dev/null)" 'sport=20003' 'an entry of another port'
