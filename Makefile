# make up      install all it needs, build the console, start Trilens watching this machine
# make test    install all it needs, check and test everything
# make setup   only install
# make bench   measure speed and memory beside the peers     make soak   long crash and load tests
# make docs    write the pages that are made from the code   make lock   pin what pyproject.toml asks for

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV := $(BIN)/uv
INSTALLED := .venv/.installed
COMPILED := .venv/.compiled
UI := src/trilens/present/ui/index.html
# Those that others import export nothing.
ZIG := $(shell grep -l '^export fn' -r src --include='*.zig')
NATIVE := $(foreach zig,$(ZIG),$(dir $(zig))lib$(notdir $(zig:.zig=.so)))
ZIG_CACHE := build/zig
CONSOLE := $(shell find console -path console/node_modules -prune -o -type f -print 2>/dev/null)
MODULES := console/node_modules/.installed
NO_VENV := "this Python has no venv module; on Debian: apt-get install python3-venv"
# Recipes wait for disk and network as much as they compute.
MAKEFLAGS += --jobs=2
# Containers often set it; then every program that a test starts would compile all its modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up test pytest check setup console bench soak docs lock clean

up: setup console
	@exec $(BIN)/trilens up

test: check pytest

# Three on two cores: a test waits about as long as it works.
pytest: setup console
	$(BIN)/pytest --numprocesses 3 --dist worksteal

# Tests beside it have deadlines: it takes what they leave.
check: setup
	nice -n 5 $(BIN)/ruff check
	nice -n 5 $(BIN)/ruff format --check
	nice -n 5 $(BIN)/mypy
	nice -n 5 $(BIN)/lint-imports --no-logo
	nice -n 5 $(BIN)/python console/build.py lint typecheck test

setup: $(COMPILED) $(MODULES)

console: $(UI)

bench: setup
	$(BIN)/python -m bench $(ONLY)

soak: setup
	$(BIN)/pytest -m soak --timeout 7200

docs: setup
	$(BIN)/python docs/pages.py

lock: $(INSTALLED)
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet -o requirements.lock

clean:
	rm -rf .venv build console/node_modules src/trilens/present/ui $(NATIVE)

# pip installs uv, and uv the rest in a sixth of pip's time, unless only pip's settings name an index.
$(UV): requirements.lock
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11)' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo $(NO_VENV); exit 1; }
	sed -n '/^uv==/,/[^\\]$$/p' $< | $(PIP) install -q --require-hashes -r /dev/stdin
	@touch $@

$(INSTALLED): $(UV) requirements.lock pyproject.toml
	$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements.lock \
		|| $(PIP) install -q --require-hashes -r requirements.lock
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# uv leaves it to the first start, pip did not.
$(COMPILED): $(INSTALLED) $(NATIVE)
	$(BIN)/python -c 'import trilens.server, trilens.store.engine_front'
	@touch $@

# The few loops over every record that no library has. The compiler comes from PyPI like all else.
define compiled
$(dir $1)lib$(notdir $(1:.zig=.so)): $1 $(wildcard $(dir $1)*.zig) $(INSTALLED)
	$(BIN)/python -m ziglang build-lib -dynamic -fstrip -O ReleaseSafe -mcpu baseline \
		--cache-dir $(ZIG_CACHE) --global-cache-dir $(ZIG_CACHE) -femit-bin=$$@ $1
endef
$(foreach zig,$(ZIG),$(eval $(call compiled,$(zig))))

$(MODULES): console/package-lock.json | $(UV)
	$(BIN)/python console/build.py install

$(UI): $(MODULES) $(CONSOLE)
	$(BIN)/python console/build.py build
	@touch $@
