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

# filtered ACTION NUMBERS COMMAND...: under a seccomp filter that answers these system calls with
# an error number, or kills. The calls are those of x86-64.
filtered()
{
	timeout 120 python3 -c '
import ctypes, os, struct, sys
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
action = 0x80000000 if sys.argv[1] == "kill" else 0x50000 | int(sys.argv[1])
calls = [int(n) for n in sys.argv[2].split(",")]
code = struct.pack("HBBI", 0x20, 0, 0, 0)	# load the number
for i, n in enumerate(calls):
    code += struct.pack("HBBI", 0x15, len(calls) - i, 0, n)
code += struct.pack("HBBI", 6, 0, 0, 0x7fff0000) + struct.pack("HBBI", 6, 0, 0, action)
libc = ctypes.CDLL(None)
program = Program(len(code) // 8, code)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit("no filter")
os.execvp(sys.argv[3], sys.argv[3:])' "$@" > "$dir/out" 2> "$dir/err"
	status=$?
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

# Of those that this shell may use.
first_cpu()
{
	taskset -cp $$ | sed 's/.*: //; s/[-,].*//'
}

test_info()
{
	local backend

	run info --json
	expect "info: release" "$(uname -r)" "$(json 'd["kernel"]["release"]')"
	expect "info: architecture" "$(uname -m)" "$(json 'd["kernel"]["architecture"]')"
	expect "info: possible CPUs" "$(cat /sys/devices/system/cpu/possible)" \
		"$(json 'd["cpus"]["possible"]')"
	expect "info: online CPUs" "$(cat /sys/devices/system/cpu/online)" \
		"$(json 'd["cpus"]["online"]')"
	expect "info: CPUs up to the highest number" \
		"$(($(sed 's/.*[-,]//' /sys/devices/system/cpu/possible) + 1))" \
		"$(json 'd["cpus"]["nr_cpus"]')"
	expect "info: page size" "$(getconf PAGE_SIZE)" "$(json 'd["kernel"]["page_size"]')"
	expect "info: libc" "$(getconf GNU_LIBC_VERSION | sed 's/.* //')" \
		"$(json 'd["kernel"]["libc"]')"
	expect "info: feature size (AT_RSEQ_FEATURE_SIZE)" \
		"$(python3 -c 'import ctypes; print(ctypes.CDLL(None).getauxval(27))')" \
		"$(json 'd["rseq"]["feature_size"]')"
	expect "info: allowed CPUs" "$(nproc)" "$(json 'd["cpus"]["nr_allowed"]')"
	timeout 120 taskset -c "$(first_cpu)" "$tool" info --json > "$dir/out"
	expect "info: allowed CPUs, with one" 1 "$(json 'd["cpus"]["nr_allowed"]')"
	run info --json
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
	run_selftest
	expect "selftest: all ok" "status 0, 5 ok, 0 failed, 0 skipped" "status $status, $(json \
		'"%d ok, %d failed, %d skipped" % (d["ok"], d["failed"], d["skipped"])')"
	run RSEQ_OP_BACKEND=kernel info --json
	if [ "$(json 'd["backend"]["name"]')" = none ]; then
		run RSEQ_OP_BACKEND=kernel selftest
		expect "selftest: without a backend an operation under a debugger fails" \
			"status 1, single_step FAILED" \
			"status $status, $(awk '$2 == "FAILED" { print $1, $2 }' "$dir/out")"
		# The failure ends it: no run lasts so long.
		run RSEQ_OP_BACKEND=kernel stress --seconds 1000000 --json
		expect "stress: without a backend an operation fails" "status 1, ENOSYS, False" \
			"status $status, $(json '"%s, %s" % (d["error"], d["interrupted"])')"
		run RSEQ_OP_BACKEND=kernel bench --rounds 1 --json
		expect "bench: without a backend what needs one fails, and has no figure" \
			"status 1, ENOSYS None, True" "status $status, $(json '"%s, %s" % (
				"; ".join({"%s %s" % (f["error"], f["ns"]) for f in d["figures"]
				if f["error"]}), any(f["ns"] for f in d["figures"]))')"
	else
		skip "selftest without a backend" "this kernel has cpu_opv(2)"
	fi
	timeout 120 taskset -c "$(first_cpu)" "$tool" selftest > "$dir/out"
	expect "selftest: with one CPU" "status 0
migration skipped
fence skipped" "status $?
$(awk '$2 == "skipped" { print $1, $2 }' "$dir/out")"
}

# What the kernel refuses, or kills for, shows in the output, and in no other way.
test_filtered()
{
	local rseq=334 membarrier=324 ptrace=101 cpu_opv=600 enosys=38 eperm=1

	if [ "$(uname -m)" != x86_64 ]; then
		skip "under filters" "the numbers of the system calls are those of x86-64"
		return
	fi
	filtered $enosys $rseq "$tool" info --json
	expect "info: without rseq(2)" "status 0, False ENOSYS nobody" "status $status, $(json \
		'"%s %s %s" % tuple(d["rseq"][m] for m in ("present", "error", "registered_by"))')"
	filtered $eperm $membarrier "$tool" info --json
	expect "info: membarrier(2) refused" "status 0, False EPERM, True" "status $status, $(json \
		'"%s %s, %s" % (d["membarrier"]["present"], d["membarrier"]["error"],
			d["backend"]["name"] != "membarrier")')"
	filtered kill $membarrier,$cpu_opv "$tool" info --json
	expect "info: killed for membarrier(2) and cpu_opv(2)" \
		"status 0, kills who asks, kills who asks, affinity" "status $status, $(json \
		'"%s, %s, %s" % (d["membarrier"]["error"], d["cpu_opv"]["error"],
			d["backend"]["name"])')"
	filtered $eperm $rseq,$membarrier,$ptrace "$tool" selftest --json
	expect "selftest: all skipped" "status 3, 0 ok, 0 failed, 5 skipped" "status $status, $(json \
		'"%d ok, %d failed, %d skipped" % (d["ok"], d["failed"], d["skipped"])')"
}

test_stress()
{
	local signal

	run stress --seconds 1 --threads 3 --json
	expect "stress: --threads 3" "status 0, 3 threads, [0, 0, 0] broken" "status $status, $(json \
		'"%d threads, %s broken" % (d["threads"], [i["broken"] for i in d["invariants"]])')"
	expect "stress: operations of each kind, and by the backend" True "$(json \
		'all(i["operations"] for i in d["invariants"]) and d["by_backend"]["vector"] > 0')"
	expect "stress: not interrupted" False "$(json 'd["interrupted"]')"
	# Not to the group too, which would be a second interrupt.
	for signal in INT TERM; do
		timeout --foreground --preserve-status -s $signal 2 "$tool" stress \
			--seconds 1000000 --json > "$dir/out" 2> "$dir/err"
		expect "stress: SIG$signal ends it" "status 0, True" "status $?, $(json \
			'd["interrupted"] and d["invariants"][0]["operations"] > 0')"
		expect "stress: no progress in a pipe, SIG$signal" "" "$(cat "$dir/err")"
	done
	expect "stress: progress on a terminal" yes "$(timeout 60 python3 -c '
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
print("yes" if b" s, " in os.read(ours, 4096) else "no")' "$tool" stress --seconds 10)"
}

# Each ratio is that of the figures beside it.
test_bench()
{
	run bench --rounds 2 --json
	expect "bench: rounds" "status 0, 2" "status $status, $(json 'd["rounds"]')"
	expect "bench: the ratios are those of the figures" "1 1 True" "$(json '
"%d %d %s" % tuple((lambda plain, atomic: (len(plain), len(atomic),
	all(abs(f["to_plain"] - f["ns"] / plain[0]["ns"]) < 0.02 + f["to_plain"] / 20 and
	    abs(f["to_atomic"] - f["ns"] / atomic[0]["ns"]) < 0.02 + f["to_atomic"] / 20
	    for f in d["figures"])))(
	[f for f in d["figures"] if f["operation"].startswith("plain")],
	[f for f in d["figures"] if "getcpu" in f["operation"]]))')"
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
	for bad in 0 -1 1000001 1.5; do
		usage stress --seconds "$bad"
	done
	for bad in 0 -1 10001 1.5; do
		usage stress --threads "$bad"
	done
	usage bench --threads 1
	usage stress --rounds 1
	usage info selftest
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
	cp "$dir/out" "$dir/plain"
	run -h
	expect "-h: as --help" "status 0, $(cat "$dir/plain")" "status $status, $(cat "$dir/out")"
	run --version
	expect_match "--version" "status 0, rseq-op $(sed -n 's/^VERSION	:= //p' Makefile)" \
		"status $status, $(cat "$dir/out")"
	cp "$dir/plain" "$dir/out"
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
test_bench
test_filtered
test_stress
test_output
test_install
finish
