#!/bin/bash
# A namespace that is made anew under the old one's name and number: nothing that is remembered of
# the old one is believed.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
config one <<'EOF'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
dirs=(--state-dir "$T/state-again" --run-dir "$T/run-again")
for ((i = 0; i < 3; i++)); do
	ip netns add again
	run ip netns exec again "$SPCTL" apply "$T/one.json" "${dirs[@]}"
	if ((i == 0)); then
		expect_eq "$code" 0 'the first apply'
	else
		expect_eq "$code" 2 'apply in another namespace'
		expect_match "$err" 'another network namespace'
	fi
	# So many commits that the counter of the kernel's ruleset may meet the remembered one.
	ip netns exec again nft add table inet other
	run ip netns exec again "$SPCTL" status "${dirs[@]}"
	((i == 0)) || expect_eq "$code" 2 'status in another namespace'
	ip netns del again
done

# What starts the container again may say that it is the same one: apply --boot, once the old
# namespace is gone. The settings of the old one are nothing to put back.
serve a A -t '*:7000'
dirs=(--state-dir "$T/state-boot" --run-dir "$T/run-boot")
boot() { ip netns exec "$1" "$SPCTL" apply --boot --force "${dirs[@]}"; }
forwards() { ip netns exec "$1" cat /proc/sys/net/ipv4/ip_forward; }
make_again() {
	ip netns add "$1"
	ip -n "$1" link set lo up
	# shellcheck disable=SC2016 # the inner shell's
	ip netns exec "$1" sh -c 'echo "$0" >/proc/sys/net/ipv4/ip_forward' "$2"
}
make_again first 0
expect_exit 0 ip netns exec first "$SPCTL" apply "$T/one.json" "${dirs[@]}"
expect_eq "$(forwards first)" 1
make_again second 1
expect_exit 2 boot second # the first is there: by its mount alone
expect_match "$err" 'another network namespace'
ip netns exec first sleep 1000 &
sleeper=$!
in_first() { [[ $(ip netns pids first) ]]; }
eventually in_first
umount /run/netns/first
expect_exit 2 boot second # by its process alone
kill "$sleeper"
wait "$sleeper" || :
# Who may not look at other processes does not know that they are gone; and nobody asks without --force.
ip netns exec second sleep 1000 &
sleeper=$!
expect_exit 2 ip netns exec second setpriv --bounding-set=-all,+net_admin "$SPCTL" apply --boot --force "${dirs[@]}"
kill "$sleeper"
wait "$sleeper" || :
expect_exit 2 ip netns exec second "$SPCTL" apply --boot "${dirs[@]}"
expect_exit 0 boot second
expect_match "$err" 'the network namespace that .*state-boot belonged to is gone: it is this one'
expect_match "$out" 'generation 1 is in the kernel again'
expect_exit 0 ip netns exec second "$SPCTL" status "${dirs[@]}"
expect_exit 0 ip netns exec second "$SPCTL" down "${dirs[@]}"
expect_eq "$(forwards second)" 1 'a setting that was on before'
expect_eq "$(ip netns exec second nft list tables)" '' 'tables after down'
ip netns del second
rm -f /run/netns/first
