# MiniContainer: two commands.
#
#     make run     sets up what is missing, builds, and shows what a container sees
#     make test    sets up what is missing, builds, and runs everything that can fail
#
# and, while working: make build, check (no root, ten seconds), bench, generate, format, clean.
# One suite alone: make test-kernel, test-cli, test-faults … (rows of tools/suites.ts).

# The pinned Bun, a file of a platform package; a glob, because the shell expands it after tools/setup.sh has run.
BUN    = node_modules/@oven/bun-linux-*/bin/bun
TSC    = node_modules/.bin/tsc
BIOME  = node_modules/.bin/biome
SOURCE = $(shell find src -name '*.ts' ! -name '*.test.ts')

# bytecode, splitting, esm: parsed at build time, loaded when needed: 4.5 ms to the first line instead of 7.
# no-optimize-bytecode: optimized bytecode saves cycles in loops and costs more to read in; a command runs most of its code once.
# jit-policy: code is compiled thirty times later than usual; a command is over before that pays, and the compilers are threads.
# no-compile-autoload: without these, ./.env and ./bunfig.toml of the working directory would run, as root.
COMPILE = --compile --bytecode --splitting --format=esm --no-optimize-bytecode --compile-jit-policy=30 --no-compile-autoload-dotenv --no-compile-autoload-bunfig

MAKEFLAGS += --no-print-directory

.PHONY: run test check build bench generate format clean setup setup-test native test-asan test-vm

run: build
	@sh tools/demo.sh

# In a second make, which looks at files only after the first has set up and built what they depend on.
build: native
	@$(MAKE) -s dist/minicontainer dist/lib/index.js

setup:
	@tools/setup.sh build
setup-test:
	@tools/setup.sh build test

# native/Makefile knows what is stale; install(1) touches dist/ only when something changed.
native: setup
	@$(MAKE) -s -C native OUT=../build
	@mkdir -p dist/lib/native
	@cmp -s build/executor dist/executor || install -m 755 build/executor dist/executor
	@cmp -s build/executor dist/lib/native/executor || install -m 755 build/executor dist/lib/native/executor
	@cmp -s build/hello dist/lib/native/hello || install -m 755 build/hello dist/lib/native/hello

dist/minicontainer: $(SOURCE) package-lock.json tsconfig.json dist/executor build/hello
	@$(BUN) build $(COMPILE) --define EXECUTOR_SHA256="\"$$(sha256sum build/executor | cut -d' ' -f1)\"" \
	  --outfile dist/minicontainer.new src/cli/bin.ts >build/bundle.log 2>&1 || { cat build/bundle.log >&2; exit 1; }
	@mv -f dist/minicontainer.new dist/minicontainer

# The library for Node: one module for each of ours, with its types, and the executor beside them.
dist/lib/index.js: $(SOURCE) package-lock.json tsconfig.json tsconfig.lib.json
	@$(TSC) -p tsconfig.lib.json && touch $@

check: setup
	@$(BUN) tools/test.ts check

test: setup-test build
	@$(MAKE) -s -C native OUT=../build asan
	@$(BUN) tools/test.ts test asan

# The kernel suite once more, with the executor built with AddressSanitizer and UBSan.
test-asan: setup-test native
	@$(MAKE) -s -C native OUT=../build asan
	@EXECUTOR=$(CURDIR)/build/executor-asan $(BUN) tools/test.ts asan

# The same suites on another kernel: TESTHOST is a program that boots a machine and runs the command after --.
test-vm: setup-test build
	@test -n "$(TESTHOST)" || { echo "make test-vm: set TESTHOST to a program that runs a command in a machine" >&2; exit 2; }
	$(TESTHOST) --timeout 3400 --env PATIENCE=8 -- sh -c 'exec $(BUN) tools/test.ts kernel faults smoke'

test-%: setup-test build
	@$(BUN) tools/test.ts $*

bench: build
	@tools/setup.sh build bench
	@for file in bench/*.ts; do $(BUN) "$$file" || exit 1; done

generate: setup
	@$(BUN) tools/generate.ts

format: setup
	@$(BIOME) check --write .

clean:
	rm -rf build dist
