#!/bin/bash
# A program on this host whose port a route takes is named, once, unless nobody outside reached it.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
args=()
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

# Several processes on one port, with one socket (fork) or one each (SO_REUSEPORT): one warning that says
# how many. A process in mount and user namespaces of its own is named as well. A route's own target is not.
need_tool perl
# shellcheck disable=SC2016 # perl's variables
perl_listen='use Socket; socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, 15, 1) if $ARGV[1];
	bind(S, sockaddr_in($ARGV[0], INADDR_ANY)) && listen(S, 5) || die $!; fork if !$ARGV[1]; sleep 600'
lab_start gw "$T/perl.log" perl -e "$perl_listen" 9100 0
for _ in 1 2 3; do
	lab_start gw "$T/perl.log" perl -e "$perl_listen" 9101 1
done
# In a chroot the kernel makes no user namespaces: then a mount namespace alone.
own=(--user --map-root-user --mount)
unshare "${own[@]}" true 2>/dev/null || own=(--mount)
lab_start gw "$T/perl.log" unshare "${own[@]}" perl -e "$perl_listen" 9102 0
serve gw R -t '*:9103'
for port in {9200..9211}; do
	args+=(-t "*:$port")
done
serve gw M "${args[@]}"
listeners() { (($(gw ss -Htln 'sport >= :9100 and sport <= :9103' | wc -l) >= 6)) && (($(pgrep -fc "$perl_listen") >= 7)); }
eventually listeners
config many <<'CONFIG'
{"routes":[
 {"name":"r","match":{"ports":"9100-9211"},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"self","priority":9,"match":{"ports":9103},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":9103}]}}]}
CONFIG
apply many
expect_match "$err" 'perl\[[0-9]+\] and 1 more process on tcp/9100 will no longer'
expect_match "$err" 'perl\[[0-9]+\] and 2 more processes on tcp/9101 will no longer'
expect_match "$err" 'perl\[[0-9]+\] and 1 more process on tcp/9102 will no longer'
expect_no_match "$err" 'tcp/9103'
for port in 9100 9101 9102 {9200..9211}; do
	expect_eq "$(told "$port")" 1 "warnings about $port"
done
# The pid is the right one.
pid=$(sed -nE 's/.*perl\[([0-9]+)\] and 2 more.*/\1/p' <<<"$err")
expect_match "$(gw ss -Htlnp 'sport = :9101')" "pid=$pid,"
expect_exit 0 spctl down
