# SPDX-License-Identifier: MIT
#
# The program rseq-op.

bindir	?= $(prefix)/bin
tool	:= $(B)/tools/rseq-op/rseq-op
tool_obj := $(patsubst %.c,$(B)/%.o,$(wildcard tools/rseq-op/*.c))

.PHONY: tool install-tool uninstall-tool
tool: $(tool) ## Build the program rseq-op

$(tool_obj): need_cflags += -Ibench -DVERSION='"$(VERSION)"'

$(tool): $(tool_obj) $(static)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^

install-tool: tool
	install -d "$(DESTDIR)$(bindir)" "$(DESTDIR)$(mandir)/man1"
	install -m 755 $(tool) "$(DESTDIR)$(bindir)"
	install -m 644 man/*.1 "$(DESTDIR)$(mandir)/man1"

uninstall-tool:
	rm -f "$(DESTDIR)$(bindir)/rseq-op" "$(DESTDIR)$(mandir)/man1/rseq-op.1"
