#!/bin/bash
# Two instances with a STATE each and one RUN: what waits in each is taken back at its own time.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
config one <<'CONFIG'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
sed 's/9000/9100/' "$T/one.json" >"$T/two.json"
answers() { [[ $(probe tcp "10.10.0.1:$1") == "$2" ]]; }
timers() { pgrep -fc "confirm-timer --state-dir $T/$1 " || :; }

expect_exit 0 spctl apply "$T/one.json" --confirm 3600
expect_exit 0 spctl apply "$T/two.json" --table other --state-dir "$T/second" --confirm $((2 * STRETCH))
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9100
expect_eq "$(timers state) $(timers second)" '1 1' 'timers'
eventually answers 9100 refused
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status --state-dir "$T/second"
expect_match "$out" 'nothing is applied'
expect_exit 1 spctl status --json
expect_json "$out" '.confirm.generation == 1 and .confirm.timer'
expect_exit 0 spctl confirm
expect_exit 0 spctl down

# A long drain of one keeps nobody from the other.
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/one.json" >"$T/one_b.json"
sed 's/10\.20\.0\.2/10.20.0.3/' "$T/two.json" >"$T/two_b.json"
serve b B -t '*:7000'
expect_exit 0 spctl apply "$T/one.json"
expect_exit 0 spctl apply "$T/two.json" --table other --state-dir "$T/second"
hold long cl tcp 10.10.0.1:9100
lab_start gw "$T/drain.log" "$SPCTL" apply "$T/two_b.json" --table other --state-dir "$T/second" --drain 60
drain=$lab_pid
eventually answers 9100 'B|10.20.0.1|hi'
expect_exit 0 spctl apply "$T/one_b.json" --confirm $((2 * STRETCH)) --timeout "$STRETCH"
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually answers 9000 'A|10.20.0.1|hi'
kill -0 "$drain" || fail 'the drain was over: nothing is tested'
expect_hold long 'A|10.20.0.1|one' one
hold_close long
gone() { ! kill -0 "$drain" 2>/dev/null; }
eventually gone
expect_exit 0 spctl down --state-dir "$T/second"
expect_exit 0 spctl down
