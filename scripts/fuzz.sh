#!/usr/bin/env bash
# Runs every fuzz target for a while: scripts/fuzz.sh [TIME], 10s by default.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
while IFS=: read -r file target; do
	found=$((found + 1))
	echo "== $target in $(dirname "$file")"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-10s}" -fuzzminimizetime 100x "./$(dirname "$file")" </dev/null
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal | sed 's/func //')

[ "$found" -gt 0 ] || { echo "no fuzz target found" >&2; exit 1; }
