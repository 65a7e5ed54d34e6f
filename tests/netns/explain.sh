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
