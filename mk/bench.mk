# SPDX-License-Identifier: MIT
#
# Benchmarks. What lies in bench/forms is linked into those that compare operations with
# other ways to do the same; librseq is one of them where pkg-config finds it. Where not, its
# sequences are taken from the kernel's source, whose selftests have them, by earlier names.

forms := $(B)/bench/forms/forms.o
kernel_tools := $(B)/kernel-tools
selftests := $(kernel_tools)/testing/selftests/rseq
kernel_source := /usr/src/linux-source-6.12.tar.xz
ifeq ($(shell pkg-config --exists librseq 2>/dev/null && echo yes),yes)
forms += $(B)/bench/forms/librseq.o
$(B)/bench/forms/librseq.o: need_cflags += $(shell pkg-config --cflags librseq)
forms_libs := $(shell pkg-config --libs librseq)
else ifneq ($(wildcard $(kernel_source)),)
forms += $(B)/bench/forms/librseq.o $(selftests)/rseq.o
$(B)/bench/forms/librseq.o: need_cflags += -DLIBRSEQ_OF_KERNEL -isystem $(selftests)
$(B)/bench/forms/librseq.o: $(selftests)/rseq.c
endif

# Complete, or not there.
$(selftests)/rseq.c: $(kernel_source)
	$(call say,TAR,$(kernel_tools)) rm -rf $(kernel_tools) $(kernel_tools).new && \
		mkdir -p $(kernel_tools).new && \
		tar -xmf $< -C $(kernel_tools).new --strip-components=2 --wildcards '*/tools/include' \
		'*/tools/testing/selftests/rseq' '*/tools/testing/selftests/kselftest.h' && \
		mv $(kernel_tools).new $(kernel_tools)

$(selftests)/rseq.o: $(selftests)/rseq.c
	$(call say,CC,$@) $(CC) -O2 -w -I$(<D) -I$(kernel_tools)/include -c -o $@ $<

# Built and linked anew when librseq has come or gone.
$(B)/bench/forms/with: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(forms)' | cmp -s - $@ || echo '$(forms)' > $@

.PHONY: FORCE
FORCE:

$(B)/bench/forms/librseq.o: $(B)/bench/forms/with
$(B)/bench/fast $(B)/bench/threads: $(forms) $(B)/bench/forms/with

$(benches): $(B)/%: $(B)/%.o $(static)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $(filter %.o,$^) $(static) \
		$(forms_libs) -lm

bench: deps ## Measure operations, slow paths and, in a VM, the system call: table, CSV, SVG
	$(Q)$(MAKE) lib $(benches)
	$(Q)bench/run $(BENCH)
