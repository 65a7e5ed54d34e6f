# shellcheck shell=bash
# packets_lib: the lab of packets_property.c.

packets_lab_up() {
	local i
	need_kernel nft_fib nft_nat nft_masq nft_redir nft_numgen nft_hash ipv6
	[[ -x $O/tests/netns/packets_property ]] || fail "no packets_property: run make tools"
	lab_up
	for i in 4 5 6 7 8; do
		cl ip addr add "10.10.0.$i/24" dev eth0
		cl ip addr add "fd10::$i/64" dev eth0 nodad preferred_lft 0
	done
	# Each refusal is to be seen, at any rate.
	gw sh -c 'echo 0 > /proc/sys/net/ipv4/icmp_ratemask; echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
		echo > /proc/sys/net/ipv6/icmp/ratemask'
}

# packets_property SPCTL
packets_property() { "$O/tests/netns/packets_property" "$1" "$T"; }
tiers_property() {
	"$O/tests/netns/tiers_property" "$1" "$T"
}
