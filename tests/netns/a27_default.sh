#!/bin/bash
# A27: a default target, and clients that match nothing.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
tls_certs A B
tls_serve a A 10.20.0.2:443
tls_serve b B 10.20.0.3:443
config only <<'E'
{"defaults":{"target":{"host":"10.20.0.2","port":443},"security":{"ipAllowList":["10.10.0.2"]}},"routes":[{"name":"only","match":{"ports":8448,"domains":"known.example.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":443}],"tls":{"mode":"passthrough"}}}]}
E
apply only
HELLO=$LAB_TOOLS/hello
# answer SOURCE SNI: "bytes 16" is a server's hello.
answer() { lab_in cl "$HELLO" 10.10.0.1:8448 --source "$1" --sni "$2" | cut -c1-8 || :; }
expect_cn B known.example.test 10.10.0.1:8448
expect_cn A other.example.test 10.10.0.1:8448
expect_cn A - 10.10.0.1:8448
# defaults.security is that of each route without one of its own, so elsewhere nobody is served.
expect_match "$(answer 10.10.0.3 other.example.test)" '^(reset|closed|alert )'
expect_eq "$(answer 10.10.0.2 other.example.test)" 'bytes 16'
expect_eq "$(refusals route_ip_blocked)" 1

# Without defaults nobody who asks for something else is served.
jq 'del(.defaults)' "$T/only.json" | config alone
apply alone
expect_cn B known.example.test 10.10.0.1:8448
expect_cn 'alert 112' other.example.test 10.10.0.1:8448
expect_eq "$(answer 10.10.0.3 other.example.test)" 'alert 11'
expect_eq "$(answer 10.10.0.3 known.example.test)" 'bytes 16'
# What is no TLS at all gets nothing but the end.
expect_match "$(probe tcp 10.10.0.1:8448)" '^(reset|closed)$'
expect_idle
expect_exit 0 spctl down
