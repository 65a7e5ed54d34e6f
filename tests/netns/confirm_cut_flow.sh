#!/bin/bash
# apply --kill --confirm over a connection through a route that the new file does not have: the very
# connection is reset, nobody is left to confirm, and the old routes come back.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq nft_redir
lab_up
serve a A -t '*:7000'
serve b B -t '*:7000'
lab_start gw "$T/shelld.log" "$LAB_TOOLS/shelld" 2222
eventually grep -qx ready "$T/shelld.log"
config old <<'C'
{"routes":[
 {"name":"ssh","match":{"ports":9022},"action":{"type":"forward","targets":[{"host":"127.0.0.1","port":2222}]}},
 {"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
C
config new <<'C'
{"routes":[{"name":"web","match":{"ports":[9000,9022]},"action":{"type":"forward","targets":[{"host":"10.20.0.3","port":7000}]}}]}
C
apply old
cat >"$T/script" <<END
'$SPCTL' apply '$T/new.json' --kill --confirm $((3 * STRETCH))
echo done >'$T/done'
exec sleep 1000
END
echo "bash '$T/script'" >"$T/typed"
# shellcheck disable=SC2016 # the inner shell's
run cl bash -c 'exec 3<>/dev/tcp/10.10.0.1/9022 || exit 9
	cat "$1" >&3
	while IFS= read -r -t 8 line <&3; do :; done
	exit 7' session "$T/typed"
expect_eq "$code" 7 'the session'
expect_match "$(probe tcp 10.10.0.1:9022)" '^B'
back() { [[ $(probe tcp 10.10.0.1:9000) == A* ]]; }
EVENTUALLY=15 eventually back
expect_exit 0 spctl status
expect_exit 0 spctl history
expect_match "$out" 'taken back'
