# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The engine.  What is built is said in the Kbuild files; how, is said here.
# Everything lands under $(O), so the source tree stays as git left it.

O       ?= build
PREFIX  ?= /usr
MANDIR  ?= $(PREFIX)/share/man

ifeq ($(origin CC),default)
CC = $(CROSS_COMPILE)gcc
endif
ifeq ($(origin AR),default)
AR = $(CROSS_COMPILE)ar
endif
CLANG      ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL    ?= $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool)
PKG_CONFIG ?= pkg-config
STATIC_CC  ?= $(if $(CROSS_COMPILE),$(CC),$(shell command -v musl-gcc || echo $(CC)))
CFLAGS     ?= -O2 -g

tree     := -iquote . -iquote $(O)
warn     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Werror
cflags    = -std=gnu11 -D_GNU_SOURCE $(tree) $(warn) $(CFLAGS) $(CPPFLAGS)

# Static programs: musl has no kernel headers of its own.  The sanitizers' runtime is
# for the other libc and dynamic, so under them these are built like all the rest.
sanitized  := $(findstring -fsanitize,$(CFLAGS))
static-cc  := $(if $(sanitized),$(CC),$(STATIC_CC))
static-inc := -idirafter /usr/include -idirafter /usr/include/$(shell $(CC) -print-multiarch)
static-ld  := $(if $(sanitized),,-static)

bpfflags := -std=gnu11 --target=bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror $(tree) \
	    -idirafter /usr/include/$(shell $(CC) -print-multiarch)
pkg       = $(if $2,$(shell $(PKG_CONFIG) $1 $2))

ifeq ($(V),1)
say =
Q   =
else
say = @printf '  %-7s %s\n' $1 $(patsubst $(O)/%,%,$2)
Q   = @
endif

all:

# The words a Kbuild file may say.  They are wiped before each one is read.
words := prog-y static-y lib-y bpf-y test-y script-y man-y

# $(call program,dir,name,list)
define program
all-$3 += $(O)/$1/$2
$(O)/$1/$2: $(addprefix $(O)/$1/,$($2-y)) $(addprefix $(O)/,$($2-lib)) $1/Kbuild
$(O)/$1/$2: private LDLIBS += $(call pkg,--libs,$($2-pkg))
$(addprefix $(O)/$1/,$($2-y)): private CPPFLAGS += $(call pkg,--cflags,$($2-pkg))
$(if $($2-dir),install: install-$2
install-$2: $(O)/$1/$2
	$$(call say,INSTALL,$2)
	$$(Q)install -D -m 0755 $$< $(DESTDIR)$($2-dir)/$2)
endef

# $(call static,dir,name): how the program of that name is built
define static
$(addprefix $(O)/$1/,$($2-y) $2): private override CC = $(static-cc)
$(addprefix $(O)/$1/,$($2-y)): private CPPFLAGS += $(static-inc)
$(O)/$1/$2: private LDFLAGS += $(static-ld)
endef

# $(call library,dir,name)
define library
$(O)/$1/$2.a: $(addprefix $(O)/$1/,$($2-y)) $1/Kbuild
$(addprefix $(O)/$1/,$($2-y)): private CPPFLAGS += $(call pkg,--cflags,$($2-pkg))
endef

# $(call descend,dir)
define descend
$(foreach w,$(words),$(eval $w :=))
$(eval include $1/Kbuild)
$(foreach p,$(prog-y),$(eval $p-y ?= $p.o)$(eval $(call program,$1,$p,progs)))
$(foreach p,$(static-y),$(eval $p-y ?= $p.o)$(eval $(call static,$1,$p))$(eval $(call program,$1,$p,progs)))
$(foreach p,$(test-y),$(eval $p-y ?= $p.o)$(eval $(call program,$1,$p,tests)))
$(foreach l,$(lib-y),$(eval $(call library,$1,$(l:.a=))))
$(eval all-skels   += $(patsubst %.bpf.o,$(O)/$1/%.skel.h,$(bpf-y)))
$(eval all-scripts += $(addprefix $1/,$(script-y)))
$(eval all-man     += $(addprefix $1/,$(man-y)))
endef

include Kbuild
$(foreach d,$(subdir-y),$(call descend,$d))

all: $(all-progs)

$(O)/%.o: %.c $(O)/.flags | $(all-skels)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(cflags) -MMD -MP -c $< -o $@

# With its debug info stripped, but not its BTF.
$(O)/%.bpf.o: %.bpf.c $(O)/.flags
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(bpfflags) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(O)/%.skel.h: $(O)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(*F)_bpf > $@

$(O)/%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(all-progs) $(all-tests):
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o %.a,$^) $(LDLIBS) -o $@

# Objects are stale when the flags change, not only when the files do.
$(O)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(static-cc) $(cflags) : $(CLANG) $(bpfflags)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# What test scripts need to build variants of what is built here.
export O CC CLANG BPFTOOL
export BPF_CFLAGS = $(bpfflags)
export HOST_CFLAGS = $(cflags)

check: all $(all-tests)
	$(Q)selftests/run.sh $(all-tests) $(all-scripts)

tests: $(all-tests)

# The long form of what `check` does in a minute: 10^8 claims.
torture: $(O)/selftests/torture_test
	$(Q)CLAIMS=$${CLAIMS:-100000000} TEST_SECONDS=86400 $<

fuzz:
	$(Q)FUZZ_SECONDS=$${FUZZ_SECONDS:-60} selftests/fuzz.sh

# Each system call of the manager failing once, and of the plugin where it waits.
faults: all
	$(Q)TIMEOUT=7200 selftests/run.sh $(O)/selftests/cni_stopped $(O)/selftests/manager_faults

bench: all
	$(Q)$(O)/selftests/bench && $(O)/selftests/manager_bench && $(O)/selftests/cni_bench

style:
	$(Q)tools/style.sh

lint:
	$(Q)tools/lint.sh

install: install-man
install-man:
	$(Q)$(foreach m,$(all-man),install -D -m 0644 $m \
		$(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $m))/$(notdir $m) &&) :

clean:
	$(call say,CLEAN,$(O))
	$(Q)rm -rf $(O)

help:
	@echo 'make [all|check|faults|torture|fuzz|bench|style|lint|install|clean]'
	@echo '     V=1 O=dir CROSS_COMPILE=prefix- CFLAGS= DESTDIR= PREFIX='

-include $(shell find $(O) -name '*.d' 2>/dev/null)

FORCE:
.PHONY: all check tests faults torture fuzz bench style lint install install-man clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:
