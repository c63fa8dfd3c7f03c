# The front door: `make` builds, `make run` measures, `make test` tests. CMake does the work behind it.
# Everything goes into build/. On a Debian machine each rule installs the packages that it lacks (as root, or by sudo).

BUILD    ?= build
JOBS     ?= $(shell nproc)
# What CI adds to every configuration: WERROR=ON makes warnings errors.
WERROR   ?= OFF
SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

BUILD_PACKAGES := g++ cmake ninja-build binutils libboost-dev libboost-program-options-dev nlohmann-json3-dev \
                  libfmt-dev libssl-dev libbenchmark-dev libjs-chart.js liburing-dev libzydis-dev zlib1g-dev
RUN_PACKAGES   := qemu-system-x86
IMAGE_PACKAGES := grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools
TEST_PACKAGES  := libgtest-dev libgmock-dev ovmf valgrind bochs bochs-term bochsbios vgabios chromium libbenchmark-tools python3-scipy clang clang-format-19 iproute2 iputils-ping xz-utils
BENCH_PACKAGES := libgtest-dev
LINT_PACKAGES  := clang-tidy-19 cppcheck libgtest-dev libgmock-dev
FUZZ_PACKAGES  := clang libclang-rt-dev
PEERS_PACKAGES := libdpdk-dev libnuma-dev libbsd-dev libmd-dev xz-utils zstd

# Rules that install packages run one after the other, also under make -j.
.NOTPARALLEL:

.PHONY: all build run test lint bench fuzz image peers clean build-packages run-packages test-packages peers-packages
all: build

# $(call need,PACKAGES): installs those that are missing. It asks nothing, and does nothing where all are installed.
define need
@missing=""; for p in $(1); do \
  dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; done; \
if [ -n "$$missing" ]; then echo "installing:$$missing"; \
  $(SUDO) apt-get update -qq && \
  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

build-packages:
	$(call need,$(BUILD_PACKAGES))
run-packages:
	$(call need,$(RUN_PACKAGES))
test-packages:
	$(call need,$(RUN_PACKAGES) $(IMAGE_PACKAGES) $(TEST_PACKAGES))

# Tests and benchmarks are configured only where the user asks for them, so that a plain build needs fewer packages.
build: build-packages
	@cmake -S . -B $(BUILD) -G Ninja -DDOORBELL_TESTS=OFF -DDOORBELL_WERROR=$(WERROR) >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)

run: build run-packages
	@$(BUILD)/doorbell run --keep 10

test: build-packages test-packages
	@cmake -S . -B $(BUILD) -G Ninja -DDOORBELL_TESTS=ON -DDOORBELL_WERROR=$(WERROR) >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@tests/run-all $(BUILD)

# clang-tidy, cppcheck, and each header alone: several minutes.
lint: build-packages
	$(call need,$(LINT_PACKAGES))
	@cmake -S . -B $(BUILD)/lint -G Ninja -DDOORBELL_TESTS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
	@tests/house/lint.py $(BUILD)/lint

bench: build-packages run-packages
	$(call need,$(BENCH_PACKAGES))
	@cmake -S . -B $(BUILD) -G Ninja -DDOORBELL_TESTS=OFF -DDOORBELL_BENCHMARKS=ON >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@tests/bench/run-all $(BUILD)

# Runs each libFuzzer target for one minute, starting from the stored corpus.
fuzz: build-packages
	$(call need,$(FUZZ_PACKAGES))
	@cmake -S . -B $(BUILD)/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DDOORBELL_FUZZ=ON -DDOORBELL_TESTS=OFF >/dev/null
	@cmake --build $(BUILD)/fuzz -j $(JOBS) --target fuzzers
	@tests/fuzz/run-all $(BUILD)/fuzz

image: build
	$(call need,$(IMAGE_PACKAGES))
	@$(BUILD)/doorbell image --out $(BUILD)/doorbell.iso

# The build looks for DPDK's package, so it is installed before the build.
peers-packages:
	$(call need,$(PEERS_PACKAGES))

peers: peers-packages build run-packages
	@$(BUILD)/doorbell peers

clean:
	rm -rf $(BUILD)
