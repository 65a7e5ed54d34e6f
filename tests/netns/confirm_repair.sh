#!/bin/bash
# The table is flushed or changed while a generation waits for confirmation: what status, plan,
# explain and doctor tell to type is not refused, and mends it.
. "${0%/*}/lib.sh"
. "${0%/*}/confirm_lib.bash"
. "${0%/*}/doctor_lib.bash"

wait_for_new() {
	apply old
	apply new --confirm 100
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
}
repair='.spctl rollback. or .spctl apply FILE --confirm SECONDS. repairs it'
both_work() { # what was told: once the one, once the other
	expect_exit 1 spctl apply "$T/new.json"
	expect_match "$err" 'generation [0-9]+ waits for confirmation'
	expect_exit 0 spctl apply "$T/new.json" --confirm 100
	expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
	healthy
	"$@"
	expect_exit 0 spctl rollback
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	healthy
	expect_exit 0 spctl status
}

# ---- flushed
wait_for_new
gw nft flush ruleset
expect_exit 1 spctl status
expect_match "$out" "DRIFT: the table is gone \(flushed or deleted\): $repair"
expect_exit 0 spctl plan "$T/old.json"
expect_match "$out" "! the kernel's table is not what generation [0-9]+ says: $repair"
expect_exit 0 spctl explain --port 9000
expect_match "$(tr -s ' \n' ' ' <<<"$out")" "DRIFT: the routes say: led to 10.20.0.3:7000,.* $repair"
both_work gw nft flush ruleset

# ---- what doctor says, typed as it is
for how in 'flush ruleset' 'insert rule inet spctl dec4 tcp dport 9000 drop' \
	'delete table inet spctl; add table inet spctl; add chain inet spctl pre'; do
	wait_for_new
	gw nft "$how"
	finds_only table '.' 'tcp'
	expect_match "$fix" 'spctl rollback'
	type_fix
	healthy
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_exit 0 spctl status
done

# ---- a change that is not on the way, and a setting
wait_for_new
gw nft add chain inet spctl idle
expect_exit 0 spctl explain --port 9000
expect_match "$(tr -s ' \n' ' ' <<<"$out")" "DRIFT, not on this way: .* $repair"
both_work gw nft add chain inet spctl idle
wait_for_new
forwarding() { gw sh -c "echo $1 >/proc/sys/net/ipv4/ip_forward"; }
forwarding 0
expect_exit 1 spctl status
expect_match "$out" "DRIFT: net.ipv4.ip_forward is off: $repair"
expect_exit 0 spctl explain --port 9000
expect_match "$(tr -s ' \n' ' ' <<<"$out")" "OFF: it goes nowhere: ${repair% repairs it} turns it on"
both_work forwarding 0

# ---- confirmed, and it is as ever
apply new --confirm 100
expect_exit 0 spctl confirm
gw nft flush ruleset
expect_exit 1 spctl status
expect_match "$out" 'DRIFT: .*: .spctl apply. repairs it'
expect_exit 0 spctl plan "$T/old.json"
expect_match "$out" 'says: .spctl apply. repairs it'
expect_exit 0 spctl explain --port 9000
expect_match "$(tr -s ' \n' ' ' <<<"$out")" '[^E] .spctl apply. repairs it'
finds_only table 'gone' 'tcp'
expect_match "$fix" '^spctl apply '
type_fix
healthy
expect_exit 0 spctl down
