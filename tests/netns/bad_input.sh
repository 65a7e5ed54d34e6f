#!/bin/bash
# Bad files: exit 2, the place, a sentence, and nothing changed. Also: no crash, no long wait.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up
serve a A -t '*:7000'

apply_config <<'EOF'
{"routes":[{"name":"good","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
rules=$(gw nft list ruleset)
sys=$(sysctls)
generations() { (cd "$T/state" && find . -type f -exec sha256sum {} + | sort); }
state=$(generations)

# refused FILE REGEX: by check and by apply, with the place.
refused() {
	local command
	for command in check apply; do
		run timeout -k 1 20 nsenter --net=/run/netns/gw -- "$SPCTL" "$command" "$T/$1"
		[[ $code == 2 ]] || fail "$command $1: expected exit 2, got $code"
		expect_match "$err" "(^|/|[[:space:]])$1:[0-9]+:[0-9]+: error: " "$command $1"
		expect_match "$err" "$2" "$command $1"
		[[ ${#err} -lt 20000 ]] || fail "$command $1: ${#err} characters of errors"
	done
}
# bad NAME REGEX [LINE]: stdin is the file; LINE is where the error must be.
bad() {
	cat >"$T/$1.json"
	refused "$1.json" "$2"
	[[ ! ${3-} ]] || expect_match "$err" "$1\.json:$3:" "line of $1"
}
# route TEXT: a file whose only route has TEXT in its match and action.
route() { printf '{"routes":[{"name":"r","match":{%s},"action":{"type":"forward","targets":%s}}]}\n' "$1" "$2"; }
target='[{"host":"10.20.0.2","port":7000}]'

bad unknown_key 'target_s.*targets' 4 <<'EOF'
{"routes":[
 {"name":"r","match":{"ports":9000},
  "action":{"type":"forward",
   "target_s":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
bad wrong_type 'routes' <<<'{"routes":"none"}'
bad type_of_ports 'routes\[0\]\.match\.ports' < <(route '"ports":true' "$target")
bad type_of_host 'host' < <(route '"ports":9000' '[{"host":17,"port":7000}]')
bad port_zero 'routes\[0\]\.match\.ports' < <(route '"ports":0' "$target")
bad port_65536 '65536' < <(route '"ports":65536' "$target")
bad port_negative 'ports' < <(route '"ports":-1' "$target")
bad port_fraction 'ports' < <(route '"ports":80.5' "$target")
bad port_huge 'ports' < <(route '"ports":18446744073709551696' "$target")
bad port_text 'ports' < <(route '"ports":"http"' "$target")
bad target_port 'port' < <(route '"ports":9000' '[{"host":"10.20.0.2","port":65536}]')
bad target_port_zero 'port' < <(route '"ports":9000' '[{"host":"10.20.0.2","port":0}]')
bad from_above_to '9010' < <(route '"ports":[{"from":9010,"to":9000}]' "$target")
bad no_ports 'ports' < <(route '"ports":[]' "$target")
bad no_match 'match' <<<'{"routes":[{"name":"r","action":{"type":"forward","targets":[{"host":"10.20.0.2","port":1}]}}]}'
bad no_targets 'targets' < <(route '"ports":9000' '[]')
bad no_action 'action' <<<'{"routes":[{"name":"r","match":{"ports":9000}}]}'
bad bad_address '10\.20\.0\.256|address' < <(route '"ports":9000,"address":"10.20.0.256"' "$target")
bad bad_client '10\.0\.0\.0/33' < <(route '"ports":9000,"clientIp":["10.0.0.0/33"]' "$target")
bad no_routes 'routes' <<<'{}'
bad same_name 'web' <<'EOF'
{"routes":[{"name":"web","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"web","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
bad same_key 'name|twice|duplicate' <<<'{"routes":[{"name":"a","name":"b","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}'
bad offset_out 'port|range|65535' < <(route '"ports":65000' '[{"host":"10.20.0.2","port":"+1000"}]')
bad two_protocols 'protocol|transport' <<<'{"routes":[{"name":"r","match":{"ports":9000,"transport":"tcp"},"action":{"type":"forward","forwardingEngine":"nftables","nftables":{"protocol":"udp"},"targets":[{"host":"10.20.0.2","port":7000}]}}]}'
bad before_14 'fromPort|toPort|targetIP' <<<'{"fromPort":443,"toPort":8443,"targetIP":"10.20.0.2","routes":[]}'

bad syntax '.' 2 <<'EOF'
{"routes":[
 {"name":"r",,}]}
EOF
bad cut_short '.' <<<'{"routes":[{"name":"r","match":{"po'
bad two_documents '.' <<<'{"routes":[]} {"routes":[]}'
bad yaml_tab '.' < <(printf 'routes:\n\t- name: r\n')
bad not_a_map '.' <<<'[1,2,3]'
bad only_a_word '.' <<<'hello'
bad utf8 '.' < <(printf '{"routes":[{"name":"\xff\xfe","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}\n')
bad nul '.' < <(printf '{"routes":[{"name":"a\\u0000b","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}\n')
bad raw_nul '.' < <(printf '{"routes":\0[]}\n')
bad empty '.' </dev/null
bad blank '.' <<<$'  \n\n'
bad long_string 'name' < <(printf '{"routes":[{"name":"%s","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}}]}\n' "$(head -c 1000000 /dev/zero | tr '\0' x)")
bad deep '.' < <(
	head -c 100000 /dev/zero | tr '\0' '['
	head -c 100000 /dev/zero | tr '\0' ']'
)
bad alias_bomb '.' <<'EOF'
a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]
h: &h [*g, *g, *g, *g, *g, *g, *g, *g, *g, *g]
routes: *h
EOF
# Many errors: all that fit are told at once, not one a run.
bad many 'routes\[1\]' <<'EOF'
{"routes":[{"name":"a","match":{"ports":0},"action":{"type":"forward","targets":[]}},
 {"name":"b","match":{"ports":70000},"action":{"type":"nonsense","targets":[{"host":"10.20.0.2","port":7000}]}}]}
EOF
[[ $(grep -c 'error: ' <<<"$err") -ge 3 ]] || fail "expected at least 3 errors at once"

# Things that are no file at all.
mkdir "$T/folder"
expect_exit 2 spctl check "$T/folder"
expect_match "$err" 'folder'
expect_exit 2 spctl check "$T/not-there.json"
expect_match "$err" 'not-there\.json'
cp "$SPCTL" "$T/spctl-copy"
chmod 0755 "$T" "$T/spctl-copy"
cp "$T/routes.json" "$T/private.json"
chmod 0600 "$T/private.json"
expect_exit 2 setpriv --reuid=65000 --regid=65000 --clear-groups "$T/spctl-copy" check "$T/private.json"
expect_match "$err" 'private\.json'

# Wrong usage.
expect_exit 2 spctl check
expect_exit 2 spctl apply --no-such-option
expect_exit 2 spctl apply "$T/routes.json" "$T/routes.json"
expect_exit 2 spctl status nonsense

expect_eq "$(gw nft list ruleset)" "$rules" 'ruleset after all of this'
expect_eq "$(sysctls)" "$sys" 'sysctls after all of this'
expect_eq "$(generations)" "$state" 'STATE after all of this'
expect_answer 'A|10.20.0.1|hi' tcp 10.10.0.1:9000
