#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Leases of the guard as a model, checked by SPIN: no fault is found, and each rule that is left
# out leads to one. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

model=$PWD/tests/model/lease.pml
. "$(dirname "$0")/spin.bash"

expect "leases" none "$(verify)"
expect "where loads pass loads" none "$(verify -DWEAK -DALONE)"
expect "without a look at the tag" "assertion violated" "$(verify -DNOT_COMPARED)"
expect "without the fence behind the lease" "assertion violated" "$(verify -DNO_LEASE_FENCE)"
expect "where who closes over a lease fences the CPU alone" "assertion violated" \
	"$(verify -DNO_TAKER_FENCE)"
expect "where a lease is ended that is not there" "assertion violated" \
	"$(verify -DENDED_BLINDLY)"
expect "where two leases are alike" "assertion violated" "$(verify -DSAME_LEASE)"
expect "where nobody closes over a lease" "invalid end state" "$(verify -DNOT_TAKEN)"
expect "without the second fence, where loads pass loads" "assertion violated" \
	"$(verify -DWEAK -DALONE -DNO_SECOND_FENCE)"
finish
