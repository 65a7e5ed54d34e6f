#!/bin/bash
# A container that starts again: its directories belong to a namespace that is gone. The hint that
# apply gives is the way back; and who removes the files that say whose the directories are, has
# lost neither the generations nor the knowledge which of them was live.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
config one <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":7000}]}}]}
CONFIG
sed 's/9000/9001/' "$T/one.json" >"$T/two.json"
export SPCTL_STATE_DIR=$T/s2 SPCTL_RUN_DIR=$T/r2
where="--state-dir $T/s2 --run-dir $T/r2"
make_ns() {
	ip netns add "$1"
	ip -n "$1" link set lo up
}
in2() { ip netns exec second "$SPCTL" "$@"; }
# As somebody would, whose environment says nothing.
type_in2() {
	[[ $1 == spctl* ]] || fail "not a command: $1"
	run ip netns exec second env -u SPCTL_STATE_DIR -u SPCTL_RUN_DIR PATH="$O:$PATH" sh -c "$1"
	expect_eq "$code" 0 "$1: $err"
}
hinted() { sed -n 's/.*\(spctl apply [^;]*\).*/\1/p' <<<"$err" | head -n 1; }
live() { in2 status --json | jq '.generation'; }
ports() { in2 status --json | jq -r '.routes[0].ports'; }
# Two generations, the second live, in a namespace that goes.
applied_in_first() {
	make_ns first
	ip netns exec first "$SPCTL" apply "$T/one.json" -q
	ip netns exec first "$SPCTL" apply "$T/two.json" -q
	ip netns del first
	make_ns second
}
again() {
	in2 down -q
	ip netns del second
	rm -rf "$T/s2" "$T/r2"
	applied_in_first
}

applied_in_first
for command in 'apply --boot' status history 'rollback 1' "apply $T/one.json"; do
	# shellcheck disable=SC2086 # words
	expect_exit 2 in2 $command
	expect_match "$err" "if that namespace is gone for good: spctl apply --boot --force $where" "$command"
	expect_no_match "$err" 'rm -f' "$command"
done
type_in2 "$(hinted)"
expect_eq "$(live)" 2

# doctor gives the same command.
again
expect_exit 1 in2 doctor --json
type_in2 "$(jq -r '.findings[] | select(.check == "namespace") | .fix' <<<"$out")"
expect_eq "$(live)" 2
expect_exit 0 in2 doctor

# A namespace that is still there: force does not help, and the last resort is told as that.
ip netns add third
expect_exit 2 ip netns exec third "$SPCTL" apply --boot --force
expect_match "$err" "run it there .*; or, if that namespace is gone for good: rm -f $T/r2/instance $T/s2/instance && spctl"
ip netns del third

# The files of the owner removed by hand.
again
rm -f "$T"/[rs]2/instance
before=$(cd "$T" && find s2 r2 | sort)
expect_exit 1 in2 apply --boot
expect_match "$err" "$T/s2 keeps generations \(the newest is 2\)"
expect_match "$err" "generation 2, which was live, here: spctl apply --boot --force $where; another one: spctl rollback N"
expect_exit 1 in2 apply --boot --json
expect_json "$out" '.errors | length == 1'
expect_exit 1 in2 status
expect_match "$err" 'keeps generations'
expect_exit 0 in2 history
expect_match "$out" $'\n2 .*two.json.*\n1 .*one.json'
expect_no_match "$out" 'nothing was ever applied'
expect_match "$err" 'rollback N'
expect_exit 0 in2 history --json
expect_json "$out" '[.history[].generation] == [2, 1] and all(.history[]; .live | not)'
expect_exit 1 in2 confirm
expect_match "$err" 'keeps generations'
expect_exit 0 in2 down # there is nothing here to take away
expect_exit 1 in2 doctor --json
expect_json "$out" '.findings | any(.check == "namespace" and .level == "problem" and .routes == ["tcp"])'
expect_eq "$(cd "$T" && find s2 r2 | sort)" "$before" 'what all that left'
type_in2 "$(jq -r '.findings[] | select(.check == "namespace") | .fix' <<<"$out")"
expect_eq "$(live)" 2
expect_eq "$(in2 history --json | jq -c '[.history[] | select(.live) | .generation]')" '[2]'
expect_exit 0 in2 doctor

# The hint of apply --boot; a generation of one's choice; a file.
again
rm -f "$T"/[rs]2/instance
expect_exit 1 in2 apply --boot
type_in2 "$(hinted)"
expect_eq "$(ports)" 'tcp/9001'
again
rm -f "$T"/[rs]2/instance
expect_exit 0 in2 rollback 1
expect_eq "$(in2 history --json | jq -c '.history[0] | [.generation, .copyOf, .live]')" '[3,1,true]'
expect_eq "$(ports)" 'tcp/9000'
again
rm -f "$T"/[rs]2/instance
expect_exit 0 in2 doctor "$T/one.json"
expect_exit 0 in2 apply "$T/one.json"
expect_eq "$(live)" 3

# After down nothing was live: --force brings nothing back, and says where to look.
again
expect_exit 0 in2 apply --boot --force
in2 down -q
rm -f "$T"/[rs]2/instance
for force in '' --force; do
	# shellcheck disable=SC2086 # or none
	expect_exit 1 in2 apply --boot $force
	expect_match "$err" "to have one of them here: spctl rollback N $where"
done
expect_exit 0 in2 doctor
expect_exit 0 in2 rollback
expect_eq "$(ports)" 'tcp/9001'

# Where there are none it is as ever.
in2 down -q
rm -rf "$T/s2" "$T/r2"
expect_exit 0 in2 apply --boot --force
expect_match "$out" 'nothing is applied'
expect_exit 0 in2 history
expect_match "$out" 'nothing was ever applied'
ip netns del second
