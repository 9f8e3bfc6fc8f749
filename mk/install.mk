# SPDX-License-Identifier: MIT
#
# Where the library goes, and packages of it.

.PHONY: install uninstall dist deb abi

D = $(DESTDIR)
fill = sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' \
	   -e 's|@includedir@|$(includedir)|' -e 's|@version@|$(VERSION)|' \
	   -e 's|@soversion@|$(SOVERSION)|' -e 's|@includedir_from_libdir@|$(shell \
	   realpath -m --relative-to='$(libdir)' '$(includedir)')|' $< > "$@"

# Made anew each time: they depend on the folders.
found_by := $(B)/rseq_op.pc $(B)/rseq_opConfig.cmake $(B)/rseq_opConfigVersion.cmake

.PHONY: $(found_by)
$(found_by): $(B)/%: lib/%.in
	$(Q)$(fill)

install: lib install-tool $(found_by) ## Install library, tool, headers, man pages (DESTDIR= prefix= libdir=)
	install -d "$(D)$(libdir)/pkgconfig" "$(D)$(libdir)/cmake/rseq_op" \
		"$(D)$(includedir)/rseq_op/detail/arch" "$(D)$(includedir)/rseq_op/librseq/rseq" \
		"$(D)$(includedir)/linux" "$(D)$(datadir)/rseq_op" "$(D)$(mandir)/man2" \
		"$(D)$(mandir)/man3"
	install -m 644 $(static) "$(D)$(libdir)"
	install -m 644 $(shared) "$(D)$(libdir)"
	ln -sf $(notdir $(shared)) "$(D)$(libdir)/librseq_op.so.$(SOVERSION)"
	ln -sf librseq_op.so.$(SOVERSION) "$(D)$(libdir)/librseq_op.so"
	install -m 644 $(B)/rseq_op.pc "$(D)$(libdir)/pkgconfig"
	install -m 644 $(B)/rseq_opConfig.cmake $(B)/rseq_opConfigVersion.cmake \
		"$(D)$(libdir)/cmake/rseq_op"
	install -m 644 include/rseq_op/*.h "$(D)$(includedir)/rseq_op"
	install -m 644 include/rseq_op/detail/*.h "$(D)$(includedir)/rseq_op/detail"
	install -m 644 include/rseq_op/detail/arch/*.h "$(D)$(includedir)/rseq_op/detail/arch"
	install -m 644 include/rseq_op/librseq/rseq/rseq.h "$(D)$(includedir)/rseq_op/librseq/rseq"
	install -m 644 include/linux/cpu_opv.h "$(D)$(includedir)/linux"
	install -m 644 lib/rseq_op.supp "$(D)$(datadir)/rseq_op"
	install -m 644 man/*.2 "$(D)$(mandir)/man2"
	install -m 644 man/*.3 "$(D)$(mandir)/man3"
	$(if $(D),,-ldconfig)

uninstall: uninstall-tool ## Remove what install put there
	cd "$(D)$(libdir)" && rm -f librseq_op.a librseq_op.so librseq_op.so.$(SOVERSION) \
		$(notdir $(shared)) pkgconfig/rseq_op.pc && rm -rf cmake/rseq_op
	cd "$(D)$(mandir)" && rm -f $(patsubst man/%.2,man2/%.2,$(wildcard man/*.2)) \
		$(patsubst man/%.3,man3/%.3,$(wildcard man/*.3))
	rm -f "$(D)$(includedir)/linux/cpu_opv.h"
	rm -rf "$(D)$(includedir)/rseq_op" "$(D)$(datadir)/rseq_op"

dist: ## Pack what is committed into build/rseq_op-VERSION.tar.gz
	$(Q)mkdir -p $(B)
	git archive --prefix=rseq_op-$(VERSION)/ -o $(B)/rseq_op-$(VERSION).tar.gz HEAD

deb_tree := $(B)/deb/rseq-op-$(VERSION)

deb: ## Build Debian packages in build/deb
	rm -rf $(B)/deb
	mkdir -p $(deb_tree)
	tar -c --exclude=./$(B) --exclude=./.git . | tar -x -C $(deb_tree)
	cd $(deb_tree) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS dpkg-buildpackage -us -uc -b
	rm -r $(deb_tree)

abi: $(shared) ## Take the interface as it is now for that of the last release (x86-64)
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed \
		--type-id-style hash --headers-dir include --drop-private-types \
		--out-file lib/librseq_op.abi $(shared)
