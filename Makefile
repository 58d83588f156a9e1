# envd: build, install, test.
#
#   make                 the release binary, static, at build/envd
#   make run             install what is missing, build, start it on localhost
#   make test            install what the tests need, run every suite
#   make check           unit tests and fuzz corpora of this BUILD
#   make lint            format, clang-tidy, include directions
#   make install         into $(DESTDIR)$(PREFIX)
#   make rootfs          a bootable root file system, FLAVOUR=debian|systemd|micro
#   make rootfs-all      all three, in build/rootfs
#   make layer           a layer for container images, there too
#   make dist, make deb  tarballs, a package (packaging/packages.mk)
#   make fuzz-NAME       fuzz one parser for SECONDS (60)
#
# BUILD=release|debug|asan|tsan|fuzz picks flags and output folder; variants
# never share an object.  Your own CFLAGS are added, not lost.

BUILD  ?= release
PREFIX ?= /usr
B      := build/$(BUILD)
VERSION := 0.6.13
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)

# Another machine's kind: the prefix of its compiler, a folder of its libraries.
CROSS    ?=
SYSROOT  ?=
# For what runs while building; needs libseccomp.
HOST_CC  ?= cc
PROTOC   ?= protoc
# Debian 12 ships llhttp as sources, later releases as a library.
LLHTTP   ?= $(wildcard /usr/share/llhttp)
ifeq ($(filter $(BUILD),fuzz),fuzz)
CC := clang
endif
ifneq ($(CROSS),)
CC := $(CROSS)gcc
endif
sysroot_include := $(SYSROOT:%=%/usr/include/$(CROSS:%-=%)) $(SYSROOT:%=%/usr/include)
sysroot_lib := $(SYSROOT:%=%/usr/lib/$(CROSS:%-=%))

# ---- flags ---------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wformat=2 \
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wundef -Wvla -Wcast-qual -Wwrite-strings -Wpointer-arith \
        -Wswitch-enum -Wimplicit-fallthrough -Werror=implicit \
        -Wno-include-next-absolute-path

sanitize := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
cflags.release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
                  -ffunction-sections -fdata-sections \
                  -fno-asynchronous-unwind-tables \
                  -ffile-prefix-map='$(CURDIR)'=.
cflags.debug   := -Og -g3
cflags.asan    := $(sanitize) -fsanitize=address,undefined
cflags.tsan    := $(sanitize) -fsanitize=thread
cflags.fuzz    := $(sanitize) -fsanitize=address,undefined,fuzzer-no-link
# Relative relocations in a bit map, where the linker can and the C library's
# start-up reads it.
relr := $(shell printf '\043include <features.h>\n\043if __GLIBC_PREREQ(2,36)\npacked\n\043endif\n' | \
          $(CC) -E -P - 2>/dev/null | grep -x packed && \
          $(CC) -nostdlib -shared -Wl,--fatal-warnings,-z,pack-relative-relocs \
              -o /dev/null -x c /dev/null 2>/dev/null || echo unpacked)
ldflags.release := -static-pie -Wl,--gc-sections \
                   $(if $(filter unpacked,$(relr)),,-Wl,-z,pack-relative-relocs)
ldflags.other   := -pie

CPPFLAGS_ALL = -iquote envd -isystem $B/gen -isystem /usr/share/include/llhttp \
               $(foreach place,$(sysroot_include),-isystem $(place)) \
               -D_GNU_SOURCE -DLLHTTP_STRICT_MODE=1 -DENVD_VERSION='"$(VERSION)"' -MD -MP $(CPPFLAGS)
CFLAGS_ALL   = -std=gnu17 -fPIE $(cflags.$(BUILD)) $(WARN) $(CFLAGS)
LDFLAGS_ALL  = $(or $(ldflags.$(BUILD)),$(ldflags.other)) -pthread \
               -Wl,-z,relro,-z,now $(filter -fsanitize=%,$(cflags.$(BUILD))) \
               $(sysroot_lib:%=-B%) $(sysroot_lib:%=-L%) $(LDFLAGS)
LDLIBS_ALL   = -levent_core -lprotobuf-c -lmd -lz \
               $(if $(LLHTTP),,-lllhttp) $(LDLIBS)

# ---- what is built -------------------------------------------------------

PROTOS  := process filesystem rest seccomp google/protobuf/timestamp
GEN_C   := $(PROTOS:%=$B/gen/%.pb-c.c)
GEN_H   := $(GEN_C:.c=.h) $B/gen/oneofs.inc $B/gen/seccomp_filters.inc
GEN_O   := $(GEN_C:.c=.o) \
           $(if $(LLHTTP),$(patsubst %,$B/llhttp/%.o,api http llhttp))
# Of the agent's binary only; the rest is linked into tests too.
MAIN    := envd/main.c $(wildcard envd/options*.c) \
           $(addprefix envd/loop/,assert.c no_floats.c no_gettext.c no_scanf.c)
SRCS    := $(filter-out $(MAIN),$(wildcard envd/*/*.c envd/envd.c))
TEST_PROTOS := codec_test google/protobuf/any
TEST_O  := $(TEST_PROTOS:%=$B/gen/test/%.pb-c.o)
OBJS    := $(SRCS:%.c=$B/%.o) $(GEN_O)
UNIT    := $(patsubst tests/unit/%.c,$B/bin/%,$(wildcard tests/unit/test_*.c))
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BIN     := $(if $(filter release,$(BUILD)),$(if $(CROSS),$B/bin/envd.stripped,build/envd),$B/bin/envd)

all: $(BIN)

build/envd $B/bin/envd.stripped: $B/bin/envd
	$(CROSS)strip -o $@ $<

$B/bin/envd: $(MAIN:%.c=$B/%.o) $(OBJS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -Wl,-Map,$@.map -o $@ $^ $(LDLIBS_ALL)

$B/bin/test_%: $B/tests/unit/test_%.o $(OBJS) $(TEST_O)
	@mkdir -p $(@D)
	$(CC) $(filter-out -static-pie,$(LDFLAGS_ALL)) $(ldflags.other) -o $@ $^ \
	    $(LDLIBS_ALL) -lcmocka

$B/bin/replay_%: $B/tests/fuzz/fuzz_%.o $B/tests/fuzz/replay.o $(OBJS) $(TEST_O)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$B/bin/fuzz_%: $B/tests/fuzz/fuzz_%.o $(OBJS) $(TEST_O)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LDLIBS_ALL)

# What is not on the path of bytes is built small: it runs once a request.
cold := api guest init security
$(cold:%=$B/envd/%/%.o) $B/envd/options%.o: cflags.release += -Os

# The commit is compiled into one file only, rebuilt when it changes.
$B/envd/main.o: CPPFLAGS_ALL += -DENVD_COMMIT='"$(COMMIT)"'
$B/envd/main.o: $B/commit
$B/commit: .FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

$B/%.o: %.c | $(GEN_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

# Generated and foreign sources keep their own style.
$B/gen/%.pb-c.c $B/gen/%.pb-c.h: proto/%.proto
	@mkdir -p $B/gen
	$(PROTOC) --c_out=$B/gen -I proto $(<:proto/%=%)
$B/gen/oneofs.inc: proto/oneofs.awk $(PROTOS:%=proto/%.proto)
	@mkdir -p $B/gen
	awk -f $^ >$@
# System call filters, for the machine that is built for.
$B/gen/seccomp_filters.inc: envd/security/build/seccomp_filters.c
	@mkdir -p $(@D)
	$(HOST_CC) -std=gnu17 -O1 -D_GNU_SOURCE $(WARN) -o $(@:.inc=) $< -lseccomp
	$(@:.inc=) $(MACHINE) >$@.new
	mv $@.new $@
$B/gen/%.o: $B/gen/%.c | $(GEN_H)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -I$B/gen -w -c -o $@ $<
$B/gen/test/%.pb-c.c $B/gen/test/%.pb-c.h: tests/unit/%.proto
	@mkdir -p $B/gen/test
	$(PROTOC) --c_out=$B/gen/test -I tests/unit -I proto $(<:tests/unit/%=%)
$B/gen/test/%.o: $B/gen/test/%.c | $(GEN_H) $(TEST_O:.o=.h)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -I$B/gen -I$B/gen/test -w -c -o $@ $<
$B/tests/%.o: tests/%.c | $(GEN_H) $(TEST_O:.o=.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -isystem $B/gen/test $(CFLAGS_ALL) -c -o $@ $<
$B/llhttp/%.o: $(LLHTTP)/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -c -o $@ $<

-include $(shell find $B -name '*.d' 2>/dev/null)

# ---- what is run ---------------------------------------------------------

check: $(UNIT) $(FUZZ:%=replay-%)
	@tests/unit/run $(UNIT)

replay-%: $B/bin/replay_%
	$< tests/fuzz/corpus/$*/*

fuzz-%:
	$(MAKE) BUILD=fuzz build/fuzz/bin/fuzz_$*
	@mkdir -p build/fuzz/corpus/$*
	build/fuzz/bin/fuzz_$* -artifact_prefix=build/fuzz/ -max_total_time=$(or $(SECONDS),60) \
	    $(wildcard tests/fuzz/$*.dict:%=-dict=%) \
	    build/fuzz/corpus/$* tests/fuzz/corpus/$*

lint: $(GEN_H)
	tests/lint/run

deps:
	packaging/deps build
deps-test:
	packaging/deps build test package rootfs vm

run: deps
	$(MAKE) BUILD=release all
	packaging/try build/envd

# BUILD=asan test: the suites of the sanitizer build alone.
test: deps-test
	tests/run $(if $(filter asan,$(BUILD)),asan)

install: $(BIN) install-docs
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/envd
	sed 's|/usr/bin|$(PREFIX)/bin|' rootfs/usr/lib/systemd/system/envd.service | \
	    install -D -m 0644 /dev/stdin \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/envd.service
	install -D -m 0644 rootfs/usr/lib/systemd/system/envd.socket \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/envd.socket

# Debian with the agent, as a tar and as an ext4 image; needs root.
FLAVOUR ?= debian
rootfs:
	packaging/deps build rootfs
	$(MAKE) BUILD=release all
	rootfs/build $(FLAVOUR)
rootfs-all:
	$(MAKE) rootfs FLAVOUR='debian systemd micro'
layer:
	$(MAKE) BUILD=release all
	rootfs/layer

clean:
	rm -rf build

include packaging/packages.mk

.PHONY: all check lint deps deps-test run test install rootfs rootfs-all layer clean .FORCE
.SECONDARY:
