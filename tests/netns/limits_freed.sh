#!/bin/bash
# The place of a connection is free again after its end, however it ended: FIN, reset, time-out; UDP, too.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_connlimit ipv6
lab_up
serve a A -t '*:7000' -u '*:7000'
config='{"maxConnectionsPerIP":PER_IP,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"lim","match":{"ports":9402,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]},"security":SECURITY}]}'
refuses() { [[ $(probe "$@") == refused ]]; }

udp_lasts() { # SECONDS
	gw sh -c "echo $1 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout; echo $1 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream"
}

# limits GATEWAY: two at once, of whatever kind the limit is
limits() {
	local to=$1
	hold one cl tcp "$to:9402" --reset
	hold two cl tcp "$to:9402"
	expect_answer refused tcp "$to:9402"
	expect_eq "$(gw conntrack -L -f "$3" -p tcp --orig-port-dst 9402 2>/dev/null | wc -l)" 2 'conntrack entries'

	hold_close one # a reset
	eventually try_hold three cl tcp "$to:9402"
	expect_answer refused tcp "$to:9402"

	hold_close two # FIN, and the server's FIN
	eventually try_hold four cl tcp "$to:9402"
	expect_answer refused tcp "$to:9402"
	expect_hold three "A|$2|hi" hi
	hold_close three
	hold_close four

	# An established connection that the gateway has forgotten.
	gw sh -c 'echo 2 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established'
	eventually try_hold five cl tcp "$to:9402"
	eventually try_hold six cl tcp "$to:9402"
	eventually refuses tcp "$to:9402"
	eventually try_hold seven cl tcp "$to:9402"
	gw sh -c 'echo 432000 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established'
	for i in five six seven; do
		hold_close $i
	done

	# UDP: as long as the flow is known. A flow that goes on is served, new ones are not.
	udp_lasts 60
	eventually try_hold u1 cl udp "$to:9402"
	hold_say u1 one
	eventually try_hold u2 cl udp "$to:9402"
	hold_say u2 two
	expect_answer refused udp "$to:9402"
	expect_hold u2 "A|$2|on" on
	udp_lasts 1
	hold_say u1 last # each packet sets the flow's time anew
	hold_say u2 last
	served() { [[ $(probe udp "$to:9402") == A* ]]; }
	eventually served
	hold_close u1
	hold_close u2
	gw conntrack -F 2>/dev/null
}

for security in '{"maxConnections":2}' '{"maxConnectionsPerIP":2}' null; do
	per_ip=0
	[[ $security != null ]] || per_ip=2
	text=${config/PER_IP/$per_ip}
	[[ $security != null ]] || text=${text/,\"security\":SECURITY/}
	echo "${text/SECURITY/$security}" | apply_config
	limits 10.10.0.1 10.20.0.1 ipv4
	[[ $security != null ]] || limits '[fd10::1]' fd20::1 ipv6
done
# What nobody uses any more goes from the sets.
empty() { [[ $(set_size conn2_4) == 0 && $(set_size conn2_6) == 0 ]]; }
eventually empty
expect_exit 0 spctl down
