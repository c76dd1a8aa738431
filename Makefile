# SPDX-License-Identifier: Apache-2.0
#
# ringcast. `make run` and `make test` install what is missing, build, and do it; `make help` lists the rest.
#
# VARIANT   release (default) | debug | asan | tsan | fuzz     each has its own folder under build/
# CC        gcc (default) or clang
# CROSS     a tool prefix such as aarch64-linux-gnu-           builds into build/CROSS+VARIANT

VARIANT ?= release
CROSS   ?=
PREFIX  ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := $(CROSS)gcc
endif
ifeq ($(origin AR),default)
AR := $(CROSS)ar
endif
ifeq ($(origin CXX),default)
CXX := $(CROSS)g++
endif
# For what runs while it is built, wherever the rest is to run.
HOSTCC ?= cc

VERSION := 0.1.0
# V=1 shows whole command lines.
ifeq ($(V),1)
SAY := @:
Q   :=
else
SAY := @echo
Q   := @
endif
BUILD   := build/$(CROSS)$(VARIANT)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
	-Wpointer-arith -Wwrite-strings -Wundef -Wvla
ifdef CI
WARN += -Werror
endif

# $(strip) keeps the stamp below stable.
CPPFLAGS_ALL := -D_GNU_SOURCE -DRC_VERSION='"$(VERSION)"' -Isrc -Iinclude -Ibench $(CPPFLAGS)
CFLAGS_ALL   := -std=gnu11 $(WARN) -g -pthread -fno-strict-aliasing -fno-common
LDFLAGS_ALL  := -pthread $(LDFLAGS)
# zlib and not libdeflate: windows of 9 to 15 bits, flushes as RFC 7692 has them, and output that stops at a bound.
LDLIBS_ALL   := -luring -linih -lssl -lcrypto -lz $(LDLIBS)

# src/mem/seal.h: a data-path thread that allocates after start ends the process.
WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc
SEAL :=

ifeq ($(VARIANT),release)
CFLAGS_ALL += -O2 -fno-plt -fno-semantic-interposition -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LDFLAGS_ALL += -Wl,-z,relro,-z,now
else ifeq ($(VARIANT),debug)
CFLAGS_ALL += -O0 -DRC_DEBUG=1
SEAL := $(WRAP)
else ifeq ($(VARIANT),asan)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_ALL += -O1 -DRC_DEBUG=1 $(SAN)
LDFLAGS_ALL += $(SAN)
SEAL := $(WRAP)
else ifeq ($(VARIANT),tsan)
CFLAGS_ALL += -O1 -DRC_DEBUG=1 -fsanitize=thread
LDFLAGS_ALL += -fsanitize=thread
SEAL := $(WRAP)
else ifeq ($(VARIANT),fuzz)
CC := clang
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_ALL += -O1 -DRC_DEBUG=1 -DRC_FUZZ=1 $(SAN) -fsanitize=fuzzer-no-link
LDFLAGS_ALL += $(SAN)
else
$(error VARIANT is one of release debug asan tsan fuzz, not '$(VARIANT)')
endif
CFLAGS_ALL += $(CFLAGS)

# ---- what is built ------------------------------------------------------------------------------

LAYERS := base mem sync io tls proto config ops auth conn hub serve shard
PACK_SRC   := $(sort $(wildcard src/web/pack/*.c))
WEB_SRC    := $(sort $(wildcard src/web/client/*.js src/web/client/*.d.ts src/web/dashboard/*))
CORE_SRC   := $(sort $(foreach d,$(LAYERS),$(wildcard src/$(d)/*.c)))
CLIENT_SRC := $(sort $(wildcard src/client/*.c))
EXAMPLE_SRC := $(sort $(wildcard src/client/examples/*.c))
PROG_SRC   := $(sort $(wildcard src/main.c src/cli/*.c))
UNIT_SRC   := $(sort $(wildcard tests/unit/*/test_*.c))
FUZZ_SRC   := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FLOOR_SRC  := $(sort $(wildcard bench/compare/*.c))
RIG_SRC    := $(sort $(wildcard bench/rig/*.c))
UBENCH_SRC := $(sort $(wildcard bench/micro/*.c) bench/shim.cc)
COUNT_SRC  := $(sort $(wildcard bench/instructions/*.c))
LOAD_SRC   := $(sort $(wildcard bench/load/*.c))

obj = $(patsubst %,$(BUILD)/obj/%.o,$(basename $(1)))
CORE_OBJ   := $(call obj,$(CORE_SRC)) $(BUILD)/web/assets.o
CLIENT_OBJ := $(call obj,$(CLIENT_SRC))
PROG_OBJ   := $(call obj,$(PROG_SRC))
UNIT_BIN   := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
FUZZ_BIN   := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
FLOOR      := $(BUILD)/bench/floor
UBENCH_BIN := $(BUILD)/bench/micro
COUNT_BIN  := $(BUILD)/bench/instructions
LOAD_OBJ   := $(call obj,$(filter-out bench/load/main.c,$(LOAD_SRC)))
LOAD_MAIN  := $(call obj,$(filter bench/load/main.c,$(LOAD_SRC)))

CORE_LIB   := $(BUILD)/libcore.a
CLIENT_LIB := $(BUILD)/libringcast.a
CLIENT_SO  := $(BUILD)/libringcast.so
PROGRAM    := $(BUILD)/ringcast
EXAMPLES   := $(patsubst src/client/examples/%.c,$(BUILD)/examples/%,$(EXAMPLE_SRC))
LOAD_LIB   := $(BUILD)/libload.a
LOAD       := $(BUILD)/ringcast-load

.DEFAULT_GOAL := all
.PHONY: all load help run test test-vm test-attacks test-web check debug asan tsan bench bench-instructions compare fuzz docs install npm clean deps deps-run units fuzzers benches FORCE
.DELETE_ON_ERROR:

all: $(PROGRAM) $(CLIENT_LIB) $(CLIENT_SO) $(EXAMPLES)

## load     build the load generator, ringcast-load
load: $(LOAD)

## run      install what is missing, build, start the gateway with its embedded defaults
run: deps-run
	@$(MAKE) --no-print-directory all
	$(PROGRAM) serve $(ARGS)

## test     install what is missing, build, run every test
test: deps
	@scripts/test

## test-vm  all tests of tests/vm: other kernels, the kernel's TLS, aarch64, in QEMU (up to an hour)
test-vm: deps
	@RINGCAST_VM=all scripts/test vm

## test-attacks  what is tried against the gateway from outside: tokens, names, floods, slowness, the way in (a minute)
test-attacks: deps
	@scripts/test attacks

## test-web  all tests of the dashboard and of the JavaScript client, in a browser and in node (ten minutes)
test-web: deps
	@scripts/test web

## check    style and structure: formatting, import direction, cppcheck, clang-tidy
check: deps
	@scripts/check

## debug    build without optimisation, all assertions on
debug:
	@$(MAKE) --no-print-directory VARIANT=debug all

## asan     build with AddressSanitizer and UBSan, with the unit tests
asan:
	@$(MAKE) --no-print-directory VARIANT=asan all units

## tsan     build with ThreadSanitizer, with the unit tests
tsan:
	@$(MAKE) --no-print-directory VARIANT=tsan all units

## bench    build and run the micro-benchmarks; build/bench.json has the figures (ARGS=--benchmark_filter=…)
bench: deps
	@$(MAKE) --no-print-directory VARIANT=release build/release/bench/micro
	@build/release/bench/micro --benchmark_out=build/bench.json --benchmark_out_format=json $(ARGS)

## bench-instructions  count the instructions of a delivery, a publish, a subscribe; beside what is recorded
bench-instructions: deps
	@$(MAKE) --no-print-directory VARIANT=release build/release/bench/instructions
	@bench/count-instructions $(ARGS)

## compare  install the peers, measure ringcast beside them and its floors (ARGS=--help); under 15 minutes
compare: deps
	@$(MAKE) --no-print-directory VARIANT=release $(PROGRAM) $(LOAD) $(FLOOR)
	@bench/compare/compare $(ARGS)

## fuzz     build the fuzzers and run each for FUZZ_SECONDS (10)
fuzz: deps
	@scripts/fuzz

## docs     make the references anew (src/*/REFERENCE.md) from the tables of the program
docs: all
	@for what in config:config counters:ops http:serve; do \
		$(PROGRAM) docs $${what%:*} >$(BUILD)/reference.md || exit; \
		cmp -s $(BUILD)/reference.md src/$${what#*:}/REFERENCE.md || cp $(BUILD)/reference.md src/$${what#*:}/REFERENCE.md || exit; \
	done

## install  install program, library, header, example configuration, unit, man pages (PREFIX, DESTDIR)
install: all
	@scripts/install "$(DESTDIR)" "$(PREFIX)" "$(BUILD)"

## npm      the JavaScript client as a package of npm, in build/package
npm: $(BUILD)/web/assets.c
	@rm -rf build/package
	@mkdir -p build/package
	@cp $(BUILD)/web/ringcast.js $(BUILD)/web/ringcast.classic.js src/web/client/package.json src/web/client/README.md \
		src/web/client/node.js src/web/client/react.js $(wildcard src/web/client/*.d.ts) LICENSE build/package
	$(SAY) "  NPM  build/package"

## clean    remove build/
clean:
	rm -rf build

## help     this list
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

deps:
	@scripts/deps test

deps-run:
	@scripts/deps run

units: $(UNIT_BIN)
fuzzers: $(FUZZ_BIN)
benches: $(FLOOR) $(UBENCH_BIN)

# ---- how ----------------------------------------------------------------------------------------

$(PROGRAM): $(PROG_OBJ) $(CLIENT_LIB) $(CORE_LIB)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $(SEAL) -o $@ $(PROG_OBJ) $(CLIENT_LIB) $(CORE_LIB) $(LDLIBS_ALL)

$(CORE_LIB): $(CORE_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(SAY) "  AR   $@"
	$(Q)$(AR) rcs $@ $^

# The pages and scripts that are built in: src/web/pack says how.
PACK_MAKE := $(HOSTCC) -std=gnu11 -D_GNU_SOURCE -O1 -g $(WARN) -o $(BUILD)/web/pack $(PACK_SRC) -lz -lcrypto

$(BUILD)/web/pack: $(PACK_SRC) $(wildcard src/web/pack/*.h) $(BUILD)/web/flags
	@mkdir -p $(@D)
	$(SAY) "  HOST $@"
	$(Q)$(PACK_MAKE)

$(BUILD)/web/assets.c: $(BUILD)/web/pack $(WEB_SRC) $(BUILD)/web/flags
	$(Q)$(BUILD)/web/pack src/web $(@D)

$(BUILD)/web/assets.o: $(BUILD)/web/assets.c src/web/assets.h $(BUILD)/flags
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(CLIENT_LIB): $(CLIENT_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(SAY) "  AR   $@"
	$(Q)$(AR) rcs $@ $^

$(BUILD)/examples/%: $(BUILD)/obj/src/client/examples/%.o $(CLIENT_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lssl -lcrypto

$(LOAD): $(LOAD_MAIN) $(LOAD_LIB) $(CORE_LIB)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -lm

$(LOAD_LIB): $(LOAD_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(SAY) "  AR   $@"
	$(Q)$(AR) rcs $@ $^

$(BUILD)/unit/load/%: $(BUILD)/obj/tests/unit/load/%.o $(LOAD_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $(SEAL) -o $@ $^ -lcmocka $(LDLIBS_ALL) -lm

$(BUILD)/fuzz/fuzz_load%: $(BUILD)/obj/tests/fuzz/fuzz_load%.o $(LOAD_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LDLIBS_ALL) -lm

# What is built in with .incbin is no #include.
$(call obj,bench/load/target_list.c): $(wildcard bench/load/targets/*.ini)
$(call obj,bench/load/report.c): $(wildcard bench/load/report/*)

$(CLIENT_SO): $(CLIENT_SRC) $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -fPIC -fvisibility=hidden -shared \
		-Wl,-soname,libringcast.so.0 $(LDFLAGS_ALL) -o $@ $(CLIENT_SRC) -lssl -lcrypto

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(CLIENT_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $(SEAL) -o $@ $^ -lcmocka $(LDLIBS_ALL)

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(CLIENT_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LDLIBS_ALL)

# The rig's kernel stands before the library and so in the place of src/io/uring.c, and answers for the clock and for chance.
RIG_LINK := -Wl,--wrap=clock_gettime,--wrap=getrandom

$(BUILD)/bench/micro: $(call obj,$(UBENCH_SRC) $(RIG_SRC)) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CXX  $@"
	$(Q)$(CXX) $(LDFLAGS_ALL) $(RIG_LINK) -o $@ $^ -lbenchmark $(LDLIBS_ALL)

$(BUILD)/bench/instructions: $(call obj,$(COUNT_SRC) $(RIG_SRC)) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $(RIG_LINK) -o $@ $^ $(LDLIBS_ALL)

$(FLOOR): $(call obj,$(FLOOR_SRC)) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) "  CC   $@"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) "  CXX  $@"
	$(Q)$(CXX) $(CPPFLAGS_ALL) -std=c++17 -O2 -g -Wall -Wextra -pthread -MMD -MP -c -o $@ $<

# Rebuild when the compiler or a flag changes.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' | cmp -s - $@ || \
		echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' > $@

# The same for what is made on the way, which has a compiler of its own, and when a file of those that are packed goes away.
$(BUILD)/web/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(strip $(PACK_MAKE) $(WEB_SRC))' | cmp -s - $@ || echo '$(strip $(PACK_MAKE) $(WEB_SRC))' > $@

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
