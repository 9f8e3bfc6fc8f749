#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tls.sh [LIBRARY]: the thread-local storage of the shared library. dlopen() gives it a place
# in the static TLS block, where little is left: glibc promises some dozens of bytes, and in
# some releases an alignment of at most 32.
. "$(dirname "$0")/../common/tap.bash"

library=${1-build/librseq_op.so}

# The program header: TLS offset, two addresses, size in file, size in memory, flags, alignment.
read -r _ _ _ _ _ size _ align <<< "$(readelf -lW "$library" | grep '^ *TLS ')"

expect "an alignment of at most 32" yes \
	"$([ "$((${align:-99}))" -le 32 ] && echo yes || echo "${align:-none}")"
expect "a size of 1 to 64 bytes" yes \
	"$([ "$((${size:-0}))" -ge 1 ] && [ "$((${size:-0}))" -le 64 ] && echo yes || echo "${size:-none}")"
expect "no call of __tls_get_addr(), no descriptor" "" \
	"$(readelf -rW "$library" | grep -E 'DTPMOD|DTPOFF|TLSDESC|__tls_get_addr')"
finish
