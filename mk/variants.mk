# SPDX-License-Identifier: MIT
#
# The library and its tests compiled in other ways, each in a folder of its own: what is
# build/tests/X here is there build/asan/tests/X, build/tsan/tests/X, build/delays/tests/X.

variants := asan tsan delays
asan	:= -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
# GCC warns that ThreadSanitizer knows nothing of fences; what needs them is not run with it.
tsan	:= -O1 -fsanitize=thread -Wno-tsan
delays	:= -include tests/common/delays.h

.PHONY: check-sanitizers check-delays $(variants) FORCE

check-sanitizers: deps asan tsan ## The tests under ASan, UBSan and TSan, on this machine
	$(Q)tests/check sanitizers

check-delays: deps delays ## The tests with a delay between any two steps
	$(Q)tests/check delays

$(variants):
	$(Q)$(MAKE) B=build/$@ CFLAGS='$(CFLAGS) $($@)' tests

# One program of a variant.
ifeq ($(B),build)
define variant
build/$(1)/tests/%: FORCE
	$$(Q)$$(MAKE) B=build/$(1) CFLAGS='$$(CFLAGS) $$($(1))' $$@
endef
$(foreach v,$(variants),$(eval $(call variant,$(v))))
endif
