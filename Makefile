# Every target does its own set-up: `make demo` and `make test` work in a fresh clone with nothing but Python and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test tests test-slow check fmt clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## render a small video, ask three questions, write the masks
	$(BIN)/saymask demo

test: $(STAMP) ## lint, types and the default tests, side by side (about 4 minutes on two cores)
	@$(MAKE) --no-print-directory --jobs 2 check tests

# Two processes of one thread each: tests are many and small, and threads of two processes would wait for one another. Both, and the commands
# that tests start, compile modules once, whatever the environment says.
tests: $(STAMP) ## the default tests alone
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(STAMP) ## the tests that take minutes
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not gpu and not huge and not weights" --timeout 1200

check: $(STAMP) ## ruff and pyrefly
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python

fmt: $(STAMP) ## sort imports, format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment, caches and builds
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis dist

# The stamp is written last, so an installation that was interrupted is done again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "saymask needs Python 3.11 or newer, and '$(PYTHON)' is not: run e.g. make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@
