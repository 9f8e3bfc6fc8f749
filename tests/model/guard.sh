#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The guard protocol as a model, checked by SPIN: no fault is found, and each rule that is
# left out leads to one. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

model=$PWD/tests/model/guard.pml
. "$(dirname "$0")/spin.bash"

verdict none "the protocol" -DSWITCHES=3
verdict none "where loads pass loads" -DWEAK -DSWITCHES=1
verdict none "with owners on the CPU itself" -DHERE -DSWITCHES=2
verdict none "with owners there, where loads pass loads" -DHERE -DSWITCHES=1 -DWEAK
verdict none "in a child of fork()" -DFORKED -DSWITCHES=2
verdict none "with an owner that dies" -DDIES -DSWITCHES=1
verdict "assertion violated" "without the fence" -DNO_FENCE
verdict "assertion violated" "without closing" -DNO_CLOSE
verdict "assertion violated" "with the fence before closing" -DLATE_CLOSE
verdict "assertion violated" "with a look at the CPU before closing" -DHERE -DEARLY_LOOK
verdict "assertion violated" "where preemption does not abort" -DNO_ABORT
verdict "assertion violated" "without the second fence, where loads pass loads" \
	-DWEAK -DNO_SECOND_FENCE
verdict "invalid end state" "with the owner's signals open" -DSIGNALS_OPEN
verdict "invalid end state" "where the lock of a dead owner is not taken over" \
	-DDIES -DNOT_TAKEN_OVER -DSWITCHES=1
verdict "assertion violated" "where the owner after a dead one does not fence" \
	-DDIES -DNOT_FENCED_AGAIN -DSWITCHES=1
verdict "invalid end state" "in a child where the lock stays with the parent's thread" \
	-DFORKED -DNOT_TAKEN_OVER -DSWITCHES=1
finish_verdicts
