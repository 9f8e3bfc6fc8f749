# SPDX-License-Identifier: MIT
#
# Patched kernels. The work is done by tools/kernel.

KVER ?= 6.12
FLAVOUR ?= debug

.PHONY: kernel kernel-tree kernel-export check-series

kernel: ## Build the patched kernel unless cached (KVER=6.12|6.1 FLAVOUR=debug|kasan|perf|trace|all)
	$(Q)tools/kernel build $(KVER) $(FLAVOUR)

kernel-tree: ## Make build/linux-KVER, a git tree with the series applied
	$(Q)tools/kernel tree $(KVER)

kernel-export: ## Write the commits of build/linux-KVER back to kernel-patches/
	$(Q)tools/kernel export $(KVER)

check-series: ## Build and boot both series patch by patch (takes hours)
	$(Q)tests/run --label series --timeout 36000 tests/series/each
