#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Leases of the guard as a model, checked by SPIN: no fault is found, and each rule that is left
# out leads to one. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

model=$PWD/tests/model/lease.pml
. "$(dirname "$0")/spin.bash"

verdict none "leases" -DALONE
verdict none "leases of two threads" -DPREEMPTIONS=1
verdict none "where loads pass loads" -DWEAK -DALONE
verdict "assertion violated" "without a look at the tag" -DNOT_COMPARED
verdict "assertion violated" "without the fence after the lease" -DNO_LEASE_FENCE
verdict "assertion violated" "where a thread that closes over a lease fences the CPU alone" \
	-DNO_TAKER_FENCE
verdict "assertion violated" "where a lease is ended that is not there" -DENDED_BLINDLY
verdict "assertion violated" "where two leases are alike" -DSAME_LEASE
verdict none "with an owner that dies" -DDIES -DALONE
verdict "assertion violated" "where the owner after a dead one takes a closed guard for one not leased" \
	-DDIES -DALONE -DNOT_FENCED_AGAIN
verdict none "with a fence for the CPU" -DFENCE_ONE -DALONE -DPREEMPTIONS=1
verdict "assertion violated" "where the fence looks at the lock first" \
	-DFENCE_ONE -DALONE -DPREEMPTIONS=1 -DLOCK_FIRST
verdict "invalid end state" "where nobody closes over a lease" -DNOT_TAKEN
verdict "assertion violated" "without the second fence, where loads pass loads" \
	-DWEAK -DALONE -DNO_SECOND_FENCE
finish_verdicts
