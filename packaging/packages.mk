# Manual pages, completions, and what is handed out: tarballs, packages.
#
#   make dist            a tarball for this machine's kind and one for aarch64
#   make deb             a Debian package
#   make test-arm64      the aarch64 binary in a virtual machine
#
# Two runs of `make dist` over the same sources and the same installed packages
# give the same bytes, wherever they run.

DOCS     := build/docs
PAGES    := envd.8 envd.conf.5
COMPLETE := bash zsh fish

# The time that stands in what is built.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(or $(shell git log -1 --format=%ct 2>/dev/null),$(shell stat -c %Y LICENSE))
endif

options_as = awk -v form=$(1) -f packaging/options-as packaging/options

docs: $(PAGES:%=$(DOCS)/%) $(COMPLETE:%=$(DOCS)/envd.%)

# The day stands in them.
$(DOCS)/date: .FORCE
	@mkdir -p $(@D)
	@echo '$(SOURCE_DATE_EPOCH)' | cmp -s - $@ || echo '$(SOURCE_DATE_EPOCH)' >$@

$(DOCS)/%: packaging/man/%.in packaging/options packaging/options-as $(DOCS)/date
	@mkdir -p $(@D)
	$(call options_as,$(if $(filter %.8,$@),man,conf)) >$@.options
	sed -e '/^@OPTIONS@$$/{r $@.options' -e 'd;}' \
	    -e "s/@DATE@/$$(LC_ALL=C date -u -d @$(SOURCE_DATE_EPOCH) '+%B %-d, %Y')/" $< >$@
	@rm $@.options

$(COMPLETE:%=$(DOCS)/envd.%): $(DOCS)/envd.%: packaging/options packaging/options-as
	@mkdir -p $(@D)
	$(call options_as,$*) >$@

install-docs: docs
	for page in $(PAGES); do \
	    install -D -m 0644 $(DOCS)/$$page \
	        $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$page || exit; done
	install -D -m 0644 $(DOCS)/envd.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/envd
	install -D -m 0644 $(DOCS)/envd.zsh \
	    $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_envd
	install -D -m 0644 $(DOCS)/envd.fish \
	    $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/envd.fish

# ---- tarballs ------------------------------------------------------------

MACHINE  := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
TARBALLS := build/dist/envd-$(VERSION)-linux-$(MACHINE).tar.gz
ifneq ($(MACHINE),aarch64)
TARBALLS += build/dist/envd-$(VERSION)-linux-aarch64.tar.gz
endif

dist: $(TARBALLS)

# Not for all: what is built in tests has times of its own.
$(TARBALLS) deb: export SOURCE_DATE_EPOCH := $(SOURCE_DATE_EPOCH)

build/dist/%.tar.gz: docs .FORCE
	rm -rf build/dist/$*
	$(MAKE) install BUILD=release PREFIX=/usr DESTDIR=build/dist/$* $(cross)
	packaging/sbom $(VERSION) build/dist/$* $(or $(made),build/release)/bin/envd.map $(sysroot)
	install -m 0644 LICENSE README.md -t build/dist/$*/usr/share/doc/envd
	cd build/dist && tar -c --format=ustar --sort=name --owner=0 --group=0 --numeric-owner \
	    --mode=u+rwX,go+rX,go-w --mtime=@$(SOURCE_DATE_EPOCH) $* | gzip -9n >$(@F)
	rm -rf build/dist/$*
ifneq ($(MACHINE),aarch64)
build/dist/envd-$(VERSION)-linux-aarch64.tar.gz: build/sysroot-arm64/stamp
build/dist/envd-$(VERSION)-linux-aarch64.tar.gz: made = build/aarch64
build/dist/envd-$(VERSION)-linux-aarch64.tar.gz: sysroot = build/sysroot-arm64
build/dist/envd-$(VERSION)-linux-aarch64.tar.gz: cross = \
    CROSS=aarch64-linux-gnu- CC='$(strip $(filter ccache,$(CC)) aarch64-linux-gnu-gcc)' \
    B=$(made) SYSROOT=$(sysroot)
endif

# Debian 12 has llhttp as sources for every architecture.
build/sysroot-arm64/stamp: packaging/foreign
	packaging/foreign arm64 $(@D) libc6-dev linux-libc-dev libevent-dev libprotobuf-c-dev \
	    libmd-dev zlib1g-dev $(if $(LLHTTP),,libllhttp-dev)

# ---- packages ------------------------------------------------------------

deb:
	COMMIT='$(COMMIT)' packaging/deb build/deb

test-arm64: build/dist/envd-$(VERSION)-linux-aarch64.tar.gz
	packaging/deps build package
	tests/packaging/arm64-vm $<

.PHONY: docs install-docs dist deb test-arm64
