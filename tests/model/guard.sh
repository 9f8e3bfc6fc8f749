#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The guard protocol as a model, checked by SPIN: no fault is found, and each rule that is
# left out leads to one. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

model=$PWD/tests/model/guard.pml
. "$(dirname "$0")/spin.bash"

expect "the protocol" none "$(verify)"
expect "where loads pass loads" none "$(verify -DWEAK)"
expect "with holders on the CPU itself" none "$(verify -DHERE -DSWITCHES=4)"
expect "with holders there, where loads pass loads" none "$(verify -DHERE -DSWITCHES=3 -DWEAK)"
expect "in a child of fork()" none "$(verify -DFORKED)"
expect "without the fence" "assertion violated" "$(verify -DNO_FENCE)"
expect "without closing" "assertion violated" "$(verify -DNO_CLOSE)"
expect "with the fence before closing" "assertion violated" "$(verify -DLATE_CLOSE)"
expect "with a look at the CPU before closing" "assertion violated" \
	"$(verify -DHERE -DSWITCHES=4 -DEARLY_LOOK)"
expect "where preemption does not abort" "assertion violated" "$(verify -DNO_ABORT)"
expect "without the second fence, where loads pass loads" "assertion violated" \
	"$(verify -DWEAK -DNO_SECOND_FENCE)"
expect "with the holder's signals open" "invalid end state" "$(verify -DSIGNALS_OPEN)"
expect "in a child that does not open" "invalid end state" \
	"$(verify -DFORKED -DNO_CHILD_HANDLER)"
expect "in a child that has a signal before it opens" "invalid end state" \
	"$(verify -DFORKED -DFORK_SIGNALS_OPEN)"
finish
