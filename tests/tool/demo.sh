#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The demo: what it claims holds on each backend, and it names the backend that it runs on.
# Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

demo=build/examples/demo

for backend in membarrier affinity guard; do
	RSEQ_OP_BACKEND=$backend timeout 300 "$demo" > "$dir/out" 2> "$dir/err"
	expect "what the demo claims holds on the backend $backend" "0" "$?"
	expect "the demo names the backend $backend" "$backend" \
		"$(sed -n 's/^  backend  *//p' "$dir/out")"
done
finish
