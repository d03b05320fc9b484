# Two commands are all that a newcomer needs: `make demo` and `make test`. Each makes what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PIP_INSTALL := $(PIP) install --require-hashes --no-deps
WORKERS ?= 3

RUNTIME_READY := $(VENV)/.ready-runtime
DEV_READY := $(VENV)/.ready-dev
SAM_READY := $(TOOLS)/.ready-sam
CHECKOV_READY := $(TOOLS)/.ready-checkov
C7N_READY := $(TOOLS)/.ready-c7n
NODE_READY := $(TOOLS)/.ready-node
AUDIT_READY := $(TOOLS)/.ready-audit

export PATH := $(CURDIR)/$(TOOLS)/bin:$(CURDIR)/$(TOOLS)/node/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo test check format format-check lint types imports templates tools bench package requirements audit clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(RUNTIME_READY) ## The whole system at work in the embedded AWS, followed live and checked
	$(BIN)/snapkeep demo $(DEMO_ARGS)

test: $(DEV_READY) ## All tests
	@$(MAKE) --no-print-directory -j2 tools
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(TEST_ARGS)

check: format-check lint types imports test ## What CI runs: format, lint, types, imports, tests, templates, definitions

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

templates: $(DEV_READY) tools ## The templates and definitions alone, with every validator
	$(BIN)/pytest tests/infra $(TEST_ARGS)

bench: $(DEV_READY) $(C7N_READY) ## All measurements, as ratios within one run
	@for bench in bench/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

audit: $(AUDIT_READY) ## Ask whether a pinned dependency has a known vulnerability
	tools/audit $(AUDIT_ARGS)

package: $(RUNTIME_READY) ## Build build/functions, for `aws cloudformation package` or `sam deploy`
	$(BIN)/snapkeep package

clean: ## Remove what was built (not the environments)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .aws-sam

# Environments. A stamp is newer than the requirements that it stands for.

$(BIN)/python:
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

# Validators live in environments of their own: each pins much of what we pin too.

tools: $(SAM_READY) $(CHECKOV_READY) $(NODE_READY) ## Install the validators into .tools

$(SAM_READY): requirements/sam.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/sam
	$(TOOLS)/sam/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@mkdir -p $(TOOLS)/bin && ln -sf ../sam/bin/sam $(TOOLS)/bin/sam
	@touch $@

$(CHECKOV_READY): requirements/checkov.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/checkov
	$(TOOLS)/checkov/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@mkdir -p $(TOOLS)/bin && ln -sf ../checkov/bin/checkov $(TOOLS)/bin/checkov
	@touch $@

$(AUDIT_READY): requirements/audit.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/audit
	$(TOOLS)/audit/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

# What `snapkeep plan` is measured against.
$(C7N_READY): requirements/c7n.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)/c7n
	$(TOOLS)/c7n/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

# A machine without npm gets one from the package index of Python.
$(NODE_READY): tools/package-lock.json requirements/node.txt | $(BIN)/python
	@mkdir -p $(TOOLS)
	@command -v npm >/dev/null || { \
		$(BIN)/python -m venv $(TOOLS)/node && \
		$(TOOLS)/node/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r requirements/node.txt; }
	@cp tools/package.json tools/package-lock.json $(TOOLS)/
	@if [ -f tools/.npmrc ]; then cp tools/.npmrc $(TOOLS)/; fi
	cd $(TOOLS) && npm ci --no-audit --no-fund --silent
	@touch $@

# For whoever changes a dependency.
UV_COMPILE := $(BIN)/python -m uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet

requirements: $(DEV_READY) ## Pin the dependencies anew
	$(UV_COMPILE) pyproject.toml --extra local --group dev requirements/build.in -o requirements/dev.txt
	$(UV_COMPILE) pyproject.toml --extra local requirements/build.in -c requirements/dev.txt -o requirements/runtime.txt
	$(UV_COMPILE) requirements/functions.in -c requirements/dev.txt -o requirements/functions.txt
	for name in sam checkov c7n node audit; do $(UV_COMPILE) requirements/$$name.in -o requirements/$$name.txt; done
