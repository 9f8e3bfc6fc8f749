#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What tools/vm takes for a complaint of the kernel, tried on lines as the
# kernel prints them. No VM is booted. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

complaints=(
	"WARNING: CPU: 3 PID: 71 at kernel/sched/core.c:210 f+0x1/0x2"
	"WARNING: possible circular locking dependency detected"
	"WARNING: possible recursive locking detected"
	"WARNING: bad unlock balance detected!"
	"WARNING: inconsistent lock state"
	"WARNING: suspicious RCU usage"
	"INFO: possible irq lock inversion dependency detected"
	"INFO: trying to register non-static key."
	"INFO: lockdep is turned off."
	"INFO: task prog:72 blocked for more than 120 seconds."
	"rcu: INFO: rcu_preempt self-detected stall on CPU"
	"rcu: rcu_preempt kthread starved for 2500 jiffies! g1 f0x0"
	"BUG: sleeping function called from invalid context at mm/gup.c:1"
	"BUG: scheduling while atomic: prog/72/0x00000002"
	"BUG: using smp_processor_id() in preemptible [00000000] code: p/7"
	"BUG: Bad page state in process prog  pfn:00123"
	"BUG: KASAN: use-after-free in f+0x1/0x2"
	"BUG: KFENCE: out-of-bounds read in f+0x1/0x2"
	"kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"
	"BUG: kernel NULL pointer dereference, address: 0000000000000008"
	"BUG: MAX_LOCKDEP_CHAINS too low!"
	"watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [prog:72]"
	"kernel BUG at mm/gup.c:1!"
	"GUP no longer grows the stack in prog (72): 7ffd1000-7ffd2000 (7ffd0000)"
	"Call Trace:"
	"UBSAN: array-index-out-of-bounds in mm/gup.c:1:2"
	"Oops: general protection fault, probably for address 0x1: 0000 [#1]"
	"general protection fault: 0000 [#1] PREEMPT SMP"
	"Kernel panic - not syncing: sysrq triggered crash"
	"list_add corruption. prev->next should be next (1), but was 2."
	"refcount_t: underflow; use-after-free."
)

harmless=(
	"Linux version 6.12.0-cpu_opv-debug (cpu_opv@localhost) #1 SMP PREEMPT"
	"Kernel command line: console=ttyS0 ignore_loglevel panic=-1"
	"Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar"
	"rcu: Preemptible hierarchical RCU implementation."
	"rcu: 	RCU lockdep checking is enabled."
	"traps: prog[72] general protection fault ip:401000 sp:7ffe0 error:0"
	"prog[72]: segfault at 0 ip 0000000000401000 sp 7ffe0 error 6"
	"clocksource: timekeeping watchdog on CPU1: Marking clocksource unstable"
	"PM: BUG_ON is a macro, and so is WARNING"
	"kmemleak: Kernel memory leak detector initialized (mem pool available: 15757)"
	"debug: unmapping init [mem 0xffffffff81a00000-0xffffffff81bfffff]"
)

# status_of LINE: exit status of the scan of a log that holds it.
status_of()
{
	local status=0

	printf '[    0.000000] Linux version\r\n%s\r\n' "$1" >"$dir/log"
	tools/vm --scan "$dir/log" >/dev/null || status=$?
	printf '%d\n' "$status"
}

# test_scan EXPECTED NAME LINE
test_scan()
{
	expect "$2: ${3//\#/}" "status $1" "status $(status_of "$3")"
}

for line in "${complaints[@]}"; do
	test_scan 125 complaint "[   12.345678] $line"
done
for line in "${harmless[@]}"; do
	test_scan 0 harmless "[   12.345678] $line"
done
test_scan 0 "not from the kernel" "WARNING: a program wrote this"

# dying TOTAL NAME...: the warning of a CPU that goes down, with these tasks on it.
dying()
{
	local at="[   12.345678]" total=$1
	shift

	printf '%s Dying CPU not properly vacated!\n' "$at"
	printf '%s WARNING: CPU: 3 PID: 335 at kernel/sched/core.c:8365 sched_cpu_dying+0x1/0x2\n' "$at"
	printf '%s Call Trace:\n%s ---[ end trace 0000000000000000 ]---\n' "$at" "$at"
	printf '%s CPU3 enqueued tasks (%s total):\n' "$at" "$total"
	printf "$at "'\tpid: 335, name: %s\n' "$@"
	printf '%s smpboot: CPU 3 is now offline\n' "$at"
}

expect "the deadline server of a dying CPU is left out" "status 0" \
	"status $(status_of "$(dying 2 migration/3)" 2> /dev/null)"
expect "on arm64, too" "status 0" "status $(status_of "$(dying 2 migration/3 |
	sed "s/smpboot: .*/psci: CPU3 killed (polled 0 ms)/")" 2> /dev/null)"
expect "but not what stands there when another CPU dies" "status 125" "status $(status_of "$(
	dying 2 migration/3 prog | sed "\$d"; dying 2 migration/3)" 2> /dev/null)"
expect "another task there is not" "status 125" \
	"status $(status_of "$(dying 2 migration/3 prog)")"
expect "nor a third that is not shown" "status 125" "status $(status_of "$(dying 3 migration/3)")"
# while_dying LINE: that warning, and somebody else's line in its dump.
while_dying() { dying 2 migration/3 | sed "/enqueued tasks/a [   12.345678] $1"; }

expect "what others print meanwhile does not matter" "status 0" \
	"status $(status_of "$(while_dying "tsc: Refined TSC clocksource calibration")" 2> /dev/null)"
expect "but for a complaint" "status 125" \
	"status $(status_of "$(while_dying "BUG: f")" 2> /dev/null)"
expect "nor a complaint after it" "status 125" \
	"status $(status_of "$(dying 2 migration/3; echo "[   13.000000] BUG: f")" 2> /dev/null)"
finish
