# make up      install all it needs, build the console, start Trilens watching this machine
# make test    install all it needs, check and test everything
# make setup   only install
# make bench   measure speed and memory beside the peers     make soak   long crash and load tests
# make docs    write the pages that are made from the code   make lock   pin what pyproject.toml asks for

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
UI := src/trilens/present/ui/index.html
ZIG := $(shell find src -name '*.zig')
NATIVE := $(foreach zig,$(ZIG),$(dir $(zig))lib$(notdir $(zig:.zig=.so)))
ZIG_CACHE := build/zig
CONSOLE := $(shell find console -path console/node_modules -prune -o -type f -print 2>/dev/null)
NO_VENV := "this Python has no venv module; on Debian: apt-get install python3-venv"

.PHONY: up test pytest check setup console bench soak docs lock clean

up: setup console
	@exec $(BIN)/trilens up

# Beside each other: tests wait more than they work.
test: setup console
	@$(MAKE) --no-print-directory --jobs 2 check pytest

pytest:
	$(BIN)/pytest --numprocesses 2 --dist worksteal

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python console/build.py lint typecheck test

setup: $(INSTALLED) $(NATIVE)
	@$(BIN)/python console/build.py install

console: $(UI)

bench: setup
	$(BIN)/python -m bench $(ONLY)

soak: setup
	$(BIN)/pytest -m soak --timeout 7200

docs: setup
	$(BIN)/python docs/pages.py

lock: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet -o requirements.lock

clean:
	rm -rf .venv build console/node_modules src/trilens/present/ui $(NATIVE)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11)' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo $(NO_VENV); exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The few loops over every record that no library has. The compiler comes from PyPI like all else.
define compiled
$(dir $1)lib$(notdir $(1:.zig=.so)): $1 $(INSTALLED)
	$(BIN)/python -m ziglang build-lib -dynamic -fstrip -O ReleaseSafe -mcpu baseline \
		--cache-dir $(ZIG_CACHE) --global-cache-dir $(ZIG_CACHE) -femit-bin=$$@ $1
endef
$(foreach zig,$(ZIG),$(eval $(call compiled,$(zig))))

$(UI): $(INSTALLED) $(CONSOLE)
	$(BIN)/python console/build.py install build
	@touch $@
