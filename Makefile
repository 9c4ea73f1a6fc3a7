# Daily commands, each in a few lines. `make check` is what CI runs.
SWIFT ?= swift
PREFIX ?= /usr/local
FORMAT = $(SWIFT) format
SOURCES = Package.swift Sources Tests Snippets Fuzz/Package.swift Fuzz/Sources \
  Benchmarks/Package.swift Benchmarks/Sources
GENERATED = Sources/FlowGraph/ONNX/onnx.pb.swift
export STREAMFLOW_OPENVINO ?= $(CURDIR)/.deps/openvino

.PHONY: setup demo build test test-fast test-browser lint format docs package install asan tsan fuzz bench measure instructions check clean

setup:
	@Scripts/setup.sh

# Without the server, a large part of a first build, unless it is built already.
demo: setup
	@$(SWIFT) build -c release --product streamflow \
	  $(if $(wildcard .build/release/FlowServer.build/*.o),,--disable-default-traits)
	@.build/release/streamflow generate --prompts-file Scripts/demo-prompts.txt --seed 7 --overwrite \
	  --output out --contact-sheet out/sheet.png

build: setup
	$(SWIFT) build --explicit-target-dependency-import-check error

# Suites that need an engine or a process run one at a time in each of three processes: each engine
# takes all cores, and more tests would time out.
test: test-fast
	@Scripts/setup.sh --nats
	SWIFT="$(SWIFT)" Scripts/test-tagged.sh

# All other suites, in parallel.
test-fast: setup
	@Scripts/setup.sh --onnxruntime
	$(SWIFT) test --skip "$$(Scripts/tagged-suites.sh)"

# In a real Chromium, which Scripts/setup-browser.sh installs.
test-browser: setup
	@Scripts/setup-browser.sh
	@Scripts/setup.sh --nats
	$(SWIFT) build --product streamflow
	.deps/browser/bin/python Scripts/browser/test_page.py --streamflow .build/debug/streamflow

lint:
	$(FORMAT) lint --strict --parallel --recursive $(SOURCES)
	@Scripts/lint-words.sh
	@Scripts/lint-platforms.sh

format:
	$(FORMAT) --in-place --parallel --recursive $(SOURCES)

# The DocC documentation, into .build/docs; warnings are errors.
docs:
	@Scripts/docs.sh

# A relocatable archive and a Debian package, into .build/packages.
package: setup
	@SWIFT="$(SWIFT)" Scripts/package.sh

# The command with its resources and the runtime in one folder, a link to it in bin.
install: setup
	$(SWIFT) build -c release --product streamflow
	mkdir -p "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/lib/streamflow"
	rm -rf "$(DESTDIR)$(PREFIX)/lib/streamflow/"*
	cp .build/release/streamflow "$(DESTDIR)$(PREFIX)/lib/streamflow/streamflow"
	cp -R .build/release/StreamFlow_FlowModels.* "$(DESTDIR)$(PREFIX)/lib/streamflow/"
	cp -R .deps/openvino "$(DESTDIR)$(PREFIX)/lib/streamflow/openvino"
	ln -sf ../lib/streamflow/streamflow "$(DESTDIR)$(PREFIX)/bin/streamflow"

# TBB loads a part of itself with RTLD_DEEPBIND, which sanitizers reject unless this is set.
asan: setup
	TBB_ENABLE_SANITIZERS=1 ASAN_OPTIONS=detect_leaks=0 \
	  $(SWIFT) test --no-parallel --sanitize address --scratch-path .build-asan

tsan: setup
	TBB_ENABLE_SANITIZERS=1 TSAN_OPTIONS="suppressions=$(CURDIR)/Scripts/tsan-suppressions.txt" \
	  $(SWIFT) test --no-parallel --sanitize thread --scratch-path .build-tsan

# FUZZ_SECONDS=300 for five minutes each.
FUZZ_SECONDS ?= 60
fuzz: setup
	Scripts/fuzz.sh $(FUZZ_SECONDS)

# Needs a Python with torch, diffusers and transformers: make bench PYTHON=venv/bin/python
PYTHON ?= python3
bench: setup
	$(SWIFT) build -c release --product streamflow
	$(PYTHON) Scripts/benchmarks/starter.py

# Measures this machine and writes a folder; Scripts/measure.sh says what can be set.
measure: setup
	$(SWIFT) build -c release --product streamflow
	@Scripts/measure.sh

# Compares the instruction counts of the pure parts with the committed ones; needs valgrind.
instructions: setup
	$(SWIFT) build --package-path Benchmarks -c release
	$$($(SWIFT) build --package-path Benchmarks -c release --show-bin-path)/InstructionCounts \
	  Benchmarks/instructions.json

check: lint test test-browser docs

clean:
	rm -rf .build .build-* Fuzz/.build Benchmarks/.build out
