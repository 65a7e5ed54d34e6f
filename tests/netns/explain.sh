#!/bin/bash
# explain: which route takes a connection, and why not the others - as the kernel then does.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' -u '*:7000'
serve b B -t '*:7000' -u '*:7000'

config routes <<'CONFIG'
{"routes":[
 {"name":"rest","match":{"ports":9000,"transport":"all"},"action":{"type":"forward","targets":[{"host":["10.20.0.3"],"port":7000}]}},
 {"name":"few","match":{"ports":9000,"clientIp":["10.10.0.9","10.30.0.0/24"]},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"at","priority":5,"match":{"ports":"9100-9200","address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":"preserve"}]}}]}
CONFIG
config names <<'CONFIG'
{"routes":[
 {"name":"api","match":{"ports":80,"domains":"api.test","path":"/v1/*"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"web","match":{"ports":80,"domains":"*.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"else","match":{"ports":80},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
config few <<'CONFIG'
{"routes":[
 {"name":"only","match":{"ports":1100,"clientIp":"127.0.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"sni","match":{"ports":[1200,1201],"domains":"a.test","clientIp":"10.10.0.0/24"},
  "action":{"type":"forward","tls":{"mode":"passthrough"},"targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"behind","match":{"ports":"1200-1202"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
CONFIG
# winner ARG...: the name of the route, or "none"
winner() {
	run spctl explain "$@" --json
	[[ $code == 0 ]] || fail "explain $*: exit $code"
	expect_json "$out" '.schema == 1'
	jq -r '.winner.route // "none"' <<<"$out"
}

expect_exit 1 spctl explain --port 9000
expect_match "$err" 'nothing was ever applied'
expect_match "$err" 'spctl explain FILE --port 9000'
apply routes
for file in '' "$T/routes.json"; do
	f=${file:+"$file"}
	# shellcheck disable=SC2086 # none or one word
	{
		expect_eq "$(winner $f --port 9000 --client 10.10.0.2)" rest
		expect_eq "$(winner $f --port 9000 --client 10.10.0.9)" few
		expect_eq "$(winner $f --port 9000 --client 10.30.0.2)" few
		expect_eq "$(winner $f --port 9000 --client 10.10.0.9 --proto udp)" rest
		expect_eq "$(winner $f --port 9150 --address 10.10.0.1)" at
		expect_eq "$(winner $f --port 9150 --address 10.20.0.1)" none
		expect_eq "$(winner $f --port 9001)" none
	}
done
# The kernel agrees.
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000 -s 10.10.0.9
expect_answer_in c2 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_answer 'B|10.20.0.1|hi' udp 10.10.0.1:9000 -s 10.10.0.9

# Text: the winner, the tier and why, the order, the port at the target.
expect_exit 0 spctl explain --port 9000 --client 10.10.0.9
expect_match "$out" '^route:   few \(priority 0, line 3\)'
expect_match "$out" $'\ntier:    nftables: decided by port, protocol and client address alone'
expect_match "$out" $'\nport:    7000 at the target'
expect_match "$out" $'\n1 +few +nftables +WINS +matches\n2 +rest +nftables +no +ranks behind the winner'
expect_exit 0 spctl explain --port 9000 --client 10.10.0.2
expect_match "$out" $'\n1 +few +nftables +no +the client is not in clientIp'
expect_exit 0 spctl explain --port 9160 --address 10.10.0.1
expect_match "$out" 'port:    9160 at the target'
expect_exit 0 spctl explain --port 9999
expect_match "$out" 'no route listens on tcp/9999'
# What is not known leaves it open.
expect_exit 0 spctl explain --port 9000
expect_match "$out" '1 +few +nftables +maybe +depends on the client'

# User space: the name and the path decide.
expect_eq "$(winner "$T/names.json" --port 80 --host api.test --path /v1/x)" api
expect_eq "$(winner "$T/names.json" --port 80 --host api.test --path /v2)" web
expect_eq "$(winner "$T/names.json" --port 80 --host other.example --path /)" else
expect_exit 0 spctl explain "$T/names.json" --port 80 --host api.test --path /v1/x
expect_match "$out" 'tier:    proxy: HTTP'
expect_match "$out" 'not in this version'

# All say no, or what they say depends on something.
expect_exit 0 spctl explain "$T/few.json" --port 1100 --client 10.30.0.2 --address 10.10.0.1
expect_match "$out" $'^no route takes it\n'
expect_match "$out" '1 +only +nftables +no +the client is not in clientIp'
expect_exit 0 spctl explain "$T/few.json" --port 1100
expect_match "$out" $'^no route takes it for sure: depends on the client \\(--client\\)\n'
expect_exit 0 spctl explain "$T/few.json" --port 1100 --client 127.0.0.1 --address 127.0.0.1
expect_match "$out" '^route:   only '

# A route that the kernel could serve, behind one that needs the first bytes: the tier is that of the cell.
expect_exit 0 spctl explain "$T/few.json" --port 1202
expect_match "$out" $'\ntier:    nftables: decided by'
expect_no_match "$out" 'not in this version'
for question in '--client 10.10.0.2' '--client 10.10.0.2 --sni b.test' '--client 10.10.0.2 --address 10.10.0.1'; do
	# shellcheck disable=SC2086 # words
	expect_exit 0 spctl explain "$T/few.json" --port 1201 $question
	expect_match "$out" '^route:   behind '
	expect_match "$out" $'\ntier:    relay: route "sni" before it on tcp/1200-1201 needs the first bytes\n'
	expect_match "$out" '2 +behind +relay +WINS'
	# shellcheck disable=SC2086 # words
	expect_exit 0 spctl explain "$T/few.json" --port 1201 $question --json
	expect_json "$out" '.winner | .route == "behind" and .tier == "relay" and .runs'
	expect_json "$out" '.routes[1].tier == "relay"'
done
expect_exit 0 spctl explain "$T/few.json" --port 1201 --client 10.30.0.2 --json
expect_json "$out" '.winner | .route == "behind" and .tier == "nftables" and .runs'
expect_exit 0 spctl explain "$T/few.json" --port 1201
expect_match "$out" 'unless one before it takes it: depends on the client'
expect_match "$out" $'\ntier:    nftables: .*; for some clients not: route "sni" before it'
expect_exit 0 spctl explain "$T/names.json" --port 80 --host other.example --path /
expect_match "$out" $'\ntier:    proxy: route "api" before it on tcp/80 needs the first bytes'
expect_exit 0 spctl explain "$ROOT/examples/sni.yaml" --port 443
expect_match "$out" $'^route:   nameless .*\ntier:    relay: route "api" before it on tcp/443 needs the first bytes'
expect_match "$out" 'unless one before it takes it: depends on the name .*; the TLS hello decides'
expect_eq "$(winner "$ROOT/examples/sni.yaml" --port 443 --sni api.example.test)" api

# Questions that are none.
for bad in '' '--port 0' '--port 65536' '--port x' '--port 80 --proto sctp' '--port 80 --client 10.0.0.256' \
	'--port 80 --address nowhere' '--port 80 --address 10.10.0.1 --client fd00::1'; do
	# shellcheck disable=SC2086 # words
	expect_exit 2 spctl explain "$T/routes.json" $bad
	# shellcheck disable=SC2086 # words
	expect_exit 2 spctl explain "$T/routes.json" $bad --json
	expect_json "$out" '.errors | length == 1'
done
expect_exit 0 spctl down

# What the help says is what happens.
expect_exit 0 spctl explain --help
expect_match "$out" 'Without FILE: the routes that are live'
