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
