#!/bin/bash
# The port over which the ssh session came that runs the command is not taken away by mistake: that
# is an error and changes nothing, unless --force says so. Only where it would really be taken.
. "${0%/*}/lib.sh"
need_kernel ipv6 nft_fib nft_nat nft_masq nft_redir
lab_up
serve a A -t '*:22'
serve gw G -t '*:22' -t '*:2222'
rules=$(gw nft -s list ruleset)
sys=$(sysctls)
ssh4='10.10.0.2 50000 10.10.0.1 22'
ssh6='fd10::2 50000 fd10::1 22'

config taken <<'CONFIG'
{"routes":[
 {"name":"web","match":{"ports":80},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"jump","match":{"ports":[22,2022]},"action":{"type":"forward","targets":[{"host":["10.20.0.2","fd20::2"],"port":22}]}}]}
CONFIG
as() { # SSH_CONNECTION ARG...: in that session
	local conn=$1
	shift
	lab_in gw env SSH_CONNECTION="$conn" "$SPCTL" "$@"
}
nothing_changed() {
	expect_eq "$(gw nft -s list ruleset)" "$rules" "ruleset after $1"
	expect_eq "$(sysctls)" "$sys" "settings after $1"
	expect_exit 0 spctl status
	expect_eq "$out" 'nothing is applied' "$1"
}

sentence='taken\.json:3:[0-9]+: error: route "jump" takes tcp/22, over which this very session came \(10\.10\.0\.2:50000 -> 10\.10\.0\.1:22\): new ssh connections will go to 10\.20\.0\.2:22'
expect_exit 1 as "$ssh4" apply "$T/taken.json"
expect_match "$err" "$sentence"
expect_match "$err" 'hint: .*--confirm 60.*--force'
expect_match "$err" '[|:{"a-z]*"ports":\[22,2022\]' 'the line of the file'
expect_eq "$out" ''
nothing_changed 'the refused apply'
expect_exit 1 as "$ssh6" apply "$T/taken.json"
expect_match "$err" '\(\[fd10::2\]:50000 -> \[fd10::1\]:22\): new ssh connections will go to \[fd20::2\]:22'
expect_exit 1 as "$ssh4" apply "$T/taken.json" --dry-run
expect_match "$err" "$sentence"
expect_exit 1 as "$ssh4" apply "$T/taken.json" --json
expect_json "$out" '.errors | length == 1 and .[0].line == 3 and (.[0].message | test("this very session")) and (.[0].hint | test("--force"))'
expect_eq "$err" ''
nothing_changed 'more refused ones'
# plan says it as well.
expect_exit 0 as "$ssh4" plan "$T/taken.json"
expect_match "$err" 'warning: route "jump" takes tcp/22, over which this very session came'

# sudo and su drop the variable: the parents have it still.
sudo_like() { # LEVELS ARG...
	local depth=$1 i
	local cmd='env -u SSH_CONNECTION "$@"; exit $?'
	shift
	set -- "$SPCTL" "$@"
	for ((i = 0; i < depth; i++)); do
		set -- env -u SSH_CONNECTION bash -c '"$@"; exit $?' bash "$@"
	done
	lab_in gw env SSH_CONNECTION="$ssh4" bash -c "$cmd" bash "$@"
}
expect_exit 1 sudo_like 0 apply "$T/taken.json"
expect_match "$err" "$sentence"
expect_exit 1 sudo_like 5 apply "$T/taken.json"
expect_match "$err" "$sentence"
nothing_changed 'the ones under sudo'

# --force: it is done, and said.
hold session cl tcp 10.10.0.1:22
expect_exit 0 as "$ssh4" apply "$T/taken.json" --force
expect_match "$err" 'warning: route "jump" takes tcp/22, over which this very session came'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:22
expect_hold session 'G|10.10.0.2|still here' 'still here'
# What is so already is not taken: the same once more, other changes, and what was live before.
expect_exit 0 as "$ssh4" apply "$T/taken.json"
expect_match "$out" '^nothing to do'
jq '.routes[0].match.ports = 81' "$T/taken.json" >"$T/other.json"
expect_exit 0 as "$ssh4" apply "$T/other.json"
expect_exit 0 as "$ssh4" rollback
expect_no_match "$err" 'very session'
# Elsewhere with it: that is another matter.
jq '.routes[1].action.targets = [{"host":"10.20.0.3","port":22}]' "$T/taken.json" >"$T/other.json"
expect_exit 1 as "$ssh4" apply "$T/other.json"
expect_exit 0 spctl down

# --confirm: it comes back by itself, so it is done as well.
expect_exit 0 as "$ssh4" apply "$T/taken.json" --confirm 60
expect_match "$err" 'warning: route "jump" takes tcp/22, over which this very session came'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:22
expect_exit 0 spctl rollback
expect_answer 'G|10.10.0.2|hi' tcp 10.10.0.1:22
expect_exit 0 spctl down

# Nobody's session is concerned:
fine() { # WHAT SSH_CONNECTION FILE
	expect_exit 0 as "$2" apply "$3"
	expect_no_match "$err" 'very session' "$1"
	expect_exit 0 spctl down
}
expect_exit 0 spctl apply "$T/taken.json"
expect_exit 0 spctl down
fine 'another port' '10.10.0.2 50000 10.10.0.1 2222' "$T/taken.json"
fine 'an address that is not of this host' '10.10.0.2 50000 192.0.2.77 22' "$T/taken.json"
fine '[::1], which no kernel route takes' '::1 50000 ::1 22' "$T/taken.json"
fine 'no such form' 'client 50000 server 22' "$T/taken.json"
for change in '.match.transport = "udp"' '.match.clientIp = ["10.30.0.0/24"]' '.match.address = "10.30.0.1"' \
	'.action.targets = [{"host":"127.0.0.1","port":22}]' '.action.targets = [{"host":"127.0.0.1","port":"preserve"}] | .match.ports = 22'; do
	jq "(.routes[] | select(.name == \"jump\")) |= ($change)" "$T/taken.json" >"$T/other.json"
	fine "$change" "$ssh4" "$T/other.json"
done
# Another port of this host is elsewhere, and so is a second target.
for change in '.action.targets = [{"host":"127.0.0.1","port":2222}]' \
	'.action.targets = [{"host":"127.0.0.1","port":22},{"host":"10.20.0.2","port":22}]'; do
	jq "(.routes[] | select(.name == \"jump\")) |= ($change)" "$T/taken.json" >"$T/other.json"
	expect_exit 1 as "$ssh4" apply "$T/other.json"
	expect_match "$err" 'this very session' "$change"
done
# The session of a client that the route does take.
jq '(.routes[] | select(.name == "jump")).match.clientIp = ["10.10.0.0/30"]' "$T/taken.json" >"$T/other.json"
expect_exit 1 as "$ssh4" apply "$T/other.json"

# rollback is no way around it.
expect_exit 0 spctl apply "$T/taken.json" --force
n=$(spctl status --json | jq .generation)
expect_exit 0 spctl down
expect_exit 1 as "$ssh4" rollback "$n"
expect_match "$err" 'error: route "jump" takes tcp/22, over which this very session came'
expect_match "$err" "hint: .spctl rollback $n --confirm 60.*--force"
expect_eq "$(gw nft -s list ruleset)" "$rules" 'ruleset after the refused rollback'
expect_exit 1 as "$ssh4" rollback
expect_match "$err" 'this very session'
expect_exit 0 as "$ssh4" rollback "$n" --force
expect_match "$err" 'warning: route "jump" takes tcp/22, over which this very session came'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:22
expect_exit 0 spctl down
expect_exit 0 as "$ssh4" rollback "$n" --confirm 60 --json
expect_json "$out" '.confirm.previous == 0 and (.warnings | map(.message) | join(" ") | test("this very session"))'
expect_exit 0 spctl down
