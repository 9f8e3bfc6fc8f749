#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What "tools/aarch64 run" makes of a program's end and of the kernel's: scripts, run by the
# busybox of the VM. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

context() { tail -n 20 "$dir/output" "$dir/errors"; }

# status_of SCRIPT [OPTION...]
status_of()
{
	printf '#!/bin/sh\n%s\n' "$1" > "$dir/program"
	chmod 755 "$dir/program"
	tools/aarch64 run "${@:2}" "$dir/program" "an argument" > "$dir/output" 2> "$dir/errors"
	echo $?
}

# shellcheck disable=SC2016 # expands in the VM
expect "a program's status" 3 \
	"$(RSEQ_OP_NAME="a value" status_of 'echo "$RSEQ_OP_NAME, $1"; exit 3')"
expect "its environment, argument and output" "a value, an argument" "$(cat "$dir/output")"
expect "what is no complaint" 0 "$(status_of 'echo "a line" > /dev/kmsg')"
expect "a kernel that complains" 125 "$(status_of 'echo "WARNING: planted" > /dev/kmsg')"
expect "a program that does not end" 124 "$(status_of 'sleep 1000' --timeout 30)"
finish
