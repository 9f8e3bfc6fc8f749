#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The manual pages: mandoc finds nothing to warn of, and the programs under EXAMPLES,
# taken from the formatted page, build without a warning and do what the page says. What
# a page of section 1 says is tested with its program.
. "$(dirname "$0")/../common/tap.bash"

warnings=(-Wall -Wextra -Werror)
sections="NAME LIBRARY SYNOPSIS DESCRIPTION RETURN_VALUES ERRORS EXAMPLES SEE_ALSO STANDARDS"
command_sections="NAME SYNOPSIS DESCRIPTION OUTPUT ENVIRONMENT EXIT_STATUS EXAMPLES SEE_ALSO"

command -v mandoc > /dev/null || { fail "mandoc is installed"; finish; }

# Literal text under EXAMPLES as a reader sees it: indented by a tab in markdown.
example()
{
	mandoc -T markdown "$1" | awk '/^# / { on = $2 == "EXAMPLES" } on && sub(/^\t/, "")'
}

# lacks PAGE SECTIONS
lacks()
{
	local s

	for s in $2; do
		grep -q "^\.Sh ${s//_/ }\$" "$1" || echo "${s//_/ }"
	done
}

# Does the kernel have cpu_opv(2)? A question that changes nothing: CPU_OP_NR_FLAG.
cat > "$dir/probe.c" <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void) { return syscall(600, (void *)0, 0, 0, 1) < 0 && errno == ENOSYS; }
END
cc -o "$dir/probe" "$dir/probe.c" || exit 2
if "$dir/probe"; then has_call=yes; else has_call=no; fi

# The system call's example: for each CPU it may be given.
run_cpu_opv()
{
	local name=$1 prog=$2 cpu output status

	for cpu in 0 $(($(getconf _NPROCESSORS_CONF) - 1)); do
		output=$("$prog" "$cpu" 2>&1)
		status=$?
		if [ "$has_call" = no ]; then
			expect "$name: says that the kernel lacks the call, CPU $cpu" \
				"status 2: cpu_opv: Function not implemented" \
				"status $status: $output"
			continue
		fi
		expect_match "$name: stores once, CPU $cpu" "status 0: \
on CPU [0-9]+, for CPU $cpu: 0, head 2, tail 3
on CPU [0-9]+, for CPU $cpu: 1, head 2, tail 3" "status $status: $output"
	done
	output=$("$prog" -1 2>&1)
	status=$?
	[ "$has_call" = no ] ||
		expect "$name: nonsense CPU" "status 1: cpu_opv: Invalid argument" \
			"status $status: $output"
}

run_rseq()
{
	expect "$1: no add is lost" "4000000, status 0" "$("$2" 2>&1), status $?"
}

run_rseq_op()
{
	local name=$1 prog=$2 output status force

	for force in 0 1 3; do
		output=$(RSEQ_OP_FORCE_FALLBACK=$force timeout 60 "$prog" 2>&1)
		status=$?
		expect_match "$name: loses no word, RSEQ_OP_FORCE_FALLBACK=$force" \
			"status 0: backend: [^
]+
5000 words, [0-9]+ for another CPU, [0-9]+ aborts" "status $status: $output"
	done
}

# The second message finds the slot in use.
run_cpu_op()
{
	expect "$1: puts one message" "0 1 hello, status 0" "$("$2" 2>&1), status $?"
}

run_rseq_op_pool()
{
	expect "$1: the sum is right" "100000, status 0" "$("$2" 2>&1), status $?"
}

run_rseq_op_structures()
{
	expect "$1: all nodes are found" "1000 nodes, status 0" "$("$2" 2>&1), status $?"
}

# What is no sequence is one site, and the only one that counts vectors.
run_rseq_op_sites()
{
	local name=$1 prog=$2 output status

	output=$("$prog" 2>&1)
	status=$?
	expect "$name: 100 vectors at one site" "status 0, 1" \
		"status $status, $(grep -cE '^0x[0-9a-f]+: 100 vectors, 0 aborts$' <<< "$output")"
}

for page in man/*.[0-9]; do
	[ -e "$page" ] || { fail "there are manual pages"; break; }
	name=${page##*/}
	expect "$name: mandoc -T lint -W warning" "" \
		"$(mandoc -T lint -W warning "$page" 2> /dev/null)"
	if [[ $page == *.1 ]]; then
		expect "$name: has every section" "" "$(lacks "$page" "$command_sections")"
		continue
	fi
	expect "$name: has every section" "" "$(lacks "$page" "$sections")"
	example "$page" > "$dir/example.c"
	run=run_${name%.*}
	if [ "$(grep -c 'int main(' "$dir/example.c")" != 1 ] ||
	   ! declare -F "$run" > /dev/null; then
		fail "$name: has one program under EXAMPLES that this test knows"
		continue
	fi
	for cc in gcc clang; do
		if ! command -v "$cc" > /dev/null; then
			skip "$name, $cc" "$cc is not installed"
			continue
		fi
		expect_success "$name, $cc: example builds" "$cc" "${warnings[@]}" -O2 \
			-Iinclude -o "$dir/example" "$dir/example.c" \
			build/librseq_op.a -pthread &&
			"$run" "$name, $cc" "$dir/example"
	done
done
finish
