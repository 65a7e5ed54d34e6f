#!/bin/bash
# apply --confirm: kept when confirmed in time; else what was live before serves again by itself,
# or, where nothing was, the host is as it was. Open connections live through all of it.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
serve gw G -t '127.0.0.1:8000'
config old <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config new <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}}]}
CONFIG
sed 's/"ports":9000/"ports":[9000,9001]/' "$T/new.json" >"$T/third.json"
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
answers() { [[ $(probe tcp "10.10.0.1:$1") == "$2" ]]; }
timers() { pgrep -fc "confirm-timer --state-dir $T/state" || :; }
no_timer() { [[ $(timers) == 0 ]]; }

# Nothing was applied before, and nobody confirms: the host as before.
run spctl apply "$T/new.json" --confirm $((2 * STRETCH))
expect_eq "$code" 0 'exit code'
expect_match "$out" 'generation 1 waits for confirmation: spctl confirm'
expect_match "$out" "the routes are taken away in $((2 * STRETCH)) s, at 20[0-9-]+T[0-9:]+Z"
expect_match "$(tail -n 1 <<<"$out")" '^to go back: spctl rollback'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 1 spctl status --json
expect_json "$out" '.confirm == {"generation":1,"previous":0,"secondsLeft":.confirm.secondsLeft,"timer":true}'
expect_json "$out" ".confirm.secondsLeft <= $((2 * STRETCH)) and .drift == false"
eventually answers 9000 refused
eventually no_timer
expect_no_table
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset'
expect_eq "$(sysctls)" "$sys" 'sysctls'
expect_exit 0 spctl status
expect_match "$out" 'nothing is applied'
expect_exit 1 spctl confirm
expect_match "$err" 'generation 1 was taken back at 20[0-9-]+T[0-9:]+Z'
expect_exit 1 spctl confirm --json
expect_json "$out" '.errors[0].message | test("taken back")'

# Confirmed in time: it stays, and its timer ends.
apply old
run spctl apply "$T/new.json" --confirm 60 --json
expect_eq "$code" 0 'exit code'
expect_json "$out" '.generation == 3 and .confirm.generation == 3 and .confirm.previous == 2 and .confirm.timer'
expect_json "$out" '.confirm.secondsLeft > 55 and .confirm.secondsLeft <= 60'
expect_eq "$(timers)" 1 'timers'
expect_exit 1 spctl status
expect_match "$out" 'generation 3 waits for confirmation: spctl confirm --state-dir'
expect_match "$out" 'else generation 2 comes back in [56][0-9] s'
expect_exit 0 spctl confirm
expect_match "$out" 'generation 3 is confirmed'
expect_match "$(tail -n 1 <<<"$out")" 'to go back: spctl rollback 2'
eventually no_timer
expect_exit 0 spctl status --json
expect_json "$out" '.confirm == null and .generation == 3'
expect_exit 0 spctl confirm
expect_match "$out" 'nothing waits for confirmation: generation 3 is live and confirmed'
expect_exit 0 spctl confirm --json
expect_json "$out" '.generation == 3 and .confirmed and .changed == false'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000

# Not confirmed: the old routes serve again by themselves; connections go on where they are.
hold before cl tcp 10.10.0.1:9000
apply old
hold old cl tcp 10.10.0.1:9000
run spctl apply "$T/third.json" --confirm $((2 * STRETCH))
expect_eq "$code" 0 'exit code'
hold new cl tcp 10.10.0.1:9001
expect_hold old 'A|10.20.0.1|one' one
eventually answers 9000 'A|10.20.0.1|hi'
eventually no_timer
expect_answer refused tcp 10.10.0.1:9001
expect_answer refused tcp 10.10.0.1:9002
expect_hold before 'B|10.20.0.1|two' two
expect_hold old 'A|10.20.0.1|two' two
expect_hold new 'B|10.20.0.1|two' two
expect_exit 0 spctl status --json
expect_json "$out" '.generation == 4 and .drift == false and .confirm == null'
expect_exit 1 spctl confirm
expect_match "$err" 'generation 5 was taken back'
table=$(gw nft -s list table inet spctl)
expect_exit 0 spctl apply "$T/old.json"
expect_match "$out" 'nothing to do'
expect_eq "$(gw nft -s list table inet spctl)" "$table" 'the table'

# A second apply while one waits.
expect_exit 0 spctl apply "$T/new.json" --confirm 60
expect_exit 1 spctl apply "$T/third.json"
expect_match "$err" 'generation 6 waits for confirmation'
expect_match "$err" 'hint: .*spctl confirm.*spctl rollback'
expect_exit 0 spctl apply "$T/third.json" --dry-run
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer refused tcp 10.10.0.1:9001
expect_exit 0 spctl apply "$T/new.json" --confirm 60
expect_match "$out" 'nothing to do.*generation 6 waits for confirmation'
expect_exit 0 spctl apply "$T/new.json" --confirm 60 --json
expect_json "$out" '.changed == false and .confirm.generation == 6 and .confirm.previous == 4 and .confirm.secondsLeft > 30'
# The same once more: it has that long from now.
expect_exit 0 spctl apply "$T/new.json" --confirm 3600 --json
expect_json "$out" '.changed == false and .confirm.generation == 6 and .confirm.previous == 4 and .confirm.secondsLeft > 3000'
expect_exit 1 spctl status --json
expect_json "$out" '.confirm.secondsLeft > 3000 and .confirm.timer'
# A dry run writes nothing, not even what was lost.
mv "$T/state/live" "$T/kept_live"
expect_exit 0 spctl apply "$T/third.json" --dry-run
[[ ! -e $T/state/live ]] || fail 'a dry run wrote STATE/live'
mv "$T/kept_live" "$T/state/live"
# With --confirm it takes the other's place; what comes back is still what was confirmed last. The
# timer that runs already keeps the new time, here a shorter one.
expect_exit 0 spctl apply "$T/third.json" --confirm $((2 * STRETCH)) --json
expect_json "$out" '.confirm.generation == 7 and .confirm.previous == 4'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_eq "$(timers)" 1 'timers'
eventually answers 9000 'A|10.20.0.1|hi'
expect_answer refused tcp 10.10.0.1:9001
eventually no_timer
expect_exit 0 spctl status
expect_match "$out" '^generation 4,'
# Whoever typed rollback just too late wanted this, and not the one before it (that goes by number).
expect_exit 1 spctl rollback
expect_match "$err" 'generation 7 was taken back a moment ago: generation 4 is live'
expect_match "$err" 'hint: .*spctl rollback N'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# Nothing changed: nothing to confirm. And what makes no sense.
expect_exit 0 spctl apply "$T/old.json" --confirm 5
expect_match "$out" 'nothing to confirm'
expect_eq "$(timers)" 0 'timers'
expect_exit 0 spctl status
expect_exit 2 spctl apply "$T/new.json" --confirm 5 --dry-run
expect_match "$err" 'nothing to confirm'
for bad in 0 86401 x 1m -1; do
	expect_exit 2 spctl apply "$T/new.json" --confirm "$bad"
	expect_match "$err" "\"$bad\" is not a number of SECONDS from 1 to 86400"
done
expect_exit 1 spctl confirm
expect_match "$err" 'generation 7 was taken back'
expect_exit 0 spctl rollback 3
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 1 spctl confirm
expect_match "$err" 'nothing waits for confirmation: generation 8 was applied without --confirm'

# Without a timer nothing is changed: there is no way back then. And nobody starts one by hand.
rm -f "$T/state/timer"
mkdir "$T/state/timer"
table=$(gw nft -s list table inet spctl)
expect_exit 1 spctl apply "$T/third.json" --confirm 60
expect_match "$err" 'state/timer'
expect_eq "$(gw nft -s list table inet spctl)" "$table" 'the table'
expect_exit 0 spctl status
expect_match "$out" '^generation 8,'
rmdir "$T/state/timer"
expect_exit 2 spctl confirm-timer
expect_match "$err" 'only spctl apply --confirm starts this'
expect_no_match "$(spctl help)$(spctl completion)" 'confirm-timer'

# down while one waits: nothing comes back.
expect_exit 0 spctl apply "$T/third.json" --confirm $((2 * STRETCH))
hold_close before
hold_close old
hold_close new
expect_exit 0 spctl down
expect_match "$(tail -n 1 <<<"$out")" "^to go back: spctl rollback --state-dir $T/state --run-dir $T/run\$"
eventually no_timer
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
expect_exit 0 spctl status
# No terminal, no pipe, no descriptor of ours is kept by a timer.
run timeout 5 bash -c "nsenter --net=/run/netns/gw -- '$SPCTL' apply '$T/old.json' --confirm 60 9>'$T/nine' | cat"
expect_eq "$code" 0 'a pipe that the timer would keep open'
pid=$(pgrep -f "confirm-timer --state-dir $T/state")
links=$(readlink "/proc/$pid"/fd/* | sort)
expect_no_match "$links" 'pipe|tty|pts|nine|lab/out'
expect_match "$links" '/dev/null'
expect_eq "$(ps -o sid= -p "$pid" | tr -d ' ')" "$pid" 'a session of its own'
expect_exit 0 spctl down
