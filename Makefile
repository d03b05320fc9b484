# Two commands are all that a newcomer needs: `make demo` and `make test`. Every target first makes what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Modules are byte-compiled when they are first imported: most of these environments' never are.
PINNED := --require-hashes --no-deps --no-compile
PIP_INSTALL := $(PIP) install $(PINNED)
WORKERS ?= 3
CHROMIUM ?= chromium

RUNTIME_READY := $(VENV)/.ready-runtime
DEV_READY := $(VENV)/.ready-dev
SAM_READY := $(TOOLS)/.ready-sam
CHECKOV_READY := $(TOOLS)/.ready-checkov
C7N_READY := $(TOOLS)/.ready-c7n
NODE_READY := $(TOOLS)/.ready-node
AUDIT_READY := $(TOOLS)/.ready-audit
DOCS_READY := $(TOOLS)/.ready-docs

# Tests start hundreds of processes: without byte-compiled files, each compiles the package.
export PYTHONDONTWRITEBYTECODE :=
export PATH := $(CURDIR)/$(TOOLS)/bin:$(CURDIR)/$(TOOLS)/node/bin:$(PATH)

# What `make unit` runs: everything that needs no server, without the tests that are marked as slow.
UNIT_TESTS = $(if $(ROOM),tests/unit/$(ROOM),tests/unit tests/meta tests/property)

.DEFAULT_GOAL := help
.PHONY: help demo unit test year browser check docs format format-check lint types imports templates tools bench package requirements audit clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(RUNTIME_READY) ## Run the whole system in the embedded AWS, follow it live and check it
	$(BIN)/snapkeep demo $(DEMO_ARGS)

unit: $(DEV_READY) ## Run the unit, meta and property tests but slow ones; one folder of tests/unit: make unit ROOM=copies, ROOM=lab/simulator
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not slow" $(UNIT_TESTS) $(TEST_ARGS)

test: $(DEV_READY) ## Run all tests
	@$(MAKE) --no-print-directory -j2 tools
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(TEST_ARGS)

browser: $(DEV_READY) ## Run the tests of the console in Chromium, which comes from the system's packages (CHROMIUM names another)
	@command -v $(CHROMIUM) >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| { echo "Chromium is needed: apt-get install chromium, or make browser CHROMIUM=/path/to/it" >&2; exit 1; }
	CHROMIUM=$(CHROMIUM) $(BIN)/pytest tests/browser $(TEST_ARGS)

check: $(DEV_READY) ## Run what CI runs: format, lint, types, imports, documentation, all tests
	@$(MAKE) --no-print-directory -j2 --output-sync tools format-check lint types imports docs
	@$(MAKE) --no-print-directory test

format: $(DEV_READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(DEV_READY)
	$(BIN)/ruff format --check .

lint: $(DEV_READY)
	$(BIN)/ruff check .

types: $(DEV_READY)
	$(BIN)/mypy

imports: $(DEV_READY)
	$(BIN)/lint-imports

templates: $(DEV_READY) tools ## Check the templates and definitions alone, with every validator
	$(BIN)/pytest tests/infra $(TEST_ARGS)

bench: $(DEV_READY) $(C7N_READY) ## Run all measurements, as ratios within one run
	@for bench in bench/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

year: $(DEV_READY) ## Run a year of 200 volumes whose snapshots Snapkeep makes, under faults (DAYS, VOLUMES and SEED in YEAR_ARGS)
	$(BIN)/python bench/year.py $(YEAR_ARGS)

docs: $(DOCS_READY) ## Build the documentation into build/site; a link to a missing page or heading fails
	$(TOOLS)/docs/bin/zensical build --clean --strict

audit: $(AUDIT_READY) ## Check the pinned dependencies for known vulnerabilities
	tools/audit $(AUDIT_ARGS)

package: $(RUNTIME_READY) ## Build build/functions for `aws cloudformation package` or `sam deploy`
	$(BIN)/snapkeep package

clean: ## Remove what was built, except the environments
	rm -rf build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .aws-sam

# Environments. A stamp is newer than the requirements that were installed.

$(BIN)/python:
	@$(PYTHON) -c '' || { echo "$(PYTHON) cannot be run. Give Python 3.11 or newer: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Give one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
		|| { echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME_READY): requirements/runtime.txt pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): requirements/dev.txt $(RUNTIME_READY)
	$(PIP_INSTALL) -r requirements/dev.txt
	@touch $@

# Validators have environments of their own, because they pin other versions of our dependencies.

tools: $(SAM_READY) $(CHECKOV_READY) $(NODE_READY) ## Install the validators into .tools

$(SAM_READY): requirements/sam.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/sam
	$(TOOLS)/sam/bin/python -m pip --disable-pip-version-check --quiet install $(PINNED) -r $<
	@mkdir -p $(TOOLS)/bin && ln -sf ../sam/bin/sam $(TOOLS)/bin/sam
	@touch $@

$(CHECKOV_READY): requirements/checkov.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/checkov
	$(TOOLS)/checkov/bin/python -m pip --disable-pip-version-check --quiet install $(PINNED) -r $<
	@mkdir -p $(TOOLS)/bin && ln -sf ../checkov/bin/checkov $(TOOLS)/bin/checkov
	@touch $@

$(AUDIT_READY): requirements/audit.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/audit
	$(TOOLS)/audit/bin/python -m pip --disable-pip-version-check --quiet install $(PINNED) -r $<
	@touch $@

$(DOCS_READY): requirements/docs.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/docs
	$(TOOLS)/docs/bin/python -m pip --disable-pip-version-check --quiet install $(PINNED) -r $<
	@touch $@

# Cloud Custodian, which a measurement compares `snapkeep plan` with.
$(C7N_READY): requirements/c7n.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/c7n
	$(TOOLS)/c7n/bin/python -m pip --disable-pip-version-check --quiet install $(PINNED) -r $<
	@touch $@

# A machine without npm gets it as a Python package.
$(NODE_READY): tools/package-lock.json requirements/node.txt | $(BIN)/python
	@mkdir -p $(TOOLS)
	@command -v npm >/dev/null || { \
		$(BIN)/python -m venv $(TOOLS)/node && \
		$(TOOLS)/node/bin/python -m pip --disable-pip-version-check --quiet install $(PINNED) -r requirements/node.txt; }
	@cp tools/package.json tools/package-lock.json $(TOOLS)/
	@if [ -f tools/.npmrc ]; then cp tools/.npmrc $(TOOLS)/; fi
	cd $(TOOLS) && npm ci --no-audit --no-fund --silent
	@touch $@

# Run `make requirements` after a change of a dependency.
UV_COMPILE := $(BIN)/python -m uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet

requirements: $(DEV_READY) ## Pin the dependencies again
	$(UV_COMPILE) pyproject.toml --extra local --group dev requirements/build.in -o requirements/dev.txt
	$(UV_COMPILE) pyproject.toml --extra local requirements/build.in -c requirements/dev.txt -o requirements/runtime.txt
	$(UV_COMPILE) requirements/functions.in -c requirements/dev.txt -o requirements/functions.txt
	for name in sam checkov c7n node audit docs; do $(UV_COMPILE) requirements/$$name.in -o requirements/$$name.txt; done
