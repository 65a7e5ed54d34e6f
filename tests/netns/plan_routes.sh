#!/bin/bash
# plan: the tier of a route is where it is served, not what it could have alone; every route is shown.
. "${0%/*}/lib.sh"
lab_up

config mixed <<'CONFIG'
{"routes":[
 {"name":"api","priority":5,"match":{"ports":[443,8443],"domains":"a.test"},"action":{"type":"forward","tls":{"mode":"passthrough"},"targets":[{"host":"fd00::1","port":443}]}},
 {"name":"rest","match":{"ports":443},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"wide","match":{"ports":"8440-8449"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"alone","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
config off <<'CONFIG'
{"routes":[
 {"name":"old","enabled":false,"match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"::1","port":80}]}}]}
CONFIG
config one_off <<'CONFIG'
{"routes":[
 {"name":"old","enabled":false,"match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":80}]}},
 {"name":"new","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":80}]}}]}
CONFIG
row() { grep -E "^$1 " <<<"$out" || fail "no row of $1"; }

# The example: clients without a name are found out by their first bytes, too.
expect_exit 0 spctl plan "$ROOT/examples/sni.yaml"
expect_match "$(row nameless)" 'nameless +relay +tcp/443 .*route "api" before it on tcp/443 needs the first bytes'
expect_no_match "$out" 'cannot run'
expect_match "$out" $'\nthe service listens on tcp/443\n'
expect_exit 0 spctl plan "$ROOT/examples/sni.yaml" --json
expect_json "$out" '.routes[2] | .name == "nameless" and .tier == "relay" and .runs'
expect_json "$out" '.routes[2].reason == "route \"api\" before it on tcp/443 needs the first bytes"'
expect_json "$out" '.listeners == [{"address":"*","protocol":"tcp","port":443}]'
# apply names what to change, not what follows from it.
config http <<'CONFIG'
{"routes":[
 {"name":"api","match":{"ports":80,"path":"/v1/*"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"rest","match":{"ports":80},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
expect_exit 0 spctl plan "$T/http.json"
expect_match "$(row rest)" 'rest +proxy \(!\) +tcp/80 .*route "api" before it on tcp/80 needs the first bytes'
expect_match "$out" '2 of 2 rows cannot run'
expect_exit 1 spctl apply "$T/http.json" --dry-run
expect_match "$err" 'error: routes\[0\]\.match\.path: route "api" needs the proxy tier'
expect_no_match "$err" 'route "rest"'

# Some ports of a route are user space's, the others the kernel's.
expect_exit 0 spctl plan "$T/mixed.json"
expect_match "$(row api)" 'relay .* \[fd00::1\]:443 '
expect_match "$(row rest)" 'rest +relay '
expect_match "$(row wide)" 'wide +nftables '
expect_match "$(row alone)" 'nftables  '
expect_match "$out" $'\nuser space\'s part of wide: tcp/8443: route "api" before it needs the first bytes\n'
expect_match "$out" $'\nthe service listens on tcp/443, tcp/8443\n'
expect_exit 0 spctl plan "$T/mixed.json" --json
expect_json "$out" '[.routes[] | .tier] == ["relay", "relay", "nftables", "nftables"]'
expect_json "$out" '[.routes[] | .runs] == [true, true, true, true]'
expect_json "$out" '.routes[2].userSpace | length == 1 and .[0].route == "api" and .[0].ports == [{"from":8443,"to":8443}]'
expect_json "$out" '[.routes[] | has("userSpace")] == [false, false, true, false]'

# Disabled routes are shown.
expect_exit 0 spctl plan "$T/off.json"
expect_match "$(row old)" 'old +disabled +tcp/9000 +\[::1\]:80'
expect_exit 0 spctl plan "$T/off.json" --json
expect_json "$out" '.routes == [] and .disabled == ["old"]'
expect_exit 0 spctl plan "$T/one_off.json"
expect_eq "$(awk 'NR > 1 && NF == 0 { exit } NR > 1 { print $1, $2 }' <<<"$out" | head -n 2)" $'new nftables\nold disabled'
expect_exit 0 spctl plan "$T/one_off.json" --json
expect_json "$out" '[.routes[].name] == ["new"] and .disabled == ["old"]'
