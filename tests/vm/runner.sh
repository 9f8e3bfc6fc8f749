#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/vm: what a caller may rely on, and each way in which a run may end.
# Boots ten VMs with the debug kernel, which it builds if it is not cached.
# Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

set -e

top=$PWD
vm=$top/tools/vm
status=0

# The runner's own temporary files go where their absence can be checked.
mkdir "$dir/tmp"
export TMPDIR=$dir/tmp

# run [OPTIONS] COMMAND: sets status, fills $dir/out and $dir/err.
run()
{
	status=0
	"$vm" --log "$dir/console" "$@" >"$dir/out" 2>"$dir/err" || status=$?
}

context()
{
	tail -n 5 "$dir/err" | sed 's/^/stderr: /'
}

# expect_line NAME REGEX FILE: some line of it matches.
expect_line()
{
	local found="no match of $2"

	if grep -Eq -e "$2" "$3"; then
		found="a match of $2"
	fi
	expect "$1" "a match of $2" "$found"
}

# line KEY: what the program in the VM printed after "KEY:".
line()
{
	sed -n "s/^$1://p" "$dir/out"
}

test_command_arrives()
{
	local here="$dir/a folder's name"

	mkdir "$here"
	echo before >"$here/file"
	cd "$here"
	# shellcheck disable=SC2016,SC1003 # expands in the VM
	TEST_PASSED='from outside' run --cpus 6 --nodes 4 \
		--env 'GIVEN=it'\''s "set"' -- sh -c '
		echo "to stderr" >&2
		echo "cwd:$(pwd)"
		echo "arguments:$#<$1><$2><$3><$4>"
		echo "given:$GIVEN"
		echo "passed:$TEST_PASSED"
		echo "cpus:$(nproc)"
		echo "nodes:$(cat /sys/devices/system/node/online)"
		echo "node3:$(cat /sys/devices/system/node/node3/cpulist)"
		printf "raw:a\tb\r\n"
		echo after >file && echo "file:$(cat file)"
		echo x >/usr/new_file && echo "usr:$(cat /usr/new_file)"
		exit 42
		' sh 'a  b' "it's" '"$HOME" \' ''
	cd "$top"
	expect "exit status 42" 42 "$status"
	# QEMU itself aborts now and then, and tools/vm says so.
	expect "standard error arrives, alone" "to stderr" "$(grep -v "^vm: QEMU aborted" "$dir/err")"
	expect "working directory" "$here" "$(line cwd)"
	expect "arguments" "4<a  b><it's><\"\$HOME\" \\><>" "$(line arguments)"
	expect "--env" "it's \"set\"" "$(line given)"
	expect "TEST_* is passed" "from outside" "$(line passed)"
	expect "6 processors" 6 "$(line cpus)"
	expect "4 nodes" 0-3 "$(line nodes)"
	expect "the last node has the last processors" 4-5 "$(line node3)"
	expect "output is not translated" $'a\tb\r' "$(line raw)"
	expect "files look writable" "after x" "$(line file) $(line usr)"
	expect "a write stays in the VM" before "$(cat "$here/file")"
	expect "a new file stays in the VM" absent \
		"$([ -e /usr/new_file ] && echo present || echo absent)"
}

test_one_cpu_exit_0()
{
	local start=$SECONDS

	# shellcheck disable=SC2016 # expands in the VM
	run --cpus 1 --nodes 1 sh -c 'echo "cpus:$(nproc)"; echo "nodes:$(
		cat /sys/devices/system/node/online)"'
	limit=$((30 + 4 * (SECONDS - start)))
	expect "exit status 0" 0 "$status"
	expect "1 processor, 1 node" "1 0" "$(line cpus) $(line nodes)"
}

test_defaults_exit_1()
{
	# shellcheck disable=SC2016 # expands in the VM
	run sh -c 'echo "cpus:$(nproc)"; echo "nodes:$(
		cat /sys/devices/system/node/online)"; exit 1'
	expect "exit status 1" 1 "$status"
	expect "8 processors, 4 nodes" "8 0-3" "$(line cpus) $(line nodes)"
}

readonly provoke=/sys/kernel/debug/provoke-crash/DIRECT

test_warning_fails()
{
	run sh -c "echo WARNING >$provoke; echo done"
	expect "a kernel WARNING: status 125, though the command succeeds" \
		125 "$status"
	expect "the command went on to its end" "done" "$(cat "$dir/out")"
	expect_line "the WARNING is printed" 'WARNING: .*lkdtm' "$dir/err"
	expect_line "and the reason given" '^vm: the kernel complained' \
		"$dir/err"
}

test_panic_fails()
{
	run sh -c "echo PANIC >$provoke; echo done"
	expect "a panic: status 125" 125 "$status"
	expect_line "the panic is printed" 'Kernel panic - not syncing' \
		"$dir/err"
}

test_timeout_is_told_apart()
{
	run --cpus 1 --nodes 1 --timeout "$limit" sh -c 'echo started; sleep 1000'
	expect "out of time: status 124" 124 "$status"
	expect "output up to then arrives" started "$(cat "$dir/out")"
	expect_line "and the reason given" '^vm: timed out after '"$limit"' s' \
		"$dir/err"
}

# Processes that have a file below $1 in their arguments.
count_users()
{
	local count=0 file

	for file in /proc/[0-9]*/cmdline; do
		# A process may end while we look.
		if tr "\0" " " 2>/dev/null <"$file" | grep -qF "$1/"; then
			count=$((count + 1))
		fi
	done
	printf '%d\n' "$count"
}

# The warning that is left out (see scan.sh), and what it leaves behind.
test_left_out_warning_passes()
{
	printf '%b\n' "Dying CPU not properly vacated!" \
		"WARNING: CPU: 3 PID: 335 at kernel/sched/core.c:8365 f+0x1/0x2" \
		"CPU3 enqueued tasks (2 total):" "\tpid: 335, name: migration/3" \
		"smpboot: CPU 3 is now offline" >"$dir/dying"
	# shellcheck disable=SC2016 # expands in the VM
	run --cpus 1 --nodes 1 -- sh -c '
		while IFS= read -r line; do printf "%s\n" "$line" >/dev/kmsg; done <"$1"
		echo "$2" >/proc/sys/kernel/tainted' sh "$dir/dying" 512
	expect "a warning that is left out: status 0" 0 "$status"
	expect_line "it is said" "^vm: left out: the deadline server" "$dir/err"
	run --cpus 1 --nodes 1 -- sh -c 'echo 512 >/proc/sys/kernel/tainted'
	expect "tainted for no reason that shows: status 125" 125 "$status"
}

# fake_qemu TIMES: abort so often before the real one is run.
fake_qemu()
{
	mkdir -p "$dir/bin"
	rm -f "$dir/aborts"
	cat >"$dir/bin/qemu-system-x86_64" <<-END
		#!/bin/bash
		PATH=\${PATH#*:}
		echo >>"$dir/aborts"
		[ "\$(wc -l <"$dir/aborts")" -gt $1 ] || { echo "assertion"; kill -ABRT \$\$; }
		exec qemu-system-x86_64 "\$@"
	END
	chmod +x "$dir/bin/qemu-system-x86_64"
}

test_qemu_aborts()
{
	fake_qemu 1 # the real one may abort, too
	PATH=$dir/bin:$PATH run --cpus 1 --nodes 1 echo up
	expect "QEMU aborted: status" 0 "$status"
	expect "QEMU aborted: output" up "$(cat "$dir/out")"
	expect_line "QEMU aborted: said" "^vm: QEMU aborted.*assertion" "$dir/err"
	fake_qemu 3
	PATH=$dir/bin:$PATH run --cpus 1 --nodes 1 echo up
	expect "QEMU aborts always: status" 125 "$status"
	expect "QEMU aborts always: boots" 3 "$(wc -l <"$dir/aborts")"
	expect_line "QEMU aborts always: said" "^vm: the VM did not come up" "$dir/err"
}

test_interrupt_leaves_nothing()
{
	local pid tries=0

	rm -f "$dir/out" # a full one of the test before would be taken for ours
	"$vm" --cpus 1 --nodes 1 sh -c 'echo started; sleep 1000' \
		>"$dir/out" 2>"$dir/err" &
	pid=$!
	while [ ! -s "$dir/out" ] && [ "$tries" -lt 600 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	expect "output is streamed" started "$(cat "$dir/out")"
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	expect "terminated: status 143" 143 "$status"
	for ((tries = 0; tries < 100 && $(count_users "$TMPDIR") > 0; tries++)); do
		sleep 0.1 # one that has read the end may not have run since
	done
	expect "no process is left" 0 "$(count_users "$TMPDIR")"
	expect "no temporary file is left" "" "$(ls -A "$TMPDIR")"
}

"$top/tools/kernel" build >"$dir/out"
test_command_arrives
test_one_cpu_exit_0
test_defaults_exit_1
test_warning_fails
test_panic_fails
test_timeout_is_told_apart
test_left_out_warning_passes
test_qemu_aborts
test_interrupt_leaves_nothing
finish
