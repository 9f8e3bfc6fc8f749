# SPDX-License-Identifier: MIT
#
# Benchmarks. What lies in bench/forms is linked into those that compare operations with
# other ways to do the same; librseq is one of them where pkg-config finds it. Where not, its
# sequences are taken from the kernel's source, whose selftests have them, by earlier names.

forms := $(B)/bench/forms/forms.o
kernel_tools := $(B)/kernel-tools
selftests := $(kernel_tools)/testing/selftests/rseq
kernel_source := $(lastword $(sort $(wildcard /usr/src/linux-source-6.*.tar.xz)))
ifeq ($(shell pkg-config --exists librseq 2>/dev/null && echo yes),yes)
forms += $(B)/bench/forms/librseq.o
$(B)/bench/forms/librseq.o: CFLAGS += $(shell pkg-config --cflags librseq)
forms_libs := $(shell pkg-config --libs librseq)
else ifneq ($(kernel_source),)
forms += $(B)/bench/forms/librseq.o $(selftests)/rseq.o
$(B)/bench/forms/librseq.o: CFLAGS += -DLIBRSEQ_OF_KERNEL -isystem $(selftests)
$(B)/bench/forms/librseq.o: $(selftests)/rseq.c

$(selftests)/rseq.c: $(kernel_source)
	$(call say,TAR,$(@D)) mkdir -p $(kernel_tools) && \
		tar -xmf $< -C $(kernel_tools) --strip-components=2 --wildcards '*/tools/include' \
		'*/tools/testing/selftests/rseq' '*/tools/testing/selftests/kselftest.h'

$(selftests)/rseq.o: $(selftests)/rseq.c
	$(call say,CC,$@) $(CC) -O2 -w -I$(<D) -I$(kernel_tools)/include -c -o $@ $<
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
