# SPDX-License-Identifier: MIT
#
# Benchmarks. What lies in bench/forms is linked into those that compare operations with
# other ways to do the same; librseq is one of them where pkg-config finds it.

forms := $(B)/bench/forms/forms.o
ifeq ($(shell pkg-config --exists librseq 2>/dev/null && echo yes),yes)
forms += $(B)/bench/forms/librseq.o
$(B)/bench/forms/librseq.o: CFLAGS += $(shell pkg-config --cflags librseq)
forms_libs := $(shell pkg-config --libs librseq)
endif

# Linked anew when librseq has come or gone.
$(B)/bench/forms/with: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(forms)' | cmp -s - $@ || echo '$(forms)' > $@

.PHONY: FORCE
FORCE:

$(B)/bench/fast $(B)/bench/threads: $(forms) $(B)/bench/forms/with

$(benches): $(B)/%: $(B)/%.o $(static)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $(filter %.o,$^) $(static) \
		$(forms_libs) -lm

bench: deps ## Measure operations, slow paths and, in a VM, the system call: table, CSV, SVG
	$(Q)$(MAKE) lib $(benches)
	$(Q)bench/run $(BENCH)
