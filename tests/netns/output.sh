#!/bin/bash
# Listings fit 100 columns whatever the names are; every --json answer is one object with its schema.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up

# 60 routes with long names of several scripts, many ports, many targets.
{
	echo '{"connectionTimeout":5000,"routes":['
	for ((i = 0; i < 60; i++)); do
		((i == 0)) || echo ,
		name="$(printf 'verkehrsüberwachung-日本語-%.0s' {1..4})$i"
		printf '{"name":"%s","description":"d","match":{"ports":[%d,%d,%d,"%d-%d"],"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3","10.20.0.4","fd20::2","fd20::3","fd20::4"],"port":7000}]}}' \
			"$name" $((10000 + i * 100)) $((10002 + i * 100)) $((10004 + i * 100)) $((10010 + i * 100)) $((10060 + i * 100))
	done
	echo ']}'
} >"$T/long.json"
config bad <<'CONFIG'
{"routes":[
 {"name":"r","match":{"ports":70000},"action":{"type":"forward","target_s":[]}}]}
CONFIG
config refused <<'CONFIG'
{"routes":[
 {"name":"r","match":{"ports":80,"domains":"a.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG

narrow() { # WHAT: $out in characters, not bytes
	local longest
	# Without continuation bytes every character is one byte.
	longest=$(tr -d '\200-\277' <<<"$out" | awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }')
	((longest <= 100)) || fail "$1: a line of $longest columns"
	iconv -f UTF-8 -t UTF-8 <<<"$out" >/dev/null || fail "$1: a character was cut in two"
}
one_object() { # WHAT
	expect_eq "$(jq -s 'length' <<<"$out")" 1 "$1: objects"
	expect_json "$out" '.schema == 1' "$1"
}
error_object() { # WHAT
	expect_json "$out" '.errors | length >= 1' "$1"
	expect_json "$out" '[.errors[] | has("file","line","col","path","message","hint")] | all' "$1"
	expect_json "$out" '[.errors[].message | length > 5] | all' "$1"
	expect_eq "$err" '' "$1: stderr"
}

apply long
for command in status history "explain --port 10000" "plan $T/long.json" help; do
	# shellcheck disable=SC2086 # words
	expect_exit 0 spctl $command
	# Around the tables of plan and explain are whole sentences.
	out=$(sed -e '/^change/,$d' -e '/^route: /,/^in this order/d' <<<"$out")
	((${#out} > 100)) || fail "$command: no table"
	narrow "$command"
done
expect_exit 0 spctl plan "$T/long.json"
expect_eq "$(grep -c 'nftables' <<<"$out")" 60 'rows of plan'
for command in apply confirm rollback history check plan status conns down explain schema help version; do
	expect_exit 0 spctl $command --help
	narrow "$command --help"
	expect_exit 0 spctl help "$command"
done

for command in status history conns "explain --port 10000" "plan $T/long.json" "check $T/long.json" "apply $T/long.json" \
	"apply $T/long.json --dry-run" "version" "check $T/bad.json $T/long.json"; do
	# shellcheck disable=SC2086 # words
	run spctl $command --json
	[[ $command == *bad* || $code == 0 ]] || fail "$command --json: exit $code"
	one_object "$command --json"
done
expect_exit 0 spctl schema
expect_json "$out" 'has("\u0024schema")'
expect_exit 0 spctl schema --json
expect_json "$out" 'type == "object"'

for command in "check $T/bad.json" "plan $T/bad.json" "apply $T/bad.json" "check $T/missing.json" "apply $T/missing.json" \
	"explain $T/bad.json --port 80" "explain --port none"; do
	# shellcheck disable=SC2086 # words
	expect_exit 2 spctl $command --json
	error_object "$command --json"
done
expect_exit 2 spctl check "$T/bad.json" --json
expect_json "$out" '.errors[0] | .line == 2 and .col > 1 and .path == "routes[0].match.ports"'
expect_json "$out" '[.errors[].file | endswith("bad.json")] | all'
expect_exit 1 spctl apply "$T/refused.json" --json
error_object 'apply of a route that this version cannot run'
expect_json "$out" '.errors[0].line == 2'

expect_exit 0 spctl down --json
one_object 'down --json'
for command in status conns down; do
	expect_exit 0 spctl $command --json
	one_object "$command --json with nothing applied"
done

# Words that are not UTF-8: still one object, with the error in it.
bad=$'\xff'
expect_exit 2 spctl check --json "$T/no-such-$bad.json"
expect_json "$out" '.schema == 1 and (.errors | length) == 1'
expect_exit 2 spctl apply --json "--no-such-$bad"
expect_json "$out" '.schema == 1 and (.errors | length) == 1'

# Output that cannot be written: what was done is done, so that is no failure; else it is one.
mute() { lab_in gw "$SPCTL" "$@" 2>"$T/mute" >/dev/full; }
sed 's/"port":7000/"port":7001/' "$T/long.json" >"$T/other.json"
expect_exit 0 spctl down
for command in "apply $T/long.json" "apply $T/other.json --confirm 600 --json" confirm "rollback --json" "apply --boot" down; do
	code=0
	# shellcheck disable=SC2086 # words
	mute $command || code=$?
	expect_match "$code $(cat "$T/mute")" '^0 .*it is done; cannot write the output' "$command"
done
apply long
for command in "apply $T/long.json --dry-run" status history; do
	code=0
	# shellcheck disable=SC2086 # words
	mute $command || code=$?
	expect_match "$code $(cat "$T/mute")" '^1 .*cannot write the output' "$command"
	expect_no_match "$(cat "$T/mute")" 'it is done' "$command"
done
expect_exit 0 spctl down
