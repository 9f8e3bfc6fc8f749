#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/check and tests/run, on a list and on programs made for this test. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

# program NAME LINE...: a shell script $dir/NAME.
program()
{
	printf '%s\n' '#!/bin/bash' "${@:2}" > "$dir/$1"
	chmod 755 "$dir/$1"
}

# write_list ROW...: a list with these rows of [tests].
write_list()
{
	cat > "$dir/rows" <<-END
		[parts]
		one   |     | 1 | first
		two   | 9.9 | 1 | second
		[places]
		here  | one     | 2 | $dir/ | |
		both  | one two | 300 | $dir/ | | true
		ill   | one     | 300 | $dir/ | | echo broken; false
		other | one     | 300 | $dir/ | | echo "not here"; exit 77
		[tests]
	END
	printf '%s\n' "$@" >> "$dir/rows"
}

# check ARGUMENT...: sets status, fills $dir/out.
check()
{
	status=0
	tests/check --file "$dir/rows" --state "$dir/state" "$@" > "$dir/out" 2>&1 || status=$?
}

context() { cat "$dir/out"; }

# ends NAME STATUS LAST: how the last run ended.
ends() { expect "$1" "status $2, $3" "status $status, $(tail -n 1 "$dir/out")"; }

# says NAME LINE: a line of the output, without the temporary folder.
says() { expect "$1" "$2" "$(sed "s,$dir/,,g" "$dir/out" | grep -m 1 -xF -- "$2")"; }

program good 'echo 1..2; echo "ok 1 - a $* $KEY"; echo "ok 2 - b # SKIP no time"'
program bad 'echo 1..2; echo "ok 1 - a"; echo "not ok 2 - b"; exit 1'
program silent true
program mute 'echo 1..1; echo "ok 1 - a # SKIP"'
program nokernel 'echo 1..1; echo "ok 1 - a # SKIP no cpu_opv()"'
program fewer 'echo 1..3; echo "ok 1 - a"'
program signalled 'echo 1..1; echo "ok 1 - a"; kill -SEGV $$'
program status 'echo 1..1; echo "ok 1 - a"; exit 3'
program kills 'kill -KILL "$(ps -o ppid= -p $PPID)"'
program hangs 'echo 1..1; sleep 1000'

test_verdicts()
{
	write_list 'here | yes | KEY=value | good x' 'here | yes | | bad' 'here | yes | | silent' \
		'here | yes | | fewer' 'here | yes | | signalled' 'here | yes | | status' \
		'here | yes | | hangs' 'here | yes | | mute' 'here | yes | | nokernel'
	REQUIRE_KERNEL=1 check
	ends "counts" 1 "5 passed, 8 failed, 1 skipped"
	says "a test that passed, its argument and environment" "PASS here KEY=value good x a x value"
	says "a test that was skipped, and why" "SKIP here KEY=value good x b: no time"
	says "a test that failed" "FAIL here bad b"
	says "a skip without a reason" "FAIL here mute a: skipped without a reason"
	says "a skip for want of a kernel that is required" "FAIL here nokernel a: no cpu_opv()"
	says "a program without a test" "FAIL here silent -: no test ran, exit status 0"
	says "a program that announced more tests" "FAIL here fewer -: 2 tests did not run"
	says "a program that ended by a signal" "FAIL here signalled -: ended by signal 11"
	says "a program with a status that no test accounts for" "FAIL here status -: exit status 3"
	says "a program that timed out" "TIMEOUT here hangs -: not done after 2 s"
	says "how many timed out" "# of the failed, 1 timed out"
	says "what is to be run again" "# failed: here bad"
	says "how" "# to run only the 8 that failed or did not run: make check-failed"
}

test_failed()
{
	write_list 'here | no | | good' 'here | short | | bad x' 'here | yes | | silent'
	check
	check --failed --list
	expect "the last run's failed ones" "here bad short
here silent" "$(sed "s,$dir/,," "$dir/out")"
	cp "$dir/bad" "$dir/kept"
	cp "$dir/good" "$dir/bad"
	check --failed
	ends "one is repaired" 1 "1 passed, 1 failed, 1 skipped"
	check --failed --list
	expect "the other one is left" "here silent" "$(sed "s,$dir/,," "$dir/out")"
	cp "$dir/good" "$dir/silent"
	check --failed
	ends "both are repaired" 0 "1 passed, 0 failed, 1 skipped"
	check --failed
	ends "nothing is left" 0 "tests/check: nothing failed in the last run"
	cp "$dir/kept" "$dir/bad"
	program silent true
}

test_selection()
{
	write_list 'here | yes | | good' 'both | short 1 | | good long 2' 'both | no | A=1 | good {kernel}'
	check --list
	expect "daily: short arguments, the first part of a place" "here good
both good short 1" "$(sed "s,$dir/,," "$dir/out")"
	check --all --list
	expect "all" "here good
both good long 2
both A=1 good 
both-9.9 good long 2
both-9.9 A=1 good 9.9" "$(sed "s,$dir/,," "$dir/out")"
	check --all two
	ends "one part" 0 "2 passed, 0 failed, 2 skipped"
	check --all --only 'A=1 .*9.9$'
	ends "a pattern" 0 "1 passed, 0 failed, 1 skipped"
	check --only nothing
	ends "a pattern that matches nothing" 1 "0 passed, 0 failed, 0 skipped"
	check --all three
	ends "no such part" 1 "tests/check: no such part: three; there are: one two"
}

test_places()
{
	write_list 'ill | yes | | good' 'other | yes | | good' 'here | yes | | good'
	check
	ends "a place that cannot be prepared, and one that is not here" 1 \
		"1 passed, 1 failed, 2 skipped"
	says "the first is a failure" "FAIL ill - -: not prepared, status 1: echo broken; false"
	says "the second is a skip" "SKIP other good -: not here"
	check --failed --list
	expect "the first is to be run again" "ill good" "$(sed "s,$dir/,," "$dir/out")"
}

test_only_skips()
{
	write_list 'other | yes | | good'
	check
	ends "no test has passed" 1 "0 passed, 0 failed, 1 skipped"
}

# As when a virtual machine ends before its tests do.
test_runner_ends()
{
	write_list 'both | yes | | good' 'both | yes | | kills' 'both | yes | | bad'
	check
	ends "tests/run ends early" 1 "1 passed, 3 failed, 1 skipped"
	says "with what status" "FAIL both - -: ended with status -9"
	says "which program was running" "FAIL both kills -: did not run to its end"
	says "which program was not started" "FAIL both bad -: did not run to its end"
	check --failed --list
	expect "all of the place is to be run again" "both bad
both good
both kills" "$(sed "s,$dir/,," "$dir/out" | sort)"
}

# wrong NAME ROW...: a list that is refused.
wrong()
{
	write_list "${@:2}"
	check
	expect "a list with $1 is refused" "status 1" "status $status"
}

test_wrong_lists()
{
	wrong "a row twice" 'here | yes | | good' 'here | no | | good'
	wrong "an unknown place" 'there | yes | | good'
	wrong "a field too many" 'here | yes | | good | x'
}

# The program that is running says so by a file; what it started ends, too.
test_interrupt()
{
	local pid

	program slow "sleep 1000 & echo \$! > $dir/slow.pid" 'wait'
	write_list 'both | yes | | good' 'both | yes | | slow' 'both | yes | | bad'
	rm -f "$dir/slow.pid"
	setsid tests/check --file "$dir/rows" --state "$dir/state" > "$dir/out" 2>&1 &
	pid=$!
	until [ -s "$dir/slow.pid" ]; do sleep 0.1; done
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	ends "interrupted" 130 "1 passed, 0 failed, 1 skipped"
	says "how many did not run" "# interrupted: 2 of 3 programs did not run"
	says "how to run them" "# to run only the 2 that failed or did not run: make check-failed"
	expect "what it started has ended" gone \
		"$(timeout 60 tail --pid="$(cat "$dir/slow.pid")" -f /dev/null && echo gone)"
}

test_verdicts
test_failed
test_selection
test_places
test_only_skips
test_runner_ends
test_wrong_lists
test_interrupt
finish
