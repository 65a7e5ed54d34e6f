#!/bin/bash
# The access log: one line for each connection, where and as the file says, from the next apply on. And the level and
# form of the service's own messages.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'
LOG=$SPCTL_RUN_DIR/service.log

# with LOG-OBJECT: applied with that
with() {
	config routes <<-END
		{${1:+"\"log\":$1,"}"routes":[
		 {"name":"web","match":{"ports":9001},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7000}]}},
		 {"name":"gone","match":{"ports":9002},"action":{"type":"forward","forwardingEngine":"relay","targets":[{"host":"10.20.0.2","port":7009}]}},
		 {"name":"kernel","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
	END
	apply routes
}
lines() { grep -c ' route=\|"route":' "$LOG" || :; }
has_lines() { [[ $(lines) == "$1" ]]; }
none_active() { spctl status --json | jq -e '.service.connections == 0'; }

# By default there is none.
with ''
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
eventually none_active

# Switched on by an apply, in the service that runs: also for a connection that is there already.
hold before cl tcp 10.10.0.1:9001 -p 40000
pid=$(cat "$SPCTL_RUN_DIR/run.pid")
with '{"access":true}'
expect_eq "$(cat "$SPCTL_RUN_DIR/run.pid")" "$pid"
hold_close before
eventually has_lines 1
expect_match "$(grep ' route=' "$LOG")" '^[0-9-]+T[0-9:.]+Z route=web client=10\.10\.0\.2:40000 local=10\.10\.0\.1:9001 sni=- target=10\.20\.0\.2:7000 up=0 down=0 ms=[0-9]+ reason=- mover=-$'

# What a connection carried, and how it ended.
expect_eq "$(probe tcp 10.10.0.1:9001 -p 40001)" 'A|10.20.0.1|hi'
expect_refused tcp 10.10.0.1:9002 -p 40002
eventually has_lines 3
expect_match "$(grep 40001 "$LOG")" ' route=web .* up=3 down=15 ms=[0-9]+ reason=- mover=copy$'
expect_match "$(grep 40002 "$LOG")" ' route=gone .* target=10\.20\.0\.2:7009 up=0 down=0 ms=[0-9]+ reason=connect_failed mover=-$'
# The kernel's connections are not the service's.
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000

# Many, from several workers at once: none is lost, doubled or torn.
cl "$LAB_TOOLS/flood" --help >/dev/null 2>&1 || :
for _ in $(seq 40); do
	probe tcp 10.10.0.1:9001 >/dev/null &
done
wait_for_all() { has_lines 43; }
eventually wait_for_all
grep ' route=' "$LOG" | grep -vE '^[0-9-]+T[0-9:.]+Z route=[a-z]+ client=[0-9.:]+ local=[0-9.:]+ sni=- target=[0-9.:]+ up=[0-9]+ down=[0-9]+ ms=[0-9]+ reason=[a-z_-]+ mover=(copy|splice|-)$' &&
	fail 'a line is torn'

# As JSON; the service's own messages, too.
with '{"access":true,"format":"json","level":"debug"}'
expect_eq "$(probe tcp 10.10.0.1:9001 -p 40003)" 'A|10.20.0.1|hi'
eventually has_lines 44
expect_json "$(grep 40003 "$LOG")" '.route == "web" and .client == "10.10.0.2:40003" and .up == 3 and .down == 15 and .reason == "" and .mover == "copy"'
kill -HUP "$pid"
told() { grep '"level":"info"' "$LOG" | jq -e '.message | test("SIGHUP")'; }
eventually told

# The level: errors alone, then warnings and worse.
with '{"access":false,"level":"error"}'
count=$(grep -c SIGHUP "$LOG")
kill -HUP "$pid"
dataplane=$(spctl status --json | jq .service.dataplane)
kill -9 "$dataplane"
eventually grep -q '^spctl: error: the dataplane ended' "$LOG"
is_back() { [[ $(spctl status --json | jq '.service.dataplane // 0') != "$dataplane" ]] && spctl status; }
eventually is_back
expect_eq "$(grep -c SIGHUP "$LOG")" "$count"
expect_eq "$(grep -c 'the dataplane is back' "$LOG" || :)" 0
# Switched off: no more lines.
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9001
eventually none_active
with ''
kill -HUP "$pid"
eventually grep -q '^spctl: SIGHUP' "$LOG"
expect_eq "$(lines)" 44

# A dataplane that is started again writes on, with what is live; the same for a new service.
with '{"access":true}'
kill -9 "$(spctl status --json | jq .service.dataplane)"
eventually is_back
expect_eq "$(probe tcp 10.10.0.1:9001 -p 40004)" 'A|10.20.0.1|hi'
eventually has_lines 45

# A reader that stops costs lines, and nothing else: into a pipe that is full.
spctl down
mkfifo "$T/pipe"
exec {reader}<>"$T/pipe"
with ''
kill -9 "$(cat "$SPCTL_RUN_DIR/run.pid")" "$(spctl status --json | jq .service.dataplane)"
config routes <<<"$(jq '.log = {"access":true,"level":"error"}' "$T/routes.json")"
nsenter --net=/run/netns/gw -- "$SPCTL" run "$T/routes.json" 2>"$T/pipe" &
LAB_PIDS+=($!)
eventually spctl status
expect_eq "$(probe tcp 10.10.0.1:9001 -p 40005)" 'A|10.20.0.1|hi'
while read -r -t 5 -u "$reader" line && [[ $line != *40005* ]]; do :; done
expect_match "$line" ' route=web client=10\.10\.0\.2:40005 '
