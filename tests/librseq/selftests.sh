#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A program written for librseq: the stress test among the kernel's selftests of rseq, which
# have its operations by earlier names, built with ours under its names. It checks its own
# results: locks exclude, lists and buffers keep their items, sums are right. It runs by
# sequences alone, and with every fiftieth operation by the backend. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

tools=build/kernel-tools
source=$tools/testing/selftests/rseq

# build [OPTION...]
build()
{
	gcc -O2 -w -D_GNU_SOURCE "$@" -Iinclude/rseq_op/librseq -I$source -I$tools/include -Iinclude \
		-include tests/librseq/over.h $source/param_test.c $source/rseq.c \
		build/librseq_op.a -pthread -o "$dir/param_test"
}

# The counter of that name in the report of the run.
counted() { grep -o "$1 [0-9]*" "$dir/report" | cut -d ' ' -f 2; }

# try NAME [ARGUMENT...]
try()
{
	local name=$1
	shift

	expect_success "$name" "$dir/param_test" "$@" || return
	RSEQ_OP_REPORT=1 RSEQ_OP_FORCE_FALLBACK=50 expect_success "$name, forced" \
		bash -c '"$@" 2> "$0" || { cat "$0"; exit 1; }' "$dir/report" "$dir/param_test" "$@" &&
		expect_match "$name: the backend was taken" '[1-9][0-9]*' "$(counted forced)"
}

# It waits for sequences by membarrier(2) and no more, and a fallback is none: there are as few
# as can be. A program that has fallbacks calls rseq_op_fence().
try_fence()
{
	RSEQ_OP_MAX_ABORTS=1000000000 expect_success "$1" "$dir/param_test" -T r -r 10000
}

expect_success "the kernel's selftests are there" make -s $source/rseq.c || finish
for by in CPU MM_CID; do
	expect_success "param_test by $by: builds" build -DBUILDOPT_RSEQ_PERCPU_$by || continue
	if "$dir/param_test" -T i -r 1 2>&1 | grep -q 'getter unavailable'; then
		skip "param_test by $by" "no concurrency IDs before Linux 6.3"
		continue
	fi
	for kind in s l b "b -M" m "m -M" i; do
		# shellcheck disable=SC2086 # two words
		try "param_test by $by -T $kind" -T $kind -r 50000 -t 8
	done
	try_fence "param_test by $by -T r"
done
finish
