#!/bin/bash
# A program on this host whose port a route takes is named, once, unless nobody outside reached it.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
gw ip addr add 198.51.100.1/32 dev lan
serve gw W -t '*:9000'
serve gw L -t '127.0.0.1:9001'
serve gw M -t '127.0.0.1:9002'
serve gw N -t '198.51.100.1:9002'
serve gw O -t '10.30.0.1:9003'

config routes <<'CONFIG'
{"routes":[
 {"name":"wild","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":7000}]}},
 {"name":"loop","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"both","match":{"ports":9002},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"other","match":{"ports":9003,"address":"10.10.0.1"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"udp","match":{"ports":9000,"transport":"udp"},"priority":1,"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
CONFIG
apply routes
told() { grep -c "tcp/$1 will no longer be reachable from other hosts" <<<"$err" || :; }
expect_match "$err" 'echod\[[0-9]+\] on tcp/9000 will no longer be reachable from other hosts: route "wild" takes its connections'
expect_eq "$(told 9000)" 1 'warnings about 9000'
expect_eq "$(told 9001)" 0 'warnings about 9001, which only this host reached'
expect_eq "$(told 9002)" 1 'warnings about 9002, which listens at 127.0.0.1 as well'
expect_eq "$(told 9003)" 0 'warnings about 9003, which the route leaves alone'
expect_no_match "$err" 'udp/9000 will'
expect_exit 0 spctl down
