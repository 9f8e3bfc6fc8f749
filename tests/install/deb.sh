#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The Debian packages: they build, hold what they should, and a program builds and runs
# with what is in them. Prints TAP.
. "$(dirname "$0")/../common/tap.bash"

# A copy, so that no other build is disturbed.
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$dir"
expect_success "make deb" make -C "$dir" deb DEB_BUILD_OPTIONS=nocheck
debs=("$dir"/build/deb/*.deb)
expect "packages" "librseq-op-dev librseq-op0 rseq-op" "$(for f in "${debs[@]}"; do
	[[ $f = *dbgsym* ]] || dpkg-deb -f "$f" Package; done | sort | xargs)"
for f in "${debs[@]}"; do
	expect_success "${f##*/}: unpacks" dpkg-deb -x "$f" "$dir/dest"
done
libdir=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
for f in "$libdir"/{librseq_op.so.0,librseq_op.so,librseq_op.a,pkgconfig/rseq_op.pc} \
	"$libdir/cmake/rseq_op/rseq_opConfig.cmake" /usr/include/rseq_op/rseq_op.h \
	/usr/bin/rseq-op /usr/share/man/man{1/rseq-op.1,2/cpu_opv.2,3/rseq_op.3}.gz; do
	expect "${f##*/} is in one" yes "$([ -e "$dir/dest$f" ] && echo yes)"
done
expect_success "all that the build needs is named" dpkg-checkbuilddeps debian/control
expect "probes" "aborted backend done" "$(readelf -n "$dir/dest$libdir/librseq_op.so.0" |
	sed -n 's/^ *Name: //p' | sort -u | xargs)"
expect "systemtap-sdt-dev is needed for them" 1 "$(grep -c '^ *systemtap-sdt-dev,' debian/control)"
export PKG_CONFIG_PATH="$dir/dest$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$dir/dest"
read -ra flags <<< "$(pkg-config --cflags --libs rseq_op)"
expect_success "a program builds" cc -o "$dir/program" tests/install/consumer.c "${flags[@]}" &&
	expect "and runs" 1000 "$(LD_LIBRARY_PATH="$dir/dest$libdir" "$dir/program" 2>&1)"
read -ra flags <<< "$(pkg-config --static --cflags --libs rseq_op)"
expect_success "a static one builds" cc -static -o "$dir/program" tests/install/consumer.c \
	"${flags[@]}" && expect "and runs, static" 1000 "$("$dir/program" 2>&1)"
finish
