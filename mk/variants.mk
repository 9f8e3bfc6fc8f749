# SPDX-License-Identifier: MIT
#
# The library and its tests compiled in other ways, each in a folder of its own: what is
# build/tests/X here is there build/asan/tests/X, build/tsan/tests/X, build/delays/tests/X,
# build/i386/tests/X.

variants := asan tsan delays i386
asan	:= CFLAGS='$(CFLAGS) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all'
# GCC warns that ThreadSanitizer knows nothing of fences; what needs them is not run with it.
tsan	:= CFLAGS='$(CFLAGS) -O1 -fsanitize=thread -Wno-tsan'
delays	:= CFLAGS='$(CFLAGS) -include tests/common/delays.h'
# gcc-multilib has no more than the C library.
i386	 = CC='gcc -m32' LDFLAGS='$(LDFLAGS) -L$(i386_libs) -Wl,-rpath,$(i386_libs)'
i386_libs = $(or $(shell tools/sysroot i386),$(error no libraries for i386))/usr/lib/i386-linux-gnu

.PHONY: $(variants) FORCE

$(variants):
	$(Q)$(MAKE) B=build/$@ $($@) tests

# One program of a variant.
ifeq ($(B),build)
define variant
build/$(1)/tests/%: FORCE
	$$(Q)$$(MAKE) B=build/$(1) $$($(1)) $$@
endef
$(foreach v,$(variants),$(eval $(call variant,$(v))))
endif
