#!/bin/bash
# A8: passthrough without SNI.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
tls_certs A B C
tls_serve a A 10.20.0.2:443
tls_serve b B 10.20.0.3:443
tls_serve a C 10.20.0.2:444

config two <<'E'
{"routes":[
 {"name":"wild","match":{"ports":8443,"domains":"*.example.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":443}],"tls":{"mode":"passthrough"}}},
 {"name":"exact","priority":10,"match":{"ports":8443,"domains":["api.example.test"]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":443}],"tls":{"mode":"passthrough"}}}]}
E
apply two
for version in tls1_2 tls1_3; do
	expect_cn 'alert 112' - 10.10.0.1:8443 -$version
done
expect_eq "$(lab_in cl "$LAB_TOOLS/hello" 10.10.0.1:8443 --segment 1 || :)" 'alert 112'
expect_eq "$(refusals no_route)" 3
expect_eq "$(plane_routes 'map(.total) | add')" 0 'no target was asked'
expect_idle

# A third route without domains has it, and only it.
jq '.routes += [{"name":"any","match":{"ports":8443},"action":{"type":"forward",
	"targets":[{"host":"10.20.0.2","port":444}],"tls":{"mode":"passthrough"}}}]' "$T/two.json" | config three
apply three
expect_cn C - 10.10.0.1:8443
expect_cn C example.test 10.10.0.1:8443
expect_cn B api.example.test 10.10.0.1:8443
expect_cn A www.example.test 10.10.0.1:8443
expect_match "$(lab_in cl "$LAB_TOOLS/hello" 10.10.0.1:8443 --segment 1)" '^bytes 16'
expect_exit 0 spctl down
