#!/bin/bash
# What was committed is read back: if somebody changes our table in that very moment, the old
# generation goes back and the exit code is 3 (5 where that fails, too). Commits to other tables do
# not matter. The moment is staged: a build with FAILPOINTS=1 stops (SIGSTOP) right after its commit.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
fp=${SPCTL_FP:-$O-fp/spctl}
[[ -x $fp ]] || skip "no build with FAILPOINTS=1 at $fp"
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
serve gw G -t '127.0.0.1:8000'
config old <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"some","match":{"ports":9003,"clientIp":["10.10.0.0/30"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config new <<'CONFIG'
{"routes":[{"name":"tcp","match":{"ports":[9000,9001]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"some","match":{"ports":9003,"clientIp":["10.10.0.0/29"]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}},
 {"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}},
 {"name":"six","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}}]}
CONFIG
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
is_stopped() { [[ $(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status") == T ]]; }
is_child_stopped() { # nsenter execs: the job is spctl itself
	is_stopped "$job"
}
# meddle NFT-COMMAND -- SPCTL-ARG...: $code, $out and $err of a spctl in whose moment nft was run.
meddle() {
	local nft=()
	while [[ $1 != -- ]]; do
		nft+=("$1")
		shift
	done
	shift
	nsenter --net=/run/netns/gw -- env SPCTL_STOPPOINT=committed "$fp" "$@" >"$T/out" 2>"$T/err" &
	job=$!
	eventually is_child_stopped
	((${#nft[@]} == 0)) || gw nft "${nft[@]}"
	kill -CONT "$job"
	code=0
	wait "$job" || code=$?
	out=$(cat "$T/out") err=$(cat "$T/err")
}
expect_old() {
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9003
	expect_answer refused tcp 10.10.0.1:9002
	expect_exit 0 spctl status --json
	expect_json "$out" ".generation == $1 and .drift == false"
	rm -f "$T/run/image" # the kernel itself is asked
	expect_exit 0 spctl status
}

# The first apply of all: nothing was there before, nothing is there after.
meddle delete element inet spctl to4 '{ tcp . 9001 }' -- apply "$T/new.json"
expect_eq "$code" 3 'exit code'
expect_match "$err" 'all is taken away again: read back after the commit: .*element tcp . 9001 of map to4'
expect_match "$err" 'hint: .*nft monitor'
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset'
expect_eq "$(sysctls)" "$sys" 'sysctls'
expect_exit 0 spctl status
expect_match "$out" 'nothing is applied'

# From one generation to another: an element, a rule, a chain, an interval; a foreign rule.
apply old
live=$(spctl status --json | jq .generation)
old_sys=$(sysctls)
hold kept cl tcp 10.10.0.1:9000
while read -r -a command; do
	meddle "${command[@]}" -- apply "$T/new.json"
	expect_eq "$code" 3 "exit code after nft ${command[*]}"
	expect_match "$err" "generation $live is back: read back after the commit"
	expect_old "$live"
	expect_eq "$(sysctls)" "$old_sys" "sysctls after nft ${command[*]}"
	expect_hold kept "A|10.20.0.1|${command[1]}" "${command[1]}"
done <<'END'
delete element inet spctl to4 { tcp . 9000 }
add element inet spctl to4 { tcp . 9777 : 10.20.0.3 . 7000 }
flush chain inet spctl forw
insert rule inet spctl dec4 accept
add chain inet spctl intruder
flush map inet spctl generation
delete table inet spctl
flush ruleset
END
run spctl history --json
expect_json "$out" "[.history[].generation] == [$live]"

# JSON, and a dry look at the other answers.
meddle flush chain inet spctl forw -- apply "$T/new.json" --json
expect_eq "$code" 3 'exit code'
expect_json "$out" '.errors[0].message | test("read back after the commit")'

# Somebody else's table in that moment: fine.
meddle add table ip foreign -- apply "$T/new.json"
expect_eq "$code" 0 'exit code with a foreign commit'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9006'
expect_exit 0 spctl status
meddle delete table ip foreign -- apply "$T/old.json"
expect_eq "$code" 0 'exit code with a foreign commit'
expect_old 3
# Nobody at all.
meddle -- apply "$T/new.json"
expect_eq "$code" 0 'exit code'

# A rollback, a repair, and what --confirm takes back, are read back as well.
meddle delete element inet spctl to4 '{ tcp . 9000 }' -- rollback
expect_eq "$code" 3 'exit code of rollback'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
gw nft flush ruleset
meddle delete element inet spctl to4 '{ tcp . 9000 }' -- apply "$T/new.json"
expect_eq "$code" 5 'exit code of a repair'
expect_match "$err" 'generation 4 was written again, but read back differently'
expect_exit 1 spctl status
apply new
expect_exit 0 spctl apply "$T/old.json" --confirm 60
meddle delete element inet spctl to4 '{ tcp . 9000 }' -- rollback
expect_eq "$code" 3 'exit code of rollback of what waits'
expect_match "$err" 'generation 4 cannot be brought back: generation 5 is back'
b_serves() { [[ $(probe tcp 10.10.0.1:9000) == B* ]]; }
eventually b_serves # the timer goes on trying
no_timer() { [[ ! $(pgrep -f "confirm-timer --state-dir $T/state") ]]; }
eventually no_timer
expect_exit 0 spctl status
expect_match "$out" '^generation 4,'

# With --confirm: what waits is the one before still, or nothing.
meddle flush chain inet spctl forw -- apply "$T/old.json" --confirm 60
expect_eq "$code" 3 'exit code with --confirm'
expect_exit 0 spctl status
expect_match "$out" '^generation 4,'
eventually no_timer
sed 's/"ports":9002/"ports":9012/' "$T/new.json" >"$T/third.json"
expect_exit 0 spctl apply "$T/old.json" --confirm 60
waiting=$(spctl status --json | jq -c '.confirm | [.generation, .previous]' || :)
meddle flush chain inet spctl forw -- apply "$T/third.json" --confirm 3600
expect_eq "$code" 3 'exit code while another waits'
expect_exit 1 spctl status --json
expect_json "$out" "(.confirm | [.generation, .previous]) == $waiting and .confirm.secondsLeft <= 60 and .drift == false"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl rollback
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
eventually no_timer

# The old one's files are lost: it cannot go back. Said, exit 5.
mv "$T/state/applied/4.config" "$T/kept"
meddle delete element inet spctl to4 '{ tcp . 9000 }' -- apply "$T/old.json"
expect_eq "$code" 5 'exit code'
expect_match "$err" 'the old state could not be put back'
mv "$T/kept" "$T/state/applied/4.config"
apply new
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000

# Another table name.
meddle flush chain inet other forw -- apply "$T/old.json" --table other
expect_eq "$code" 3 'exit code'
expect_no_table other
expect_table
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
# It cannot be read, which says nothing about what is there: once is no reason to take it away.
unread() { # ANSWERS-THAT-FAIL FILE
	echo 0 >"$T/fails"
	nsenter --net=/run/netns/gw -- env SPCTL_STOPPOINT=committed LD_PRELOAD="$O/tests/preload/netlinkfail.so" \
		NETLINKFAIL="$T/fails" "$fp" apply "$2" >"$T/out" 2>"$T/err" &
	job=$!
	eventually is_child_stopped
	echo "$1" >"$T/fails"
	kill -CONT "$job"
	code=0
	wait "$job" || code=$?
	out=$(cat "$T/out") err=$(cat "$T/err")
}
unread 2 "$T/old.json" # whether it asks for what changed or, then, for all
expect_eq "$code $(cat "$T/fails")" '0 0' 'answers that fail'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
unread 1000000 "$T/new.json"
expect_eq "$code" 5 'no answer at all'
expect_match "$err" 'the old state could not be put back'
apply new
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl status
hold_close kept
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'

# 20 000 routes: one changed target, and one of the others taken away in that moment.
many() {
	awk -v b="$1" 'BEGIN {
		print "{\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,\"routes\":["
		for (i = 1; i <= 20000; i++)
			printf "%s{\"name\":\"r%d\",\"match\":{\"ports\":%d},\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"10.20.0.%d\",\"port\":7000}]}}\n", (i > 1 ? "," : ""), i, 10000 + i, (i + 10000 == b ? 3 : 2)
		print "]}"
	}'
}
many 0 >"$T/many.json"
many 17777 >"$T/many2.json"
apply many
meddle delete element inet spctl to4 '{ tcp . 12345 }' -- apply "$T/many2.json"
expect_eq "$code" 3 'exit code with many routes'
expect_match "$err" 'element tcp . 12345 of map to4'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:12345
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:17777
meddle add table ip foreign -- apply "$T/many2.json"
expect_eq "$code" 0 'exit code with many routes'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:17777
