#!/bin/bash
# kill -9 of apply and down at moments that nobody chose: at once afterwards, and without any other
# command, the routes are the old ones or the new ones on every port; connections live; the next
# apply puts everything right.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
TIMES=${TIMES:-100}
PORTS=(9000 9001 9002 9003)

# routes HOST EXTRA: the same ports to another host, and EXTRA routes so that there is time to die.
routes() {
	awk -v host="$1" -v extra="$2" 'BEGIN {
		print "{\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,\"routes\":["
		printf "{\"name\":\"ports\",\"match\":{\"ports\":[9000,9001,9002]},\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"%s\",\"port\":7000}]}}\n", host
		printf ",{\"name\":\"last\",\"match\":{\"ports\":9003},\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"%s\",\"port\":7000}]}}\n", host
		for (i = 0; i < extra; i++)
			printf ",{\"name\":\"x%d\",\"match\":{\"ports\":%d},\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"%s\",\"port\":7000}]}}\n", i, 20000 + i, host
		print "]}"
	}'
}
routes 10.20.0.2 0 >"$T/small_a.json"
routes 10.20.0.3 0 >"$T/small_b.json"
routes 10.20.0.2 3000 >"$T/large_a.json"
routes 10.20.0.3 3000 >"$T/large_b.json"
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

# what_runs PORTS...: one letter a port: A, B, or - for refused.
what_runs() {
	local port answer
	for port; do
		answer=$(probe tcp "10.10.0.1:$port")
		case $answer in
		A\|* | B\|*) printf '%s' "${answer:0:1}" ;;
		refused) printf -- '-' ;;
		*) fail "port $port: $answer" ;;
		esac
	done
}
die() { run lab_in gw timeout -s KILL "$@"; }
# How long a command takes here, in units of 0.1 ms: the moments are spread over that.
took_of() {
	local start=${EPOCHREALTIME/[.,]/}
	"$@"
	took=$(((${EPOCHREALTIME/[.,]/} - start) / 100 + 10))
}
moment() { # LONGEST
	printf '0.%04d' $((RANDOM % ($1 > 9000 ? 9000 : $1) + 1))
}

apply small_a
took_of apply small_b
small=$took
apply large_a
took_of apply large_b
large=$took
apply large_a
took_of spctl down >/dev/null
down=$took
apply large_a
hold kept cl tcp 10.10.0.1:9000
was=A
killed=0 after=0 waited=0
for ((i = 0; i < TIMES; i++)); do
	confirm=()
	((i % 7 != 3)) || confirm=(--confirm 3600)
	((i % 4 < 2)) && size=large longest=$large || size=small longest=$small
	want=b letter=B
	[[ $was == A ]] || want=a letter=A
	ports=("${PORTS[@]}")
	if ((i % 10 == 9)); then
		# down, now and then: routes or none, and the held connection may be ended with them.
		hold_close kept
		die "$(moment "$down")" "$SPCTL" down
		((code != 137)) || killed=$((killed + 1))
		got=$(what_runs "${ports[@]}")
		expect_match "$got" "^($was$was$was$was|----)\$" "after down, round $i"
		apply "${size}_a"
		was=A
		expect_eq "$(what_runs "${ports[@]}")" AAAA "after the apply that follows down, round $i"
		hold kept cl tcp 10.10.0.1:9000
		continue
	fi
	die "$(moment "$longest")" "$SPCTL" apply "$T/${size}_$want.json" "${confirm[@]}"
	[[ $code == 0 || $code == 137 ]] || fail "round $i: exit $code"
	((code != 137)) || killed=$((killed + 1))
	got=$(what_runs "${ports[@]}")
	expect_match "$got" "^($was$was$was$was|$letter$letter$letter$letter)\$" "round $i"
	[[ $code != 137 || $got != "$letter"* ]] || after=$((after + 1))
	hold_say kept "$i"
	expect_match "$answer" "^[AB]\|10\.20\.0\.1\|$i\$" "the held connection, round $i"
	if ((${#confirm[@]})); then
		# Whatever was reached: either the old ones, or new ones that wait and go back to them.
		if [[ $(spctl status --json | jq '.confirm != null') == true ]]; then
			waited=$((waited + 1))
			expect_eq "$got" "$letter$letter$letter$letter" "waiting, round $i"
			expect_exit 0 spctl rollback
		fi
		got=$(what_runs "${ports[@]}")
		expect_eq "$got" "$was$was$was$was" "after going back, round $i"
		expect_exit 0 spctl status
	elif ((i % 3 == 0)); then
		apply "${size}_$want"
		expect_eq "$(what_runs "${ports[@]}")" "$letter$letter$letter$letter" "after the next apply, round $i"
		expect_exit 0 spctl status
		was=$letter
	else
		was=${got:0:1}
	fi
done
echo "killed $killed of $TIMES, $after of them after the new routes were in effect; $waited waited for confirmation"
((killed >= TIMES / 4)) || fail "only $killed of $TIMES were killed in time"
((TIMES < 100 || (after > 0 && after < killed))) || fail "not on both sides of the commit: $after of $killed"
apply small_a
expect_exit 0 spctl status
expect_eq "$(what_runs "${PORTS[@]}")" AAAA 'at the end'
hold_close kept
expect_exit 0 spctl down
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after down'
expect_eq "$(sysctls)" "$sys" 'sysctls after down'
