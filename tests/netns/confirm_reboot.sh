#!/bin/bash
# A reboot while a generation waits for confirmation: apply --boot, and any other command, gives the
# one that was confirmed last. The reboot is staged: RUN, table and flows are gone, settings are as
# a kernel starts, and the boot id is another.
. "${0%/*}/lib.sh"
. "${0%/*}/boot_lib.bash"
. "${0%/*}/confirm_lib.bash"
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
no_timer() { [[ ! $(timer) ]]; }
reboot() {
	local pid
	pid=$(timer || :)
	[[ ! $pid ]] || kill -KILL "$pid" 2>/dev/null || : # it may just have ended
	eventually no_timer
	host_boots
}
reboot # from here on the boot id is ours

apply old
expect_exit 0 spctl apply "$T/new.json" --confirm 3600
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
reboot
expect_answer refused tcp 10.10.0.1:9000
expect_exit 0 spctl apply --boot
expect_match "$err" 'generation 2 was not confirmed before the reboot: generation 1 is back'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 1 and .confirm == null and .drift == false'
expect_exit 1 spctl confirm
expect_match "$err" 'generation 2 was taken back'
eventually no_timer

# Other commands come first. Those that look only tell, in whatever namespace: nothing is applied
# there, no timer is started, nobody claims anything.
expect_exit 0 spctl apply "$T/new.json" --confirm 3600
reboot
for who in gw c2; do
	for command in status history conns doctor "explain --port 9000 --local" "plan $T/old.json" "apply $T/old.json --dry-run"; do
		# shellcheck disable=SC2086 # words
		run lab_in "$who" "$SPCTL" $command
		expect_match "$err" 'generation 3 was not confirmed before the reboot: spctl apply --boot brings generation 1 back' "$command"
		no_timer || fail "$command started a timer"
	done
	expect_eq "$(lab_in "$who" nft list tables)" '' "tables of $who"
	[[ ! -e $T/run/instance ]] || fail "$command made RUN"
done
expect_answer refused tcp 10.10.0.1:9000
expect_exit 1 spctl status
expect_exit 1 spctl confirm
expect_match "$err" 'generation 3 was not confirmed before the reboot: generation 1 is back'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl apply --boot
expect_match "$out" 'nothing to do: generation 1'

# Confirmed before the reboot.
expect_exit 0 spctl apply "$T/new.json" --confirm 3600
expect_exit 0 spctl confirm
reboot
expect_exit 0 spctl apply --boot
expect_no_match "$err" 'not confirmed'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000

# Nothing was applied before the one that waited.
expect_exit 0 spctl down
expect_exit 0 spctl apply "$T/old.json" --confirm 3600
reboot
expect_exit 0 spctl apply --boot
expect_match "$err" 'was not confirmed before the reboot: its routes are gone'
expect_match "$out" 'nothing is applied'
expect_answer refused tcp 10.10.0.1:9000
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset'
expect_eq "$(sysctls)" "$sys" 'sysctls'
expect_exit 0 spctl status
