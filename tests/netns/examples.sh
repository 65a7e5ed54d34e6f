#!/bin/bash
# Every route file in examples/ and every JSON block of the README and of docs/ is a valid one, and those
# that this version can run are applied.
. "${0%/*}/lib.sh"
need_kernel nft_fib nft_nat nft_masq
lab_up

n=0
for file in "$ROOT"/examples/*.json "$ROOT"/examples/*.yaml "$ROOT"/examples/*.yml; do
	[[ -f $file ]] || continue
	expect_exit 0 spctl check "$file"
	n=$((n + 1))
done
((n)) || fail "no examples"
for name in quickstart.json ports.yaml balance.yaml; do
	expect_exit 0 spctl apply "$ROOT/examples/$name"
	expect_exit 0 spctl status
done
expect_exit 0 spctl plan "$ROOT/examples/sni.yaml"
expect_no_match "$out" 'cannot run'
expect_exit 1 spctl apply "$ROOT/examples/smartproxy.json"
expect_match "$err" 'not in this version'
expect_exit 0 spctl down

for file in "$ROOT"/README.md "$ROOT"/docs/*.md; do
	[[ -f $file ]] || continue
	name=$(basename "$file" .md)
	awk -v base="$T/doc.$name" '
		/^```json$/ { n++; into = base "." NR ".json"; next }
		/^```/ { into = "" }
		into { print > into }' "$file"
done
for file in "$T"/doc.*.json; do
	[[ -f $file ]] || continue
	# Pieces of a route are shown too; a whole file begins with its routes or has them.
	grep -q '"routes"' "$file" || continue
	expect_exit 0 spctl check "$file"
	n=$((n + 1))
done
echo "$n files"
