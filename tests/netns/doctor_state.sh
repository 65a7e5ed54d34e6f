#!/bin/bash
# doctor finds a table that is gone, changed or somebody else's, STATE of another namespace, a
# clock that went back, and services that lost their port; it never fails because it could not look.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

config one <<'EOF'
{"routes":[
 {"name":"one","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"off","enabled":false,"match":{"ports":9003},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"two","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
# ---- nothing applied: there is nothing to be broken, and a file can be looked at
healthy
expect_eq "$(gw ls "$T")" "$(gw ls "$T" | grep -vx -e state -e run)" 'doctor makes no directories'
healthy "$T/one.json"
gw nft add table inet spctl
finds_only table 'exists that was not made by spctl' 'one two' "$T/one.json"
type_fix
healthy "$T/one.json"
apply one
healthy
healthy "$T/one.json"

# ---- the table: gone, changed, of another generation, not ours
gw nft flush ruleset
finds_only table 'gone' 'one two'
type_fix
healthy
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
gw nft insert rule inet spctl dec4 tcp dport 9000 drop
finds_only table 'changed by somebody' 'one two'
type_fix
healthy
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
gw nft 'delete table inet spctl; add table inet spctl; add chain inet spctl pre'
finds_only table 'was not made by spctl' 'one two'
type_fix
healthy
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_exit 0 spctl apply "$T/one.json" --table elsewhere
gw nft flush ruleset
finds_only table 'elsewhere is gone' 'one two'
expect_match "$fix" '--table elsewhere'
type_fix
healthy
apply one
# Another spctl's name for a file that is to be applied.
expect_exit 0 spctl apply "$T/one.json" --table second --state-dir "$T/s2" --run-dir "$T/r2"
finds table 'belongs to another spctl' 'one two' "$T/one.json" --table second
expect_exit 0 spctl down --state-dir "$T/s2" --run-dir "$T/r2"
healthy

# ---- the clock was set back behind the newest generation: history is wrong; routes with
# certificates are affected, kernel routes are not.
config_tls
healthy "$T/tls.json"
live=$(cat "$T/state/live")
sed -i.keep -E 's/("timeMs" *: *)[0-9]+/\199999999999999/' "$T/state/applied/$live.json"
! cmp -s "$T/state/applied/$live.json" "$T/state/applied/$live.json.keep" || fail "the time in $live.json was not changed"
notes clock 'newest generation was made at 5138-'
expect_eq "$code" 0
finds_only clock 'newest generation was made at 5138-' 'web' "$T/tls.json"
expect_eq "$fix" 'timedatectl set-ntp true'
mv "$T/state/applied/$live.json.keep" "$T/state/applied/$live.json"
healthy "$T/tls.json"
healthy

# ---- a service whose port a route takes
lab_start gw "$T/local.log" "$LAB_TOOLS/echod" L -t '10.10.0.1:9001'
local_pid=$lab_pid
eventually grep -qx ready "$T/local.log"
finds_only listeners "echod\\[$local_pid\\] listens on tcp/9001, but other hosts reach route" 'two'
finds_only listeners "but other hosts would reach" 'two' "$T/one.json"
lab_stop "$local_pid"
healthy
lab_start gw "$T/local2.log" "$LAB_TOOLS/echod" L -t '*:9003' # a route that is disabled takes nothing
eventually grep -qx ready "$T/local2.log"
healthy

# The route's own target is reached through it: it lost nothing.
config self <<'EOF'
{"routes":[{"name":"self","match":{"ports":9005},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":9005}]}},
 {"name":"other","match":{"ports":9006},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":9005}]}}]}
EOF
lab_start gw "$T/local3.log" "$LAB_TOOLS/echod" L -t '*:9005'
eventually grep -qx ready "$T/local3.log"
healthy "$T/self.json"
lab_start gw "$T/local4.log" "$LAB_TOOLS/echod" L -t '*:9006'
eventually grep -qx ready "$T/local4.log"
finds_only listeners 'listens on tcp/9006' 'other' "$T/self.json"

# ---- text: one line a check, the routes and the fix below, within 100 columns
gw nft flush ruleset
expect_exit 1 spctl doctor
expect_match "$out" 'routes: generation [0-9]+, which is live'
expect_match "$out" 'problem  table +table inet spctl is gone'
expect_match "$out" $'\n +routes: one, two\n +fix: spctl apply '
expect_match "$out" '1 problem, 2 routes affected'
expect_eq "$(grep -v ' fix: ' <<<"$out" | awk 'length > 100' | wc -l)" 0 'lines over 100 columns'
expect_exit 1 spctl doctor -q
expect_no_match "$out" '(^|'$'\n'')ok '
finds table gone 'one two'
type_fix
healthy

# ---- many routes: the first few, and how many more
jq -n '{routes: [range(0; 40) | {name: "r\(.)", match: {ports: (20000 + .)}, action: {type: "forward", targets: [{host: "10.99.0.1", port: 1}]}}]}' >"$T/many.json"
gw ip route add unreachable 10.99.0.0/16
expect_exit 1 spctl doctor "$T/many.json"
expect_match "$out" 'routes: r0, r1, r2, r3, r4 and 35 more'
expect_match "$out" '1 problem, 40 routes affected'
gw ip route del unreachable 10.99.0.0/16

# ---- without root: what could not be done is told, and is no failure
unpriv() { gw setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all "$SPCTL" "$@"; }
chmod 755 "$T"
expect_exit 0 unpriv doctor --json
expect_json "$out" '[.findings[] | select(.level == "note") | .check] | contains(["namespace", "table", "forward-policy", "nat-before"])'
expect_exit 0 unpriv doctor "$T/one.json" --json
expect_json "$out" '.findings | any(.check == "kernel" and .level == "note" and (.message | test("root")))'
gw ip route add unreachable 10.20.0.2
expect_exit 1 unpriv doctor "$T/one.json" --json
expect_json "$out" '.findings | any(.check == "target-route" and .level == "problem" and .routes == ["one", "two"])'
gw ip route del unreachable 10.20.0.2

# ---- a file with errors is the one thing that makes it fail
expect_exit 2 spctl doctor "$T/nothing.json"
echo '{"routes":[{"name":"x"}]}' >"$T/bad.json"
expect_exit 2 spctl doctor "$T/bad.json"
expect_exit 2 spctl doctor "$T/bad.json" --json
expect_json "$out" '.errors | length > 0'
expect_exit 2 spctl doctor "$T/one.json" "$T/one.json"

# ---- STATE of another namespace: the routes in it are named, and nothing is done to it
everything() {
	(cd "$T" && find state run -exec ls -ld --time-style=full-iso {} + | sort -k 9)
	gw nft list ruleset
	sysctls
}
before=$(everything)
in_b() { lab_in b "$SPCTL" "$@"; }
expect_exit 1 in_b doctor --json
expect_json "$out" '.findings | any(.check == "namespace" and .level == "problem" and .routes == ["one", "two"] and (.message | test("another network namespace")) and .fix != null)'
lab_in b env SPCTL_STATE_DIR="$T/sb" SPCTL_RUN_DIR="$T/rb" "$SPCTL" doctor >/dev/null || fail 'with directories of its own it is healthy'
healthy
expect_eq "$(everything)" "$before" 'what doctor looked at'
expect_exit 0 spctl down
healthy
