#!/bin/bash
# The servers that the relay's tests stand on behave as badly as they say, with nothing between.
. "${0%/*}/lib.sh"
. "${0%/*}/relay_lib.bash"
lab_up --routes
tls_certs A B

tls_serve a A 10.20.0.2:4001
tls_serve b B 10.20.0.3:4001
expect_cn A one.example.test 10.20.0.2:4001
expect_cn B one.example.test 10.20.0.3:4001
expect_cn A - 10.20.0.2:4001
expect_eq "$(tls_say one.example.test 10.20.0.3:4001 hello)" olleh
expect_cn refused one.example.test 10.20.0.2:4002

# One that knows one name only says so, with the alert of RFC 6066.
tls_serve a A 10.20.0.2:4003 -servername one.example.test -servername_fatal -cert2 "$T/A.pem" -key2 "$T/A.key"
expect_cn A one.example.test 10.20.0.2:4003
expect_cn 'alert 112' two.example.test 10.20.0.2:4003

backend answers a A 10.20.0.2:7001
expect_answer 'A|10.10.0.2|hi' tcp 10.20.0.2:7001
expect_cn closed one.example.test 10.20.0.2:7001

backend greets a G 10.20.0.2:7002
expect_answer 'G ready' tcp 10.20.0.2:7002 --silent
expect_answer $'G ready\nG|10.10.0.2|hi' tcp 10.20.0.2:7002 --lines 2

backend refuses a R 10.20.0.2:7003
expect_answer refused tcp 10.20.0.2:7003

backend mute a M 10.20.0.2:7004
expect_answer timeout tcp 10.20.0.2:7004 -w 500
lab_start cl "$T/bulk" "$LAB_TOOLS/probe" tcp 10.20.0.2:7004 --bulk 3000000
wait "$lab_pid" || :
expect_match "$(cat "$T/bulk")" '^sent 3000000 received 0 ' 'all of it is taken, without a word'

backend deaf a D 10.20.0.2:7005
lab_start cl "$T/deaf" "$LAB_TOOLS/hold" stall 10.20.0.2:7005 -d 1
lab_start cl "$T/pushed" "$LAB_TOOLS/probe" tcp 10.20.0.2:7005 -w 20000
unread() { [[ $(held_bytes a 7005) == 4 ]]; } # "hi\n" of probe, 'z' of hold
eventually unread

backend resets a X 10.20.0.2:7006
expect_answer reset tcp 10.20.0.2:7006
backend resets a Y 10.20.0.2:7007 10
hold ten cl tcp 10.20.0.2:7007
hold_say ten 123456789
expect_eq "$answer" reset
expect_cn reset one.example.test 10.20.0.2:7007

backend pours a P 10.20.0.2:7008 4096
lab_start cl "$T/poured" "$LAB_TOOLS/probe" tcp 10.20.0.2:7008 --drain
wait "$lab_pid" || :
expect_eq "$(tail -n 1 "$T/poured")" reset

backend answers a L 10.20.0.2:7009
backend lost a L 10.20.0.2:7009
expect_answer timeout tcp 10.20.0.2:7009 -w 500
backend_found a 7009
expect_answer 'L|10.10.0.2|hi' tcp 10.20.0.2:7009
