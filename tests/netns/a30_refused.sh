#!/bin/bash
# A30: what the kernel tier cannot do is refused with every place named, and nothing is changed.
. "${0%/*}/lib.sh"
lab_up

config bad <<'EOF'
{"routes":[{"name":"bad","match":{"ports":9800,"domains":"x.test"},"action":{"type":"forward","forwardingEngine":"nftables","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}],"tls":{"mode":"terminate","certificate":"auto"}},"security":{"allowedIps":["10.0.0.0/8"],"authentication":{"type":"basic","credentials":[{"username":"u","password":"p"}]}}}]}
EOF
before=$(sysctls)
for command in check apply; do
	expect_exit 2 spctl "$command" "$T/bad.json"
	expect_match "$err" 'bad\.json:1:[0-9]+: error: '
	expect_match "$err" 'routes\[0\]\.match\.domains'
	expect_match "$err" 'tls'
	expect_match "$err" 'forwardingEngine|nftables'
	expect_match "$err" 'mail' 'certificate "auto" without an e-mail address'
	expect_match "$err" 'warning: .*allowedIps'
done
expect_exit 2 spctl check "$T/bad.json" --json
expect_json "$out" '.schema == 1 and (.errors | length) >= 3'
expect_json "$out" '[.errors[] | .line == 1 and .col > 0 and (.message | length) > 0] | all'
expect_no_table
expect_eq "$(sysctls)" "$before" sysctls

# A route that needs a tier which this version does not have is no success either.
config proxy <<'EOF'
{"routes":[{"name":"web","match":{"ports":8080,"path":"/x"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":80}]}}]}
EOF
run spctl apply "$T/proxy.json"
[[ $code == 1 || $code == 2 ]] || fail "expected exit 1 or 2, got $code"
expect_match "$err" 'proxy'
expect_no_table

# What others on its ports take from the kernel cannot be kept.
config moved <<'EOF'
{"routes":[
 {"name":"sni","match":{"ports":8443,"domains":"a.test"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":443}],"tls":{"mode":"passthrough"}}},
 {"name":"rest","match":{"ports":8443},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":443}],"nftables":{"maxRate":"10mbps","preserveSourceIP":true}}}]}
EOF
for command in check plan apply; do
	expect_exit 2 spctl "$command" "$T/moved.json"
	expect_match "$err" 'moved\.json:3:.*routes\[1\]\.action\.nftables\.maxRate: exists in the kernel tier only, but .*route "sni" before it on tcp/8443 needs the first bytes'
	expect_match "$err" 'routes\[1\]\.action\.nftables\.preserveSourceIP: exists in the kernel tier only'
	expect_match "$err" 'hint: sendProxyProtocol'
done
expect_no_table
