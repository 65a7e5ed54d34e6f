#!/bin/bash
# A full disk at the deadline: the old routes serve in the kernel, nobody claims that all is done, the
# timer does not run hot, and it ends its work when there is room. And confirm keeps only what the
# kernel has.
. "${0%/*}/lib.sh"
. "${0%/*}/confirm_lib.bash"
answers() { [[ $(probe tcp 10.10.0.1:9000) == "$1" ]]; }
no_timer() { [[ ! $(timer) ]]; }
mkdir -m 700 "$T/state"
mount -t tmpfs -o size=256k,mode=0700 tmpfs "$T/state"
fill() { dd if=/dev/zero of="$T/state/filler" bs=1k 2>/dev/null || :; }
ticks() { awk '{ print $14 + $15 }' "/proc/$(timer)/stat"; } # of 10 ms
commits() { grep -c 'new generation' "$T/commits"; }

# The deadline passes on a full disk.
apply old
lab_start gw "$T/commits" nft monitor
run spctl apply "$T/new.json" --confirm $((2 * STRETCH))
expect_eq "$code" 0 'exit code'
fill
eventually answers 'A|10.20.0.1|hi'
[[ $(timer) ]] || fail 'the timer is gone before its work is done'
before=$(ticks)
end=$((SECONDS + 4))
until ((SECONDS >= end)); do
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
done
(($(ticks) - before < 100)) || fail "the timer ran hot: $(($(ticks) - before)) ticks in 4 s"
(($(commits) < 40)) || fail "the timer wrote the table again and again: $(commits) commits"
log=$(<"$T/run/timer.log")
expect_match "$log" 'generation 1 is in the kernel again, but .*state/live still says 2'
expect_no_match "$log" 'generation 1 is back'
expect_eq "$(sort <<<"$log" | uniq -d)" '' 'what the log says twice'
expect_exit 1 spctl confirm
expect_match "$err" 'generation 2 is not what the kernel has'
rm "$T/state/filler"
expect_exit 0 spctl status
expect_match "$err$(<"$T/run/timer.log")" 'generation 1 is back'
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 1 and .confirm == null and .drift == false'
eventually no_timer

# rollback before the deadline: not all is done, and it says so; confirm does not confirm the rest.
expect_exit 0 spctl apply "$T/new.json" --confirm 600
fill
expect_exit 5 spctl rollback
expect_match "$err" 'generation 1 is in the kernel again, but .*state/live still says 3'
expect_match "$err" 'hint: .*full.*spctl rollback'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
rm "$T/state/filler"
expect_exit 1 spctl confirm
expect_match "$err" 'generation 3 is not what the kernel has'
expect_match "$err" 'hint: spctl rollback'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl rollback
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 1 and .confirm == null and .drift == false'
eventually no_timer

# A table that somebody deleted is not confirmed either; written again it is.
expect_exit 0 spctl apply "$T/new.json" --confirm 600
gw nft delete table inet spctl
expect_exit 1 spctl confirm
expect_match "$err" 'generation 4 is not what the kernel has'
expect_exit 0 spctl apply "$T/new.json" --confirm 600
expect_match "$out" 'repaired'
expect_exit 0 spctl confirm
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
