#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fork() beside a runtime that stops the world with signals, for each way to get the library into a
# program, and each order of fork handlers. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

source=tests/install/world.c
keep=(-Wl,--whole-archive build/librseq_op.a -Wl,--no-whole-archive)
cc -O2 -pthread -o "$dir/static" "$source" "${keep[@]}"
cc -O2 -pthread -o "$dir/shared" "$source" -Wl,--no-as-needed -Lbuild -lrseq_op \
	-Wl,-rpath,"$PWD/build"
cc -O2 -pthread -o "$dir/plain" "$source"

# 142: it waits for ever; 3, 4: signals are blocked
status() { "$@"; echo $?; }

for order in early late; do
	expect "linked statically, handlers $order" 0 "$(status "$dir/static" $order)"
	expect "linked with the shared library, handlers $order" 0 "$(status "$dir/shared" $order)"
	expect "opened by dlopen(), handlers $order" 0 \
		"$(status "$dir/plain" $order build/librseq_op.so)"
done
finish
