#!/bin/bash
# A28 in the relay: a server that greets before the client has said anything. Pitfalls 25 and 26.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000' --greet '220 mail.lab ready'

config mail <<'E'
{"routes":[{"name":"tcp","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}}]}
E
apply mail
greeting=$'220 mail.lab ready\nA|10.20.0.1|HELO'
expect_answer '220 mail.lab ready' tcp 10.10.0.1:9000 --silent
expect_answer "$greeting" tcp 10.10.0.1:9000 -m HELO --lines 2

# On a port where another route needs bytes, the silent client gets the one that needs none, after serverFirstAfter.
jq '.routes += [{"name":"sni","match":{"ports":9000,"domains":"*.example.test"},"action":{"type":"forward",
	"targets":[{"host":"10.20.0.3","port":443}],"tls":{"mode":"passthrough"}}}]' "$T/mail.json" | config both
apply both
expect_answer '220 mail.lab ready' tcp 10.10.0.1:9000 --silent -w $((5000 * STRETCH))
# One that speaks at once, and is no TLS, is not made to wait; its bytes are not lost.
expect_answer "$greeting" tcp 10.10.0.1:9000 -m HELO --lines 2
# Never, if so configured: then it is the initial time-out that ends it.
jq '. + {initialDataTimeout: 1500, serverFirstAfter: 0}' "$T/both.json" | config never
apply never
expect_match "$(probe tcp 10.10.0.1:9000 --silent -w $((5000 * STRETCH)))" '^(reset|closed)$'
expect_eq "$(refusals initial_timeout)" 1
expect_idle
expect_exit 0 spctl down
