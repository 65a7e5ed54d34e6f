# make                build into $(O) (default build)     make check        unit tests, includes, format
# make SAN=1 ...      ASan + UBSan, into build-san         make check-unit   unit tests only
# make WERROR=1 ...   warnings are errors                  make check-netns  namespace tests (root)
# make fuzz           build the libFuzzer targets          make fuzz-run     each for FUZZ_SECONDS
# make fuzz-selftest  the same, each with a planted bug
# make lint           shellcheck, mandoc                   make fmt          clang-format in place
# make TSAN=1 ...     ThreadSanitizer, into build-tsan     make bench        how long spctl itself takes (root)
# make install        DESTDIR PREFIX SBINDIR MANDIR UNITDIR  make dist       source archive
# make V=1            show the commands                    make help         this text
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/spctl
UNITDIR ?= $(PREFIX)/lib/systemd/system
PKG_CONFIG ?= pkg-config
CLANG ?= clang
CLANG_FORMAT ?= clang-format
FUZZ_SECONDS ?= 60
O ?= build$(if $(SAN),-san)$(if $(TSAN),-tsan)$(if $(FAILPOINTS),-fp)
VERSION := $(shell sed -n 's/^\#define SPCTL_VERSION "\(.*\)"/\1/p' ctl/cli/version.h)

PKGS := libmnl libnftnl libfyaml jansson libnetfilter_conntrack libcap-ng libcares libseccomp
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -MMD -MP -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wcast-qual -Werror=format-security -fstack-protector-strong \
	$(shell $(PKG_CONFIG) --cflags $(PKGS)) $(CFLAGS)
ALL_LDLIBS = $(shell $(PKG_CONFIG) --libs $(PKGS)) -lm -pthread $(LDLIBS)
ifdef WERROR
ALL_CFLAGS += -Werror
endif
ifdef SAN
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif
ifdef TSAN
ALL_CFLAGS += -fsanitize=thread -fno-omit-frame-pointer
LDFLAGS += -fsanitize=thread
endif
# Test builds only: SPCTL_FAILPOINT=name stops there (tests/netns/failpoints.sh).
ifdef FAILPOINTS
ALL_CFLAGS += -DSPCTL_FAILPOINTS
endif
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(Q),@printf '  %-7s %s\n' $(1) '$(2)')

LIB_SRC := $(sort $(wildcard acme/*.c dataplane/*.c) $(filter-out ctl/cli/main.c,$(wildcard ctl/*/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(O)/%.o)
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c))
UNIT := $(UNIT_SRC:%.c=$(O)/%)
# What ThreadSanitizer has to see, with nothing but the dataplane: tests/threads/NAME is that
# tests/unit/NAME.
THREADS := $(addprefix $(O)/tests/threads/,$(addsuffix _test,access_log balance dataplane \
	dataplane_threads health limit loop name_book names plane_names plane_redecide pool relay wire))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ := $(FUZZ_SRC:%.c=$(O)/%)
FUZZ_SELFTEST := $(FUZZ_SRC:tests/fuzz/%.c=$(O)/tests/fuzz-selftest/%)
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
TOOL := $(TOOL_SRC:%.c=$(O)/%) $(patsubst %.c,$(O)/%.so,$(wildcard tests/preload/*.c))
# spctl's own code against real packets, and spctl with one bug each that this has to find.
LAB := $(O)/tests/netns/packets_property
TIERS := $(O)/tests/netns/tiers_property
PLANTED_SRC := $(sort $(wildcard tests/planted/*.c tests/planted_tiers/*.c))
PLANTED := $(PLANTED_SRC:%.c=$(O)/%)
C_FILES := $(sort $(wildcard ctl/*/*.[ch] acme/*.[ch] dataplane/*.[ch] bpf/*.[ch] tests/*/*.[ch]))

all: $(O)/spctl $(O)/spctl.8 $(O)/spctl-routes.5
tools: $(TOOL) $(LAB) $(TIERS) $(PLANTED)
unit: $(UNIT)
threads: $(THREADS)
fuzz: $(FUZZ)
fuzz-selftest: $(FUZZ_SELFTEST)

$(O)/spctl: $(O)/ctl/cli/main.o $(O)/libspctl.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LDLIBS)
$(O)/libspctl.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(O)/%.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(O)/tests/unit/%: $(O)/tests/unit/%.o $(O)/libspctl.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LDLIBS) -lcmocka
$(O)/libdataplane.a: $(filter $(O)/dataplane/% $(O)/ctl/base/%,$(LIB_OBJ))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(O)/tests/threads/%: $(O)/tests/unit/%.o $(O)/libdataplane.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LDLIBS) -lcmocka
# What real clients send: OpenSSL's hellos.
$(O)/tests/unit/hello_client_test: LDLIBS += $(shell $(PKG_CONFIG) --libs openssl)
$(TIERS): $(O)/tests/netns/tiers_counts.o $(O)/tests/netns/tiers_check.o
LAB_OBJ := $(O)/tests/netns/property_run.o $(O)/tests/netns/packets_lab.o $(O)/tests/netns/packets_expect.o
$(LAB) $(TIERS): %: %.o $(LAB_OBJ) $(O)/libspctl.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(O)/libspctl.a $(ALL_LDLIBS)
$(PLANTED): %: %.o $(O)/ctl/cli/main.o $(O)/libspctl.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(ALL_LDLIBS)
# The tools run beside spctl in tests, never as part of it: libc only (one asks for names of calls).
$(O)/tests/tools/callfilter: TOOL_LDLIBS = -lseccomp
$(O)/tests/tools/%: tests/tools/%.c $(wildcard tests/tools/*.h) Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra $(if $(WERROR),-Werror) -o $@ $< -pthread $(TOOL_LDLIBS)
$(O)/tests/preload/%.so: tests/preload/%.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra $(if $(WERROR),-Werror) -fPIC -shared -o $@ $<
# The fuzz targets share one instrumented library, apart from the plain one. It also counts what ran.
FUZZ_FLAGS = $(ALL_CFLAGS) -Wno-cast-qual $(FUZZ_CFLAGS)
FUZZ_SAN = address,undefined -fno-sanitize-recover=all -fprofile-instr-generate -fcoverage-mapping
$(O)/fuzz/obj/%.o: %.c Makefile
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -c -o $@ $<
$(O)/fuzz/selftest/%.o: tests/fuzz/%.c Makefile
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -DFUZZ_SELFTEST -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -c -o $@ $<
$(O)/fuzz/libspctl.a: $(LIB_SRC:%.c=$(O)/fuzz/obj/%.o)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(O)/tests/fuzz/%: $(O)/fuzz/obj/tests/fuzz/%.o $(O)/fuzz/libspctl.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -fsanitize=fuzzer,$(FUZZ_SAN) -o $@ $^ $(ALL_LDLIBS)
$(O)/tests/fuzz-selftest/%: $(O)/fuzz/selftest/%.o $(O)/fuzz/libspctl.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -fsanitize=fuzzer,$(FUZZ_SAN) -o $@ $^ $(ALL_LDLIBS)

# The manual pages come from the command table and the key table of the binary itself.
$(O)/spctl.8: $(O)/spctl man/spctl.8.in
	$(call say,MAN,$@)
	$(Q)$(O)/spctl help --man man/spctl.8.in > $@.tmp && mv $@.tmp $@
$(O)/spctl-routes.5: $(O)/spctl man/spctl-routes.5.in
	$(call say,MAN,$@)
	$(Q)$(O)/spctl schema --man man/spctl-routes.5.in > $@.tmp && mv $@.tmp $@

check: check-unit check-includes fmt-check lint
check-unit: $(UNIT)
	$(Q)scripts/run-unit $(UNIT)
check-includes:
	$(Q)scripts/check-includes
check-netns: $(O)/spctl tools
	$(Q)O=$(O) tests/netns/run
fuzz-run: $(FUZZ)
	$(Q)O=$(O) scripts/fuzz $(FUZZ_SECONDS) $(FUZZ)
bench: $(O)/spctl
	$(Q)O=$(O) scripts/bench commands
fmt:
	$(Q)$(CLANG_FORMAT) -i $(C_FILES)
fmt-check:
	$(Q)$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)
lint:
	$(Q)O=$(O) scripts/lint
# systemd reads /usr/local/lib/systemd/system, too.
install-unit:
	install -d $(DESTDIR)$(UNITDIR)
	for unit in spctl spctl-run; do \
		sed 's|@SBINDIR@|$(SBINDIR)|' packaging/$$unit.service.in > $(DESTDIR)$(UNITDIR)/$$unit.service && \
		chmod 0644 $(DESTDIR)$(UNITDIR)/$$unit.service || exit 1; \
	done
install: all install-unit
	install -D -m 0755 $(O)/spctl $(DESTDIR)$(SBINDIR)/spctl
	install -D -m 0644 $(O)/spctl.8 $(DESTDIR)$(MANDIR)/man8/spctl.8
	install -D -m 0644 $(O)/spctl-routes.5 $(DESTDIR)$(MANDIR)/man5/spctl-routes.5
	install -d $(DESTDIR)$(DOCDIR)/examples
	install -m 0644 examples/* $(DESTDIR)$(DOCDIR)/examples/
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/spctl $(DESTDIR)$(UNITDIR)/spctl.service $(DESTDIR)$(UNITDIR)/spctl-run.service $(DESTDIR)$(MANDIR)/man8/spctl.8 $(DESTDIR)$(MANDIR)/man5/spctl-routes.5
	rm -rf $(DESTDIR)$(DOCDIR)
dist:
	git archive --prefix=spctl-$(VERSION)/ -o spctl-$(VERSION).tar.gz HEAD
clean:
	rm -rf build build-tsan build-san build-fp build-san-fp
help:
	@sed -n 's/^# //p;/^[^#]/q' Makefile
.PHONY: all tools unit threads fuzz fuzz-selftest check check-unit check-includes check-netns fuzz-run bench fmt fmt-check lint install install-unit uninstall dist clean help
.DELETE_ON_ERROR:
.SECONDARY:
-include $(LIB_SRC:%.c=$(O)/fuzz/obj/%.d) $(FUZZ_SRC:%.c=$(O)/fuzz/obj/%.d) $(FUZZ_SRC:tests/fuzz/%.c=$(O)/fuzz/selftest/%.d)
-include $(LIB_OBJ:.o=.d) $(O)/ctl/cli/main.d $(UNIT_SRC:%.c=$(O)/%.d)
-include $(wildcard $(O)/tests/netns/*.d) $(PLANTED_SRC:%.c=$(O)/%.d)
