#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Leases of the guard as a model, checked by SPIN: no fault is found, and each rule that is left
# out leads to one. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

model=$PWD/tests/model/lease.pml
. "$(dirname "$0")/spin.bash"

expect "leases" none "$(verify -DALONE)"
expect "leases of two threads" none "$(verify -DPREEMPTIONS=1)"
expect "where loads pass loads" none "$(verify -DWEAK -DALONE)"
expect "without a look at the tag" "assertion violated" "$(verify -DNOT_COMPARED)"
expect "without the fence after the lease" "assertion violated" "$(verify -DNO_LEASE_FENCE)"
expect "where a thread that closes over a lease fences the CPU alone" "assertion violated" \
	"$(verify -DNO_TAKER_FENCE)"
expect "where a lease is ended that is not there" "assertion violated" \
	"$(verify -DENDED_BLINDLY)"
expect "where two leases are alike" "assertion violated" "$(verify -DSAME_LEASE)"
expect "with an owner that dies" none "$(verify -DDIES -DALONE)"
expect "where the owner after a dead one takes a closed guard for one not leased" \
	"assertion violated" "$(verify -DDIES -DALONE -DNOT_FENCED_AGAIN)"
expect "with a fence for the CPU" none "$(verify -DFENCE_ONE -DALONE -DPREEMPTIONS=1)"
expect "where the fence looks at the lock first" "assertion violated" \
	"$(verify -DFENCE_ONE -DALONE -DPREEMPTIONS=1 -DLOCK_FIRST)"
expect "where nobody closes over a lease" "invalid end state" "$(verify -DNOT_TAKEN)"
expect "without the second fence, where loads pass loads" "assertion violated" \
	"$(verify -DWEAK -DALONE -DNO_SECOND_FENCE)"
finish
