#!/bin/bash
# A UDP flow that is older than the route which now covers its port must not go past it for ever.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -u '*:7000'
serve gw LOCAL -u '*:9000' -u '*:9001'
# Without a user of conntrack there would be no entry.
gw nft 'add table inet other; add chain inet other c { type filter hook prerouting priority 0; }; add rule inet other c ct state new counter'
hold old cl udp 10.10.0.1:9000
expect_hold old 'LOCAL|10.10.0.2|a' a
hold other cl udp 10.10.0.1:9001
expect_hold other 'LOCAL|10.10.0.2|a' a
apply_config <<'EOF'
{"routes":[{"name":"udp","match":{"ports":9000,"transport":"udp"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
arrives() { hold_say old b && [[ $answer == 'A|10.20.0.1|b' ]]; }
EVENTUALLY=5 eventually arrives
expect_hold other 'LOCAL|10.10.0.2|c' c
hold_close old
hold_close other
