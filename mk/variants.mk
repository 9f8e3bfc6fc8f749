# SPDX-License-Identifier: MIT
#
# The library and its tests compiled in other ways, each in a folder of its own: what is
# build/tests/X here is there build/asan/tests/X, build/tsan/tests/X, build/delays/tests/X,
# build/i386/tests/X, build/musl/tests/X.

variants := asan tsan delays i386 musl
asan	:= CFLAGS='$(CFLAGS) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all'
# GCC warns that ThreadSanitizer knows nothing of fences; what needs them is not run with it.
tsan	:= CFLAGS='$(CFLAGS) -O1 -fsanitize=thread -Wno-tsan'
delays	:= CFLAGS='$(CFLAGS) -include tests/common/delays.h'
# gcc-multilib has no more than the C library.
i386	 = CC='gcc -m32' LDFLAGS='$(LDFLAGS) -L$(i386_libs) -Wl,-rpath,$(i386_libs)'
i386_libs = $(or $(shell tools/sysroot i386),$(error no libraries for i386))/usr/lib/i386-linux-gnu
# The C library alone: no libnuma for the tests, and a substitute for cmocka. musl-gcc looks for
# headers of musl only, so it is shown those of the kernel, which depend on no C library.
musl	 = CC='musl-gcc -idirafter build/musl/kernel -Itests/musl' libnuma= \
	   cmocka=build/musl/tests/musl/cmocka.o tests='$(musl_tests:%=build/musl/tests/%)'
musl_tests := unit/exec unit/fork unit/librseq unit/life unit/meddle unit/ops unit/owner \
	      unit/pool unit/structures unit/lock \
	      unit/reasons unit/signal unit/sites unit/typed unit/vector numa/fences \
	      numa/increments numa/leases numa/typed singlestep/step fuzz/vectors

.PHONY: $(variants) FORCE

$(variants):
	$(Q)$(MAKE) B=build/$@ $($@) tests

# Headers of the kernel only.
musl_needs := build/musl/kernel
musl: | $(musl_needs)
build/musl/kernel:
	$(Q)mkdir -p $@
	$(Q)ln -s /usr/include/linux /usr/include/asm-generic \
		/usr/include/$(shell gcc -print-multiarch)/asm $@

# One program of a variant.
ifeq ($(B),build)
define variant
build/$(1)/tests/%: FORCE | $($(1)_needs)
	$$(Q)$$(MAKE) B=build/$(1) $$($(1)) $$@
endef
$(foreach v,$(variants),$(eval $(call variant,$(v))))
endif
