#!/bin/bash
# Every route file in examples/ and every JSON block of the README and of docs/ is a valid one.
. "${0%/*}/lib.sh"
lab_up

n=0
for file in "$ROOT"/examples/*.json "$ROOT"/examples/*.yaml "$ROOT"/examples/*.yml; do
	[[ -f $file ]] || continue
	expect_exit 0 spctl check "$file"
	n=$((n + 1))
done
((n)) || fail "no examples"

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
