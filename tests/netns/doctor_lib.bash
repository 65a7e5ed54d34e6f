# shellcheck shell=bash
# doctor_lib: for the tests of `spctl doctor`. Each stages a problem, sees it found, types the
# fix that doctor gives, and sees it gone.

# healthy ARG...: no problems.
healthy() {
	expect_exit 0 spctl doctor --json "$@"
	expect_json "$out" '.schema == 1 and .affected == 0 and ([.findings[] | select(.level == "problem")] == [])'
}

# finds CHECK REGEX ROUTES ARG...: a problem of that check whose message matches and that
# names these routes ("a b", in file order). Leaves its fix in $fix.
finds() {
	local check=$1 regex=$2 routes=$3 found
	shift 3
	expect_exit 1 spctl doctor --json "$@"
	found=$(jq -c --arg c "$check" --arg r "$regex" \
		'[.findings[] | select(.check == $c and .level == "problem" and (.message | test($r)))]' <<<"$out")
	[[ $found != '[]' ]] || fail "no problem of check $check with /$regex/ in $out"
	expect_eq "$(jq -r '.[0].routes | join(" ")' <<<"$found")" "$routes" "routes of $check"
	fix=$(jq -r '.[0].fix' <<<"$found")
}

# finds_only CHECK ...: the same, and it is the only check that has a problem.
finds_only() {
	finds "$@"
	expect_eq "$(jq -r '[.findings[] | select(.level == "problem") | .check] | unique | join(" ")' <<<"$out")" "$1" 'checks with problems'
}

# notes CHECK REGEX ARG...: a note of that check; the exit code is what it is.
notes() {
	local check=$1 regex=$2
	shift 2
	run spctl doctor --json "$@"
	jq -e --arg c "$check" --arg r "$regex" \
		'[.findings[] | select(.check == $c and .level == "note") | .message] | any(test($r))' <<<"$out" >/dev/null ||
		fail "no note of check $check with /$regex/ in $out"
}

# type_fix [NS]: as an operator would, in the gateway or elsewhere.
type_fix() {
	lab_in "${1:-gw}" env PATH="$O:$PATH" sh -ec "$fix" >"$T/fix.log" 2>&1 || fail "the fix failed: $fix: $(cat "$T/fix.log")"
}

# four_routes: the lab with a route of each kind - masqueraded, client kept, UDP, to this host -
# applied and healthy. Then works, dead and heals speak of it.
four_routes() {
	need_kernel nft_fib nft_nat nft_masq
	lab_up
	serve a A -t '*:7000' -u '*:7000'
	serve gw G -t '127.0.0.1:7001'

	config all <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"four","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"kept","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}],"nftables":{"preserveSourceIP":true}}},
 {"name":"datagrams","match":{"ports":9010,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"here","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":7001}]}}]}
EOF
	apply all
	healthy
}
nft_table() { gw nft -f - <<<"$1"; }
works() {
	expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
	expect_answer 'A|10.10.0.2|hi' tcp 10.10.0.1:9002
	expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:9001
}
dead() { for port; do expect_none_in cl tcp "10.10.0.1:$port"; done; }
heals() {
	type_fix
	healthy
	works
	gw nft delete table "$@"
	healthy
}

# config_tls: tls.json, a route with a certificate, for which the clock matters, beside one of the kernel.
config_tls() {
	config tls <<'EOF'
{"routes":[{"name":"web","match":{"ports":443,"domains":"a.example"},"action":{"type":"forward",
  "tls":{"mode":"terminate","certificate":"auto"},"targets":[{"host":"10.20.0.2","port":80}]}},
 {"name":"plain","match":{"ports":80},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":80}]}}],
 "acme":{"email":"a@a.example"}}
EOF
}
