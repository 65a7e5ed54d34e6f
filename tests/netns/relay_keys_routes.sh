#!/bin/bash
# Which route, which target, who may come: each key of a relay route changes where a client ends up.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
. "${0%/*}/plane_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_connlimit nft_limit
need_tool python3
lab_up
serve a A -t '*:7000' -t '*:9000' -t '*:9100'
serve b B -t '*:7000' -t '*:9000'
tls_certs a b
tls_serve a a 10.20.0.2:7443
tls_serve b b 10.20.0.3:7443
# A server at a path: answers with what it got.
lab_start gw "$T/unix.log" python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX); s.bind("/run/keys.sock"); os.chmod("/run/keys.sock", 0o666); s.listen(9); print("ready", flush=True)
while True:
    c, _ = s.accept(); c.sendall(b"U|" + c.recv(100)); c.close()'
eventually grep -q ready "$T/unix.log"

config base <<'EOF'
{"maxConnectionsPerIP":0,"connectionRateLimitPerMinute":0,"routes":[
 {"name":"one","match":{"ports":9000},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000},{"host":"10.20.0.3","port":7000}]}},
 {"name":"two","match":{"ports":9000,"clientIp":"10.10.0.9"},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.3","port":7000}]}}]}
EOF
with() { # FILTER
	jq "$1" "$T/base.json" | config now
	apply now
}
tally() { probe tcp 10.10.0.1:9000 -n 10 --tally "$@"; }
only='.routes[1].enabled = false | '
first() { with "$only .routes[0].action.targets[0] += $1"; }

# ---- the match ----
with .
expect_answer 'B 4' tcp 10.10.0.1:9000 -s 10.10.0.9 -n 4 --tally
expect_eq "$(tally)" $'A 5\nB 5'
with '.routes[0].priority = 5 | .routes[0].action.targets |= .[:1]'
expect_answer 'A 4' tcp 10.10.0.1:9000 -s 10.10.0.9 -n 4 --tally
with '.routes[1].enabled = false | .routes[0].action.targets |= .[:1]'
expect_answer 'A 4' tcp 10.10.0.1:9000 -s 10.10.0.9 -n 4 --tally
with "$only"' .routes[0].match.address = "10.30.0.1"'
expect_refused tcp 10.10.0.1:9000
expect_match "$(probe tcp 10.30.0.1:9000)" '^[AB]\|'
tls='.routes[].action.tls.mode = "passthrough" | .routes[].action.targets[].port = 7443 | del(.routes[1].match.clientIp)
	| .routes[0].action.targets |= .[:1] |'
with "$tls"' .routes[0].match.domains = "a.test" | .routes[1].match.domains = "b.test"'
expect_cn a a.test 10.10.0.1:9000
expect_cn b b.test 10.10.0.1:9000
expect_cn 'alert 112' c.test 10.10.0.1:9000
with "$tls"' .routes[0].match.tlsVersion = "TLSv1.2" | .routes[1].match.tlsVersion = "TLSv1.3"'
expect_cn a a.test 10.10.0.1:9000 -tls1_2
expect_cn b a.test 10.10.0.1:9000 -tls1_3
with "$only"' .routes[0].match.clientIp = "10.10.0.9" | .defaults = {target: {host: "10.20.0.3", port: 7000},
	security: {ipBlockList: ["10.10.0.3"]}}'
expect_answer 'B|10.20.0.1|hi' tcp 10.10.0.1:9000
expect_refused tcp 10.10.0.1:9000 -s 10.10.0.3
# forwardingEngine: the same route, and nobody listens.
expect_eq "$(gw ss -Htln 'sport = :9000' | wc -l)" "$(plane_process .workers)"
with "$only"' .routes[0].action.forwardingEngine = "nftables"'
eventually expect_eq "$(gw ss -Htln 'sport = :9000' | wc -l)" 0
expect_eq "$(tally)" $'A 5\nB 5'

# ---- the targets ----
first '{weight: 4}'
expect_eq "$(tally)" $'A 8\nB 2'
first '{weight: 0}'
expect_eq "$(tally)" 'B 10'
first '{backup: true}'
expect_eq "$(tally)" 'B 10'
first '{priority: 5}'
expect_eq "$(tally)" 'A 10'
first '{match: {ports: 8000}}'
expect_eq "$(tally)" 'B 10'
first '{port: "preserve", priority: 5}'
expect_eq "$(tally)" 'A 10'
eventually plane_is_idle
expect_match "$(gw conntrack -L -p tcp -d 10.20.0.2 2>/dev/null)" 'dport=9000'
first '{port: "+100", priority: 5}'
expect_eq "$(tally)" 'A 10'
expect_match "$(gw conntrack -L -p tcp -d 10.20.0.2 2>/dev/null)" 'dport=9100'
with "$only"' .routes[0].action.targets = [{host: "unix:/run/keys.sock"}]'
expect_answer 'U|hi' tcp 10.10.0.1:9000

# ---- algorithms ----
with "$only"' .routes[0].action.loadBalancing.algorithm = "ip-hash"'
expect_match "$(tally)" '^[AB] 10$'
with "$only"' .routes[0].action.loadBalancing.algorithm = "consistent-hash"'
expect_match "$(tally)" '^[AB] 10$'
with "$only"' .routes[0].action.loadBalancing.algorithm = "least-connections"'
hold busy cl tcp 10.10.0.1:9000
hold_say busy who
one_left() { [[ $(plane_process .connections) == 1 ]]; }
for i in 1 2 3 4; do
	eventually one_left
	expect_match "$(probe tcp 10.10.0.1:9000)" "^[^${answer:0:1}]\|"
done
hold_close busy
with "$only"' .routes[0].action.loadBalancing.algorithm = "random" | .maxConnectionsPerIP = 0'
tally=$(probe tcp 10.10.0.1:9000 -n 200 --tally)
expect_match "$tally" '^A [0-9]+.B [0-9]+$'

# ---- health checks ----
with "$only"' .routes[0].action.targets[0].port = 7999 |
	.routes[0].action.loadBalancing.healthCheck = {interval: 1000, timeout: 500, unhealthyThreshold: 1}'
is_down() { [[ $(plane_routes '.[0].targets[0].down') == true ]]; }
eventually is_down
eventually expect_eq "$(tally)" 'B 10'

# ---- security ----
with "$only"' .routes[0].security = {ipAllowList: ["10.10.0.0/24"], ipBlockList: ["10.10.0.3"]}'
expect_match "$(probe tcp 10.10.0.1:9000)" '^[AB]\|'
expect_refused tcp 10.10.0.1:9000 -s 10.10.0.3
expect_refused_in c2 tcp 10.30.0.1:9000
expect_eq "$(refusals route_ip_blocked)" 3
limited() { # SECURITY REASON SOURCE: the second at once is refused, of that client or of all
	local before
	before=$(refusals "$2")
	with "$only .routes[0].security = $1"
	hold only cl tcp 10.10.0.1:9000 -s 10.10.0.9
	expect_refused tcp 10.10.0.1:9000 -s "$3"
	expect_eq "$(refusals "$2")" $((before + 1)) "$1"
	hold_close only
	eventually plane_is_idle
}
limited '{maxConnections: 1}' route_limit 10.10.0.3
limited '{maxConnectionsPerIP: 1}' ip_limit 10.10.0.9
expect_match "$(probe tcp 10.10.0.1:9000 -s 10.10.0.3)" '^[AB]\|'
limited '{connectionRate: 1}' rate_limit 10.10.0.9

# ---- the PROXY protocol ----
announces='^A\|10.20.0.1\|PROXY TCP4 10.10.0.2 10.10.0.1'
to_a='.routes[0].action.targets |= .[:1] |'
for key in '.sendProxyProtocol = true' '.sendProxyProtocol = 1' '.routes[0].action.sendProxyProtocol = true' \
	'.routes[0].action.targets[0].sendProxyProtocol = 1'; do
	with "$only $to_a $key"
	expect_match "$(probe tcp 10.10.0.1:9000)" "$announces" "$key"
done
with "$only $to_a .sendProxyProtocol = true | .routes[0].action.sendProxyProtocol = false"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
with "$only $to_a .sendProxyProtocol = true | .routes[0].action.targets[0].sendProxyProtocol = false"
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
header='PROXY TCP4 192.0.2.7 192.0.2.8 7 8'
with "$only $to_a"' .proxyIPs = ["10.10.0.2"]'
expect_match "$(probe tcp 10.10.0.1:9000 -m "$header"$'\r\nhi')" '^A\|10.20.0.1\|hi$'
with "$only $to_a"' .proxyIPs = ["10.10.0.2"] | .routes[0].action.acceptProxyProtocol = false'
expect_match "$(probe tcp 10.10.0.1:9000 -m "$header"$'\r\nhi' | tr -d '\r')" "^A\|10.20.0.1\|$header"
expect_exit 0 spctl down
