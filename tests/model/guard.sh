#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The guard protocol as a model, checked by SPIN: no fault is found, and each rule that is
# left out leads to one. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

model=$PWD/tests/model/guard.pml
. "$(dirname "$0")/spin.bash"

expect "the protocol" none "$(verify -DSWITCHES=3)"
expect "where loads pass loads" none "$(verify -DWEAK -DSWITCHES=1)"
expect "with owners on the CPU itself" none "$(verify -DHERE -DSWITCHES=2)"
expect "with owners there, where loads pass loads" none "$(verify -DHERE -DSWITCHES=1 -DWEAK)"
expect "in a child of fork()" none "$(verify -DFORKED -DSWITCHES=2)"
expect "with an owner that dies" none "$(verify -DDIES -DSWITCHES=1)"
expect "without the fence" "assertion violated" "$(verify -DNO_FENCE)"
expect "without closing" "assertion violated" "$(verify -DNO_CLOSE)"
expect "with the fence before closing" "assertion violated" "$(verify -DLATE_CLOSE)"
expect "with a look at the CPU before closing" "assertion violated" \
	"$(verify -DHERE -DEARLY_LOOK)"
expect "where preemption does not abort" "assertion violated" "$(verify -DNO_ABORT)"
expect "without the second fence, where loads pass loads" "assertion violated" \
	"$(verify -DWEAK -DNO_SECOND_FENCE)"
expect "with the owner's signals open" "invalid end state" "$(verify -DSIGNALS_OPEN)"
expect "where the lock of a dead owner is not taken over" "invalid end state" \
	"$(verify -DDIES -DNOT_TAKEN_OVER -DSWITCHES=1)"
expect "where the owner after a dead one does not fence" "assertion violated" \
	"$(verify -DDIES -DNOT_FENCED_AGAIN -DSWITCHES=1)"
expect "in a child where the lock stays with the parent's thread" "invalid end state" \
	"$(verify -DFORKED -DNOT_TAKEN_OVER -DSWITCHES=1)"
finish
