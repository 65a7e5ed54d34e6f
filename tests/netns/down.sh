#!/bin/bash
# down: the host is exactly as it was found; twice is no error.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve gw G -t '127.0.0.1:8000'
# Values of its own kind on some interfaces: they must come back as they were.
gw sh -c 'cd /proc/sys/net; echo 1 > ipv6/conf/lan/accept_ra; echo 2 > ipv6/conf/srv/accept_ra
	echo 0 > ipv4/conf/lan2/accept_redirects; echo 1 > ipv4/conf/lan/accept_redirects'
rules=$(gw nft -s list ruleset)
sys=$(sysctls)

expect_exit 0 spctl down
expect_eq "$(sysctls)" "$sys" 'sysctls after a down with nothing to do'

config all <<'EOF'
{"routes":[{"name":"four","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"six","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"fd20::2","port":7000}]}},
 {"name":"local","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":8000}]}}]}
EOF
put_back='put back: net.ipv4.ip_forward
put back: net.ipv6.conf.all.forwarding
put back: net.ipv4.conf.all.route_localnet'
for round in 1 2; do
	apply all
	expect_table
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_answer 'A|10.20.0.1|hi' udp 10.10.0.1:9000
	expect_answer 'A|fd20::1|hi' tcp '[fd10::1]:9001'
	expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9002
	expect_eq "$(gw cat /proc/sys/net/ipv6/conf/lan/accept_ra)" 2 'accept_ra while v6 is forwarded'
	hold old cl tcp 10.10.0.1:9000
	if ((round == 1)); then
		expect_exit 0 spctl down
		expect_eq "$(grep '^put back: ' <<<"$out")" "$put_back" 'what down says'
	else
		expect_exit 0 spctl down --json
		expect_json "$out" '(.sysctlsRestored | length) == 3 and .leftFor == null'
	fi
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset after down, round $round"
	expect_eq "$(sysctls)" "$sys" "sysctls after down, round $round"
	expect_refused tcp 10.10.0.1:9000
	hold_say old late
	[[ $answer != A* ]] || fail "an old connection outlived down"
	hold_close old
	expect_eq "$(gw conntrack -L 2>/dev/null | grep -c 'dport=9000' || :)" 0 'conntrack entries left'
	expect_exit 0 spctl down
	expect_exit 0 spctl status
done
expect_eq "$(pgrep -cx spctl || :)" 0 'processes left'

# Somebody changed a value meanwhile: it is theirs now.
apply all
gw sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/lan/accept_ra'
expect_exit 0 spctl down
expect_eq "$(gw cat /proc/sys/net/ipv4/ip_forward)" 0 'ip_forward'

# Its answer is lost: it looks whether the routes are gone, and goes on where they are.
fp=${SPCTL_FP:-$O-fp/spctl}
if [[ -x $fp ]]; then
	for lost in 1 2 3; do
		gw sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
		apply all
		echo 0 >"$T/lost"
		nsenter --net=/run/netns/gw -- env SPCTL_STOPPOINT=down_started NETLINKFAIL="$T/lost" \
			LD_PRELOAD="$O/tests/preload/netlinkfail.so" "$fp" down >"$T/said" 2>&1 &
		job=$!
		LAB_PIDS+=("$job")
		stopped() { [[ $(cut -d' ' -f3 "/proc/$job/stat") == T ]]; }
		eventually stopped
		echo "$lost" >"$T/lost"
		kill -CONT "$job"
		code=0
		wait "$job" || code=$?
		case $code in
		0) expect_no_table ;;
		5) expect_match "$(<"$T/said")" 'hint: .*spctl down again' ;;
		*) fail "down with $lost lost answers: exit $code: $(<"$T/said")" ;;
		esac
		expect_refused tcp 10.10.0.1:9000
		expect_exit 0 spctl down
		expect_no_table
	done
fi
