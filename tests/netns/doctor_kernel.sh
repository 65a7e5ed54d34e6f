#!/bin/bash
# doctor finds what the kernel lacks: nftables as a whole, or one expression that the rules of some
# routes need. The routes concerned are named, the others are not.
. "${0%/*}/lib.sh"
. "${0%/*}/doctor_lib.bash"
need_kernel nft_fib nft_nat nft_masq nft_numgen nft_hash
lab_up

config all <<'EOF'
{"routes":[
 {"name":"plain","match":{"ports":9000},"action":{"type":"forward","targets":[{"host":"10.20.0.2","port":7000}]}},
 {"name":"robin","match":{"ports":9001},"action":{"type":"forward","targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}]}},
 {"name":"hashed","match":{"ports":9002},"action":{"type":"forward","loadBalancing":{"algorithm":"ip-hash"},
   "targets":[{"host":["10.20.0.2","10.20.0.3"],"port":7000}]}}]}
EOF
noexpr=$LAB_TOOLS/noexpr
nonft=$LAB_TOOLS/nonft
[[ -x $noexpr && -x $nonft ]] || fail 'noexpr or nonft is missing: run make tools'
run gw "$noexpr" nothing true
[[ $code != 77 ]] || skip 'ptrace is not allowed here'
healthy "$T/all.json"
apply all
healthy
expect_json "$out" '.findings | any(.check == "kernel" and .level == "ok" and (.message | test("all [0-9]+ nftables expressions")))'
rules=$(gw nft list ruleset)

without() { # EXPRESSION ROUTES [MODULE]: what doctor says then
	expect_exit 1 gw "$noexpr" "$1" "$SPCTL" doctor --json
	expect_json "$out" "[.findings[] | select(.level == \"problem\")] | length == 1 and .[0].check == \"kernel\"
		and (.[0].message | test(\"lacks the nftables expression .$1.\")) and (.[0].routes | join(\" \")) == \"$2\"
		and .[0].fix == \"modprobe nft_${3-$1}    # or a kernel with CONFIG_NFT_$(tr "[:lower:]" "[:upper:]" <<<"${3-$1}")\""
}
without numgen 'robin'
without hash 'hashed'
# Of these the inet family has a module of its own.
without fib 'plain robin hashed' fib_inet
without reject 'plain robin hashed' reject_inet
without masq 'plain robin hashed'
# The states of dynamic sets: the limits for each client, which all routes have by default.
without connlimit 'plain robin hashed'
without limit 'plain robin hashed'
# One that no rule here needs is nobody's problem.
expect_exit 0 gw "$noexpr" synproxy "$SPCTL" doctor --json
expect_json "$out" '.affected == 0'
# The same for a file, before anything is applied.
expect_exit 1 gw "$noexpr" numgen "$SPCTL" doctor --json "$T/all.json"
expect_json "$out" '.findings | any(.check == "kernel" and .routes == ["robin"])'

# ---- no nftables at all: a problem, and what else cannot be looked at is told
run gw "$nonft" true
[[ $code != 77 ]] || skip 'this kernel has no seccomp filters'
expect_exit 1 gw "$nonft" "$SPCTL" doctor --json
expect_json "$out" '.findings | any(.check == "kernel" and .level == "problem" and (.message | test("no nftables")) and .routes == ["plain", "robin", "hashed"] and (.fix | test("^modprobe nf_tables")))'
expect_json "$out" '[.findings[] | select(.level == "note") | .check] | contains(["forward-policy", "nat-before"])'
expect_exit 1 gw "$nonft" "$SPCTL" doctor "$T/all.json"

expect_eq "$(gw nft list ruleset)" "$rules" 'the ruleset'
healthy
