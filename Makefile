# SPDX-License-Identifier: MIT
#
# make help	what there is
# make V=1	show each command

VERSION	:= 0.1.0
SOVERSION := 0

CC	?= cc
AR	?= ar
OBJCOPY	?= objcopy
CFLAGS	?= -O2 -g
B	:= build

prefix	?= /usr/local
libdir	?= $(prefix)/lib
includedir ?= $(prefix)/include
datadir	?= $(prefix)/share
mandir	?= $(datadir)/man

# What the sources need, whatever the caller puts into CPPFLAGS, CFLAGS and LDFLAGS.
need_cflags = $(CPPFLAGS) -std=gnu11 -D_GNU_SOURCE -Iinclude -Wall -Wextra -Wstrict-prototypes \
	       -Wmissing-prototypes -Werror -MMD -MP -MF $@.d
lib_cflags := -Ilib -fvisibility=hidden
test_cflags = -Itests/common -I$(dir $<) -Iinclude/rseq_op/librseq -pthread
# Functions of libc are looked up when the library is loaded (now): later the dynamic linker would
# do so on the stack of a signal handler, and take some kilobytes of it.
lib_ldflags := -Wl,-soname,librseq_op.so.$(SOVERSION) -Wl,-z,defs -Wl,-z,nodelete -Wl,-z,now \
	       -Wl,--version-script,lib/librseq_op.map

V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-7s %s\n' $(1) $(2);
endif

static := $(B)/librseq_op.a
shared := $(B)/librseq_op.so.$(VERSION)
lib_src := $(wildcard lib/*.c)
# For tests.
libnuma	:= -lnuma
cmocka	:= -lcmocka
# Programs: a source with main(), named after it. What else lies in the folder of a
# suite, or in its engine/, is linked into all programs of the suite.
suites	:= unit numa singlestep memory races fuzz
suite_src = $(wildcard tests/$(1)/*.c tests/$(1)/engine/*.c)
test_src := $(shell grep -lw '^int main' $(foreach s,$(suites),$(call suite_src,$(s))))
tests	:= $(patsubst %.c,$(B)/%,$(test_src))
test_common := $(patsubst %.c,$(B)/%.o,$(wildcard tests/common/*.c))
suite_common = $(patsubst %.c,$(B)/%.o,$(filter-out $(test_src),$(call suite_src,$(1))))
$(foreach s,$(suites),$(eval $(s)_common := $(call suite_common,$(s))))
fuzz_common += $(B)/lib/interp.o
benches	:= $(patsubst %.c,$(B)/%,$(wildcard bench/*.c))
examples := $(patsubst %.c,$(B)/%,$(wildcard examples/*.c))

.PHONY: all lib tests clean help deps check check-all check-failed check-unit check-mutants demo bench
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: lib tests tool $(benches) $(examples) ## Build library, tests, tool, benchmarks, examples

lib: $(static) $(shared) $(B)/librseq_op.so ## Build librseq_op, static and shared

tests: $(tests) ## Build the test programs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Parts of make check-all, and the minutes that each takes:'
	@tests/check --parts

deps: ## Install the Debian packages needed, or say which are missing
	$(Q)tools/deps

# These do all the set-up: the packages come first.
check: deps ## Run every suite in short form, on this machine and on Linux 6.12 in VMs
	$(Q)tests/check

check-all: ## Run all tests, or one part of them (PART=name)
	$(Q)tools/deps $(if $(filter-out aarch64,$(PART)),,--aarch64)
	$(Q)tests/check --all $(PART)

# By the name of a part.
check-%:
	$(Q)$(MAKE) check-all PART=$*

check-failed: ## Run what failed, or did not run, when tests last ran
	$(Q)tests/check --failed

check-unit: lib tests ## The unit tests alone, on this machine, in seconds
	$(Q)tests/check --only \
		'^host build/tests/unit/(ops|vector|typed|reasons|signal|fork|pool|structures|librseq)$$'

check-mutants: lib tests ## Plant faults one at a time; each must be caught by a test
	$(Q)tools/deps --aarch64
	$(Q)tests/mutants/run

demo: deps ## Show what rseq_op does, with figures (VM=6.12: in the VM too)
	$(Q)$(MAKE) lib $(examples)
	$(Q)tools/demo $(if $(VM),--vm $(VM))

include mk/kernel.mk
include mk/tool.mk
include mk/install.mk
include mk/plugin.mk
include mk/variants.mk

# The library

# No intermediate code in the static library: its objects are linked and their symbols
# hidden here, which needs machine code.
$(B)/lib/%.o: lib/%.c Makefile
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@) $(CC) $(CFLAGS) $(need_cflags) $(lib_cflags) -fno-lto -c -o $@ $<

$(B)/lib/%.lo: lib/%.c Makefile
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@) $(CC) $(CFLAGS) $(need_cflags) $(lib_cflags) -fPIC -c -o $@ $<

# There, functions come in groups that the program may have, too, and lose their names below.
ld_i386 = $(shell $(CC) $(CFLAGS) -dM -E -xc /dev/null | \
	    sed -n 's/.*__i386__ .*/-m elf_i386 --force-group-allocation/p')

# One object, so that the constructor is always linked in, and what is internal to
# the library is no name in the program.
$(B)/lib/librseq_op.o: $(patsubst %.c,$(B)/%.o,$(lib_src)) Makefile
	$(call say,LD,$@) $(LD) -r $(ld_i386) -o $@ $(filter %.o,$^) && $(OBJCOPY) --localize-hidden $@

$(static): $(B)/lib/librseq_op.o
	$(Q)rm -f $@
	$(call say,AR,$@) $(AR) rcs $@ $^

$(shared): $(patsubst %.c,$(B)/%.lo,$(lib_src)) lib/librseq_op.map Makefile
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -shared $(lib_ldflags) -o $@ $(filter %.lo,$^) -pthread

$(B)/librseq_op.so: $(shared)
	$(Q)ln -sf $(notdir $(shared)) $(B)/librseq_op.so.$(SOVERSION)
	$(Q)ln -sf librseq_op.so.$(SOVERSION) $@

# Programs

$(B)/tests/%.o: tests/%.c Makefile
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@) $(CC) $(CFLAGS) $(need_cflags) $(test_cflags) -c -o $@ $<

$(B)/%.o: %.c Makefile
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@) $(CC) $(CFLAGS) $(need_cflags) -pthread -c -o $@ $<

# Call sites are where they are written only if operations are inlined.
$(B)/tests/unit/sites.o: need_cflags += -O2

.SECONDEXPANSION:
$(tests): $(B)/%: $(B)/%.o $(test_common) $$($$(notdir $$(@D))_common) $(static) $(filter %.o,$(cmocka))
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ -Wl,--as-needed $(filter-out %.o,$(cmocka)) $(libnuma)

$(examples): $(B)/%: $(B)/%.o $(static)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^

# The dynamic linker must not look for functions on the stack that is measured.
$(B)/tests/unit/altstack: LDFLAGS += -Wl,-z,now

# With a part of the library that is internal.
$(B)/tests/unit/cpulist: $(B)/lib/cpulist.o

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)

include mk/bench.mk

# Around it

clean: ## Remove build/ (kernels stay in the cache)
	rm -rf $(B)
