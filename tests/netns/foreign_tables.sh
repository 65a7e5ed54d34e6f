#!/bin/bash
# Other people's tables are the same, byte for byte and handle for handle, whatever we do.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
gw nft -f - <<'EOF'
table inet filter {
	set admins {
		type ipv4_addr
		elements = { 192.0.2.10, 192.0.2.11 }
	}
	chain input {
		type filter hook input priority 0; policy accept;
		ip saddr @admins counter accept comment "admins"
		tcp dport 2 drop
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		ct state established accept
	}
}
table ip nat {
	map m {
		type inet_service : ipv4_addr . inet_service
		elements = { 8088 : 10.20.0.2 . 7000 }
	}
	chain pre {
		type nat hook prerouting priority -100; policy accept;
		dnat to tcp dport map @m
	}
	chain post {
		type nat hook postrouting priority 100; policy accept;
		ip daddr 198.51.100.7 masquerade
	}
}
table ip6 six {
	chain c { type filter hook input priority 5; policy accept; }
}
EOF
before=$(foreign_rules)
expect_match "$before" 'admins'

for ports in 9000 '[9000,9001]' 9001 9001; do
	apply_config <<-EOF
		{"routes":[{"name":"tcp","match":{"ports":$ports},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
	EOF
	expect_table
	expect_eq "$(foreign_rules)" "$before" "after ports $ports"
done
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
expect_eq "$(foreign_rules)" "$before" 'after traffic'
expect_exit 0 spctl status
expect_exit 0 spctl down
expect_no_table
expect_eq "$(foreign_rules)" "$before" 'after down'
