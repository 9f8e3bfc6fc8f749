#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The program rseq-op: both forms of its output, its exit statuses, its checks.
. "$(dirname "$0")/../common/tap.bash"

tool=build/tools/rseq-op/rseq-op
commands="info selftest bench stress"

# run [VARIABLE=value...] ARGUMENT...: sets status; its output is in $dir/out and $dir/err.
run()
{
	local settings=()

	while [[ ${1-} =~ ^[A-Z_]+= ]]; do
		settings+=("$1")
		shift
	done
	timeout 120 env "${settings[@]}" "$tool" "$@" > "$dir/out" 2> "$dir/err"
	status=$?
}

# json EXPRESSION: of what the last run printed, called d.
json()
{
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1], encoding="utf-8"))
print(eval(sys.argv[2]))' "$dir/out" "$1" 2>&1
}

# names FILE of JSON: of all pairs.
names()
{
	python3 -c 'import json, sys
def names(d):
    for name, value in d.items() if isinstance(d, dict) else ((None, v) for v in d):
        if name:
            print(name)
        if isinstance(value, (dict, list)) and not isinstance((value or [""])[0]
                if isinstance(value, list) else 0, str):
            names(value)
names(json.load(open(sys.argv[1])))' "$1" | sort -u
}

# One description: the names of both forms are the same, and the manual has them all.
test_forms()
{
	local command=$1 missing name
	shift

	run "$command" "$@"
	expect "$command: plain" "status 0, nothing on standard error" \
		"status $status, $([ -s "$dir/err" ] && cat "$dir/err" || echo nothing) on standard error"
	cp "$dir/out" "$dir/plain"
	run "$command" --json "$@"
	expect "$command: JSON" "status 0, dict" "status $status, $(json 'type(d).__name__')"
	missing=
	for name in $(names "$dir/out"); do
		grep -qE "(^| )$name( |\$)" "$dir/plain" || missing+=" $name"
	done
	expect "$command: the plain form has the names of JSON" "" "$missing"
	missing=
	for name in $(names "$dir/out"); do
		grep -qE "^\.(It )?(Li|Ev) $name( |\$)" man/rseq-op.1 || missing+=" $name"
	done
	expect "$command: the manual has its names" "" "$missing"
}

test_info()
{
	local backend

	run info --json
	expect "info: release" "$(uname -r)" "$(json 'd["kernel"]["release"]')"
	expect "info: architecture" "$(uname -m)" "$(json 'd["kernel"]["architecture"]')"
	expect "info: possible CPUs" "$(cat /sys/devices/system/cpu/possible)" \
		"$(json 'd["cpus"]["possible"]')"
	expect "info: nodes" "$(cat /sys/devices/system/node/node*/cpulist | sort)" \
		"$(json '"\n".join(sorted(n["cpus"] for n in d["cpus"]["nodes"]))')"
	expect "info: chooses one backend" "['$(json 'd["backend"]["name"]')']" \
		"$(json '[c["backend"] for c in d["backend"]["candidates"] if c["chosen"]]')"
	expect "info: gives a reason for each" True \
		"$(json 'all(c["reason"] for c in d["backend"]["candidates"])')"
	for backend in membarrier affinity guard; do
		run RSEQ_OP_BACKEND=$backend info --json
		expect "info: RSEQ_OP_BACKEND=$backend" "$backend: RSEQ_OP_BACKEND asks for it" \
			"$(json '"%s: %s" % (d["backend"]["name"], d["backend"]["why"])')"
		[ $backend = membarrier ] ||
			expect "info: $backend is forced, so membarrier is not taken" \
				"RSEQ_OP_BACKEND asks for $backend" \
				"$(json 'd["backend"]["candidates"][1]["reason"]')"
	done
	run RSEQ_OP_BACKEND=kernel info --json
	expect "info: RSEQ_OP_BACKEND=kernel, if there" \
		"$(json '"kernel" if d["cpu_opv"]["present"] else "none"')" \
		"$(json 'd["backend"]["name"]')"
	run RSEQ_OP_BACKEND=nonsense info --json
	expect "info: RSEQ_OP_BACKEND=nonsense is shown, and ignored" "nonsense, False" \
		"$(json '"%s, %s" % (d["environment"]["RSEQ_OP_BACKEND"], "RSEQ_OP" in d["backend"]["why"])')"
}

test_registration()
{
	run GLIBC_TUNABLES=glibc.pthread.rseq=0 info --json
	expect "registration by the library" "library, True" \
		"$(json '"%s, %s" % (d["rseq"]["registered_by"], d["rseq"]["area_size"] >= 32)')"
	if nm -D "$(ldd $tool | awk '$1 == "libc.so.6" { print $3 }')" | grep -q __rseq_size; then
		run GLIBC_TUNABLES= info --json
		expect "registration by glibc" glibc "$(json 'd["rseq"]["registered_by"]')"
	else
		skip "registration by glibc" "it does not register"
	fi
	run_selftest GLIBC_TUNABLES=glibc.pthread.rseq=0
	expect "selftest with the library's registration" "status 0, 5 ok" \
		"status $status, $(json 'd["ok"]') ok"
}

# What the environment holds is data: a quote, control characters, what is no UTF-8.
test_escapes()
{
	local value=$'a"b\\c\n\t\e[1m\x7f \xc3\xa9 \xff \xc0\x80 \xed\xa0\x80 \xf0\x9f\x98\x80'
	local escaped='a"b\\c\n\t\x1b[1m\x7f \xe9 \ufffd \ufffd\ufffd \ufffd\ufffd\ufffd \U0001f600'

	run "RSEQ_OP_REPORT=$value" info --json
	expect "JSON: everything is escaped" "'$escaped'" \
		"$(json 'ascii(d["environment"]["RSEQ_OP_REPORT"])')"
	run "RSEQ_OP_REPORT=$value" info
	expect "plain: no control character" "" "$(tr -d '\n' < "$dir/out" | tr -dc '[:cntrl:]')"
}

# A busy machine may leave no moment in which the fence can be tried.
run_selftest()
{
	local tries

	for tries in 1 2 3; do
		run "$@" selftest --json
		[ "$status" = 0 ] && [ "$(json 'd["skipped"] > 0')" = True ] || break
	done
}

test_selftest()
{
	local cpu

	run_selftest
	expect "selftest: all ok" "status 0, 5 ok, 0 failed, 0 skipped" "status $status, $(json \
		'"%d ok, %d failed, %d skipped" % (d["ok"], d["failed"], d["skipped"])')"
	run RSEQ_OP_BACKEND=kernel info --json
	if [ "$(json 'd["backend"]["name"]')" = none ]; then
		run RSEQ_OP_BACKEND=kernel selftest
		expect "selftest: without a backend an operation under a debugger fails" \
			"status 1, single_step FAILED" \
			"status $status, $(awk '$2 == "FAILED" { print $1, $2 }' "$dir/out")"
		run RSEQ_OP_BACKEND=kernel stress --seconds 1 --json
		expect "stress: without a backend an operation fails" "status 1, ENOSYS" \
			"status $status, $(json 'd["error"]')"
	else
		skip "selftest without a backend" "this kernel has cpu_opv(2)"
	fi
	cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
	timeout 120 taskset -c "$cpu" "$tool" selftest > "$dir/out"
	expect "selftest: with one CPU" "status 0
migration skipped
fence skipped" "status $?
$(awk '$2 == "skipped" { print $1, $2 }' "$dir/out")"
}

test_stress()
{
	run stress --seconds 1 --threads 3 --json
	expect "stress: --threads 3" "status 0, 3 threads, [0, 0, 0] broken" "status $status, $(json \
		'"%d threads, %s broken" % (d["threads"], [i["broken"] for i in d["invariants"]])')"
	expect "stress: operations of each kind, and by the backend" True "$(json \
		'all(i["operations"] for i in d["invariants"]) and d["by_backend"]["vector"] > 0')"
	# Not to the group too, which would be a second interrupt.
	timeout --foreground --preserve-status -s INT 2 "$tool" stress --seconds 100 --json > "$dir/out" 2> "$dir/err"
	expect "stress: an interrupt ends it" "status 0, True" "status $?, $(json \
		'd["interrupted"] and d["seconds"] < 50 and d["invariants"][0]["operations"] > 0')"
	expect "stress: no progress in a pipe" "" "$(cat "$dir/err")"
	expect "stress: progress on a terminal" yes "$(timeout 60 python3 -c '
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
print("yes" if b" s, " in os.read(ours, 4096) else "no")' "$tool" stress --seconds 10)"
}

# usage ARGUMENT...: is wrong, said on standard error only.
usage()
{
	run "$@"
	expect "wrong usage: $*" "status 2, 0 bytes, said" \
		"status $status, $(wc -c < "$dir/out") bytes, $([ -s "$dir/err" ] && echo said)"
}

test_usage()
{
	local bad

	usage
	usage nonsense
	usage --nonsense
	usage info nonsense
	usage info --rounds 1
	usage info --nonsense
	usage selftest --seconds 1
	usage bench --seconds 1
	usage bench --rounds
	for bad in '' 0 -1 1x x 1.5 ' 1' 1001 99999999999999999999; do
		usage bench --rounds "$bad"
	done
	usage stress --seconds 0
	usage stress --threads 10001
}

test_output()
{
	local command

	for command in --help --version info "info --json" "bench --rounds 1"; do
		# shellcheck disable=SC2086 # words
		timeout 60 "$tool" $command > /dev/full 2> "$dir/err"
		expect_match "full disk: $command" "1, rseq-op: standard output: .+" "$?, $(cat "$dir/err")"
		# shellcheck disable=SC2086
		timeout 60 "$tool" $command >&- 2> "$dir/err"
		expect_match "closed output: $command" "1, rseq-op: standard output: .+" "$?, $(cat "$dir/err")"
	done
	timeout 60 "$tool" selftest > /dev/full 2> "$dir/err"
	expect_match "full disk: selftest" "1, rseq-op: standard output: .+" "$?, $(cat "$dir/err")"
}

test_help()
{
	local word missing=

	run --help
	expect "--help" "status 0" "status $status"
	for word in $commands; do
		grep -q "^  $word " "$dir/out" || missing+=" $word"
	done
	expect "--help has every command" "" "$missing"
	expect "--help and the manual have the same options" \
		"$(grep -oE '^  --[a-z]+' "$dir/out" | tr -d ' -' | sort)" \
		"$(sed -n 's/^\.It Fl Fl \([a-z]*\).*/\1/p' man/rseq-op.1 | sort)"
}

test_install()
{
	make -s install DESTDIR="$dir/dest" prefix=/usr > "$dir/out" 2>&1
	expect_success "installed, it runs" "$dir/dest/usr/bin/rseq-op" info
	expect_success "its manual is installed" test -e "$dir/dest/usr/share/man/man1/rseq-op.1"
	make -s uninstall DESTDIR="$dir/dest" prefix=/usr > "$dir/out" 2>&1
	expect "uninstalled, nothing is left" "" "$(find "$dir/dest" ! -type d)"
}

test_help
test_usage
test_forms info
test_forms selftest
test_forms bench --rounds 1
test_forms stress --seconds 1
test_info
test_registration
test_escapes
test_selftest
test_stress
test_output
test_install
finish
