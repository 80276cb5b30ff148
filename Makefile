# One-line verbs. `make demo` and `make test` need Python >= 3.11 and nothing else:
# each builds .venv by itself.

PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Compiled once and kept: without, each of some hundred processes that the tests start compiles
# hookloop and stripe anew, and each test worker the tests.
unexport PYTHONDONTWRITEBYTECODE

# On two workers a core (tests/conftest.py), each with tests that are neighbours, so that what a
# module's tests share is made once; a worker that is done takes from another's end.
PYTEST := $(BIN)/pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-all coverage fuzz oldest lint format bench screenshots build lock clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: .venv/.standard  ## the whole loop on this machine: sandbox, relay, agent, app, handler
	@$(BIN)/hookloop demo $(ARGS)

test: .venv/.dev  ## every test but the long suites (ARGS="-k name" for a part)
	$(PYTEST) -m "not slow" $(ARGS)

test-all: .venv/.dev  ## the long suites too: soak and fuzz
	$(PYTEST) $(ARGS)

coverage: .venv/.dev  ## the tests once more, slower, for the lines and branches they miss
	$(PYTEST) -m "not slow" --cov --cov-report=term $(ARGS)

OLDEST_TESTS := tests/integration/test_examples.py tests/integration/test_examples_raw_body.py \
	tests/integration/events/test_status_table.py

oldest: .venv/oldest/.installed  ## the examples and every face again, with the oldest frameworks
	.venv/oldest/bin/python scripts/check_oldest.py
	.venv/oldest/bin/python -m pytest $(OLDEST_TESTS) $(ARGS)

fuzz: .venv/.dev  ## hostile requests for the handler library (ARGS="--requests 5000000 --seed 1")
	$(BIN)/python tests/fuzz/fuzz_events.py $(ARGS)

lint: .venv/.dev  ## ruff, mypy strict, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy examples/*.py
	$(BIN)/lint-imports

format: .venv/.dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: .venv/.dev  ## measure; each file of benchmarks/ says how
	@for f in benchmarks/bench_*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

screenshots: .venv/.dev  ## pictures of the inspector's pages, into docs/images
	$(BIN)/python scripts/inspector_screenshots.py

build: .venv/.dev  ## sdist and wheel into dist/
	$(BIN)/python -m build

lock: .venv/.dev  ## rewrite constraints.txt from what is installed and passes
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^hookloop' > constraints.txt

clean:  ## forget .venv and everything built
	rm -rf .venv build dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.python:
	@test -n "$(PYTHON)" || { echo "hookloop needs Python >= 3.11, and none is on PATH."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make a venv; on Debian: apt install python3-venv"; exit 1; }
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

.venv/.standard: .venv/.python pyproject.toml constraints.txt
	@echo "installing hookloop[standard] into .venv (once)"
	@$(PIP) install -c constraints.txt -e '.[standard]'
	@touch $@

.venv/.dev: .venv/.standard
	@echo "installing the development tools into .venv (once)"
	@$(PIP) install -c constraints.txt -e '.[standard,acme,fastapi]' --group dev
	@touch $@

.venv/oldest/.installed: .venv/.python pyproject.toml constraints-oldest.txt
	@echo "installing the oldest frameworks into .venv/oldest (once)"
	@$(BIN)/python -m venv --clear --without-pip .venv/oldest
	@$(PIP) --python .venv/oldest/bin/python install -c constraints-oldest.txt \
		-e '.[django,fastapi,flask]' --group oldest
	@touch $@
