#!/bin/bash
# What apply says: five lines at most, in terms of routes, the way back last. On a terminal, and only
# there, what takes long is told in one line that goes again.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq
need_tool script flock
lab_up
serve a A -t '*:7000'
serve gw L -t '127.0.0.1:8000'
r() { # NAME PORT HOST [PORT]
	printf '{"name":"%s","match":{"ports":%s},"action":{"type":"forward","targets":[{"host":"%s","port":%s}]}}' "$1" "$2" "$3" "${4-7000}"
}
file() { # NAME ROUTE...
	local name=$1 IFS=,
	shift
	echo "{\"routes\":[$*]}" >"$T/$name.json"
}
five() { # WHAT: of $out
	(($(wc -l <<<"$out") <= 5)) || fail "$1: $(wc -l <<<"$out") lines"
	expect_match "$(tail -n 1 <<<"$out")" '^to go back: spctl ' "$1: the last line"
}
line() { sed -n "$1p" <<<"$out"; }

file first "$(r local 9000 127.0.0.1 8000)"
apply first
five first
expect_eq "$(line 1)" 'generation 1 is live'
expect_eq "$(line 2)" '+ 1 route (local)'
expect_eq "$(line 3)" 'turned on, with a guard: ipv4.conf.all.route_localnet'
expect_match "$(line 4)" '^to go back: spctl down'
expect_no_match "$out" 'element'

# Everything at once is five lines, with -v as well.
hold old cl tcp 10.10.0.1:9000
file second "$(r web 9001 10.20.0.2)" "$(r dns 9002 fd20::2)" "$(r pool '"9010-9020"' 10.20.0.2)"
apply second --kill -v
five second
expect_match "$(line 1)" '^generation 2 is live: [0-9]+ elements added, [0-9]+ deleted \([0-9.]+ s\)$'
expect_eq "$(line 2)" '+ 3 routes (dns, pool, web)  - 1 (local)'
expect_eq "$(line 3)" 'turned on, with a guard: ipv4.ip_forward, ipv6.conf.all.forwarding'
expect_eq "$(line 4)" 'ended: 1 connection that the routes would not make any more'
expect_match "$(line 5)" '^to go back: spctl rollback 1 '
expect_match "$err" 'milliseconds: read and parse'
hold_close old
# So it is with --confirm, and what waits is the first.
file local2 "$(r web 9001 10.20.0.3)" "$(r local2 9004 127.0.0.1)"
apply local2 --kill --confirm 60
five 'with --confirm'
expect_match "$(line 1)" '^generation 3 waits for confirmation: spctl confirm .*, else generation 2 comes back in [56][0-9] s, at '
expect_match "$(tail -n 1 <<<"$out")" '^to go back: spctl rollback'
expect_exit 0 spctl rollback

file third "$(r web 9001 10.20.0.2)" "$(r pool '"9010-9021"' 10.20.0.2)" "$(r extra 9003 10.20.0.2)"
expect_exit 0 spctl apply "$T/third.json" --dry-run
expect_match "$(line 1)" '^dry run, nothing was changed: the kernel takes these 3 routes$'
expect_eq "$(line 2)" '+ 1 route (extra)  ~ 1 (pool)  - 1 (dns)'
apply third
expect_eq "$(line 2)" '+ 1 route (extra)  ~ 1 (pool)  - 1 (dns)'
apply second
run spctl apply "$T/third.json" --json
expect_json "$out" '[.routeChanges[] | .op + .route] == ["-dns", "+extra", "~pool"]'
expect_json "$out" '.routeChanges[2] | (.old | test("9020")) and (.new | test("9021"))'
expect_json "$out" '.flowsEnded == 0'
# The same is what plan says.
apply second
expect_exit 0 spctl plan "$T/third.json" --json
plan=$(jq -c .changes <<<"$out")
run spctl apply "$T/third.json" --json
expect_eq "$(jq -c .routeChanges <<<"$out")" "$plan" 'plan and apply'

expect_exit 0 spctl plan "$T/second.json"
expect_match "$out" 'change against generation [0-9]+:'$'\n''  \+ 1 route \(dns\)  ~ 1 \(pool\)  - 1 \(extra\)'
# Where nobody can say what was before, nothing is invented.
echo '{' >"$T/state/applied/$(cat "$T/state/live").config"
apply second
expect_match "$(line 2)" '^what changes cannot be said: '

# Both protocols instead of one is one changed route.
file both "$(r web 9001 10.20.0.2)"
apply both
jq '.routes[0].match.transport = "all"' "$T/both.json" >"$T/all.json"
apply all
expect_eq "$(line 2)" '~ 1 route (web)'
jq -c . "$T/all.json" >"$T/same.json"
apply same
expect_eq "$(line 2)" 'no route changes'
apply same
expect_match "$out" "^nothing to do: generation [0-9]+ is live and is what $T/same.json says$"
expect_exit 0 spctl apply "$T/same.json" --json
expect_json "$out" '.changed == false and .routeChanges == []'
gw nft flush chain inet spctl dec4
apply same
five repaired
expect_match "$(line 1)" '^repaired: '

# Many routes and long names: still short, and 100 columns.
args=()
for i in {10..59}; do
	args+=("$(r "verkehrsüberwachung-日本語-日本語-日本語-$i" "90$i" 10.20.0.2)")
done
file many "${args[@]}"
apply many
five many
expect_match "$(line 2)" '^\+ 50 routes \(verkehrs.*, \.\.\.\)  - 1 \(web\)$'
jq '.routes |= (.[10:] | .[0:30][].match.ports |= . + 100) + [.[0:10][] | .name |= "x" + .]' "$T/many.json" >"$T/moved.json"
apply moved
expect_match "$(line 2)" '^\+ 10 routes \(.*\)  ~ 30 \(.*\)  - 10 \(.*\)$'
while read -r text; do
	# Wide characters count twice.
	wide=$(grep -o '[日本語]' <<<"$text" | wc -l || :)
	chars=$(tr -d '\200-\277' <<<"$text" | wc -c)
	((chars - 1 + wide <= 100)) || fail "$((chars - 1 + wide)) columns: $text"
done < <(grep -v '^to go back' <<<"$out")

# A terminal: while another command holds the lock, the line comes; at the end it is gone.
on_terminal() { # TERM ARG...
	local term=$1 rc=0
	shift
	TERM=$term lab_in gw script -qec "$(printf '%q ' "$SPCTL" "$@")" /dev/null >"$T/tty" </dev/null || rc=$?
	out=$(tr -d '\0' <"$T/tty")
	return $rc
}
locked() { # CMD...: while the lock is held for two seconds
	lab_start gw "$T/flock.log" flock "$T/state/lock" sh -c 'echo held; exec sleep 2'
	eventually grep -q held "$T/flock.log"
	"$@"
}
apply first
locked on_terminal xterm apply "$T/second.json"
expect_match "$out" $'\r''spctl: waiting for the lock(, 1 s)?'$'\033\\[K'
expect_match "$out" $'\033\\[K[^\r]*generation [0-9]+ is live' 'the result stands on a line of its own'
# What a terminal shows of it at the end: the text after the last return of each line.
expect_shown() {
	local shown
	shown=$(sed -E $'s/\r$//; s/.*\r(\033\\[K)?//; /^spctl: waiting for another/d' <<<"$out")
	expect_match "$shown" '^generation [0-9]+ is live'$'\n' 'what is left on the terminal'
	expect_no_match "$shown" 'spctl: ' 'what is left on the terminal'
}
expect_shown
# A big file whose second half is long in coming: before the lock, and before anything is known of it.
jq -c '.defaults.security.ipAllowList = ["10.0.0.0/8", (range(20000) | "172.\(. / 256 | floor).\(. % 256).0/25")]' \
	"$T/second.json" >"$T/big.json"
mkfifo "$T/slow"
lab_start gw "$T/tty.slow" env TERM=xterm script -qefc "$(printf '%q ' "$SPCTL" apply "$T/slow")" /dev/null
exec {slow}>"$T/slow"
half=$(($(wc -c <"$T/big.json") / 2))
head -c $half "$T/big.json" >&"$slow"
drawn() { [[ $(tr -d '\0' <"$T/tty.slow") == *$'\r''spctl: reading routes'* ]]; }
eventually drawn
tail -c +$((half + 1)) "$T/big.json" >&"$slow"
exec {slow}>&-
wait "$lab_pid" || fail "apply of a slow file: exit $?"
out=$(tr -d '\0' <"$T/tty.slow")
expect_match "$out" $'\r''spctl: reading routes(, [0-9]+ s)?'$'\033\\[K.*\033\\[K[^\r]*generation [0-9]+ is live'
expect_shown
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
for how in 'xterm -q' 'xterm --json' 'dumb -v'; do
	apply first
	# shellcheck disable=SC2086 # words
	locked on_terminal ${how% *} apply "$T/second.json" ${how#* }
	expect_no_match "$out" $'\033' "$how"
	expect_no_match "$out" $'\r''spctl: waiting for the lock' "$how"
done
# No terminal: not a single control character.
apply first
locked run spctl apply "$T/second.json"
expect_eq "$code" 0
expect_no_match "$out$err" $'[\r\033]' 'on a pipe'
expect_match "$err" 'waiting for another spctl'
# The countdown of --drain is in that line, too.
hold old cl tcp 10.10.0.1:9001
on_terminal xterm apply "$T/first.json" --drain 2
expect_match "$out" $'\r''spctl: draining: 1 connection, 2 s left \(Ctrl-C ends it now\)'
expect_match "$out" $'\r''spctl: draining: 1 connection, 1 s left'
expect_match "$out" 'ended: 1 connection '
