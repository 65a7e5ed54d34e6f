#!/bin/bash
# apply --confirm is a promise that something can come back: where that cannot be read it is refused
# before anything changes. Lost afterwards: the newest confirmed generation that can be read comes back.
. "${0%/*}/lib.sh"
. "${0%/*}/confirm_lib.bash"
sed 's/9000/[9000,9001]/' "$T/old.json" >"$T/wide.json"
answers() { [[ $(probe tcp 10.10.0.1:9000) == "$1" ]]; }
no_timer() { [[ ! $(timer) ]]; }

# Lost, then damaged, before: nothing changes.
apply wide
apply old
table=$(gw nft -s list table inet spctl)
mv "$T/state/applied/2.config" "$T/kept"
refused_without_change() { # WHAT
	expect_exit 1 spctl apply "$T/new.json" --confirm 2
	expect_match "$err" 'confirm promises that generation 2 can come back' "$1"
	expect_match "$err" 'hint: without --confirm' "$1"
	expect_eq "$(gw nft -s list table inet spctl)" "$table" "the table, $1"
	[[ ! -e $T/state/applied/3.json ]] || fail "$1: a generation was written"
	no_timer || fail "$1: a timer was started"
}
refused_without_change 'lost'
echo '{' >"$T/state/applied/2.config"
refused_without_change 'damaged'
cp "$T/kept" "$T/state/applied/2.config"

# Lost while it waits: the one before comes back by itself.
expect_exit 0 spctl apply "$T/new.json" --confirm $((2 * STRETCH))
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
rm "$T/state/applied/2.config"
eventually answers 'A|10.20.0.1|hi'
eventually no_timer
expect_match "$(<"$T/run/timer.log")" 'generation 2 cannot be brought back.*: generation 1 comes back instead'
expect_match "$(<"$T/run/timer.log")" 'generation 3 was not confirmed in time: generation 1 is back'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 1 and .confirm == null and .drift == false'

# By hand the same, and it says which one.
apply old
expect_exit 0 spctl apply "$T/new.json" --confirm 600
rm "$T/state/applied/4.config"
expect_exit 0 spctl rollback
expect_match "$out" 'generation 5 is taken back: generation 1 is live'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
eventually no_timer

# Nothing that could come back is left: it is said, and confirm still keeps what waits.
expect_exit 0 spctl apply "$T/new.json" --confirm 600
mkdir "$T/lost"
mv "$T"/state/applied/1.config "$T/lost"
expect_exit 1 spctl rollback
expect_match "$err" 'generation 1 cannot be brought back'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl confirm
expect_match "$out" 'generation 6 is confirmed'
eventually no_timer
expect_exit 0 spctl status

# A record that cannot be read says neither yes nor no.
cp "$T/state/applied/6.json" "$T/kept"
echo '{' >"$T/state/applied/6.json"
expect_exit 1 spctl confirm
expect_match "$err" 'whether generation 6 waits for confirmation cannot be read'
cp "$T/kept" "$T/state/applied/6.json"
expect_exit 0 spctl status
