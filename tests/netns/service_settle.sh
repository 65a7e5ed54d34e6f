#!/bin/bash
# A command that went after "prepared", and a kernel that cannot be asked which generation it has: that is said
# once, asked less and less often, and settled by the first answer.
. "${0%/*}/lib.sh"
. "${0%/*}/service_lib.bash"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

echo 0 >"$T/fails"
LD_PRELOAD=$O/tests/preload/netlinkfail.so NETLINKFAIL=$T/fails service_start
{
	prepare 1 8000 10.20.0.2:7000
	eventually test -e "$T/go"
} | timeout $((30 * STRETCH)) "$ASK" "$RUN/control.sock" >"$T/ask" &
asks=$!
eventually grep -q '"prepared"' "$T/ask"
echo 3 >"$T/fails"
touch "$T/go"
wait "$asks"
eventually grep -q 'generation 1 is dropped' "$T/service.log"
expect_eq "$(cat "$T/fails")" 0 'failures left'
expect_eq "$(grep -c 'cannot ask the kernel' "$T/service.log")" 1 'complaints'
eventually expect_no_listener 8000
service_apply 1 8000 10.20.0.2:7000
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:8000
