# SPDX-License-Identifier: MIT
#
# Plugins for tests/unit/unload.c: as anybody would build one, and one whose compiler was
# made to believe that it is for an executable, which does not have to be kept.

plugins := $(B)/tests/plugin/kept.so $(B)/tests/plugin/unkept.so

$(B)/tests/plugin/unkept.so: plugin_cflags := -D__PIE__=1

$(plugins): tests/plugin/plugin.c mk/plugin.mk $(B)/librseq_op.so
	$(Q)mkdir -p $(@D)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) $(need_cflags) -fPIC $(plugin_cflags) -shared -o $@ $< \
		-L$(B) -lrseq_op -Wl,-rpath,'$$ORIGIN/../..'

# A program without a copy of the library, which opens the shared one.
opener	:= $(B)/tests/plugin/opener

$(opener): tests/plugin/opener.c mk/plugin.mk | $(B)/librseq_op.so
	$(Q)mkdir -p $(@D)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) $(need_cflags) -pthread -o $@ $<

# Not in the other variants, which have no shared library.
ifneq ($(filter $(B),build build/i386),)
$(B)/tests/unit/unload: | $(plugins)
endif
ifneq ($(filter $(B),build build/i386 build/aarch64),)
tests: $(opener)
endif
