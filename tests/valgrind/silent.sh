#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The library under valgrind, which has no rseq(2) and does not know cpu_opv(2): tests pass, and
# valgrind prints nothing: no error, no system call that it does not know.
. "$(dirname "$0")/../common/tap.bash"

if ! command -v valgrind > /dev/null; then
	skip "valgrind" "it is not installed; see tools/deps"
	finish
fi

# silent TOOL PROGRAM [ARGUMENT...]
#
# valgrind runs one thread at a time. Without --fair-sched a thread that never sleeps may keep
# the thread that would end it from ever having its turn.
silent()
{
	local tool=$1 status
	shift

	valgrind -q --fair-sched=yes --tool="$tool" --suppressions=lib/rseq_op.supp \
		--log-file="$dir/log.%p" "$@" > "$dir/output" 2>&1
	status=$?
	expect "$tool: $*: exit status" 0 "$status"
	expect "$tool: $*: valgrind prints nothing" "" "$(cat "$dir"/log.*)"
	rm -f "$dir"/log.*
}

context() { tail -20 "$dir/output"; }

for tool in memcheck helgrind; do
	silent "$tool" build/tests/unit/signal
	silent "$tool" build/tests/unit/librseq
	silent "$tool" build/tests/numa/typed 20 2
done
finish
