# The commands of the project. `make` alone lists them.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests demo bench scripts
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-stop test soak matrix servers check format bench run docs clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements.lock pyproject.toml scripts/setup.py scripts/python.sh
	@scripts/python.sh scripts/setup.py $(VENV) runtime

$(VENV)/.dev: requirements-dev.lock pyproject.toml scripts/setup.py scripts/python.sh
	@scripts/python.sh scripts/setup.py $(VENV) dev

setup: $(VENV)/.dev ## build .venv with everything that the commands below need

demo: $(VENV)/.runtime ## move a sample shop to PostgreSQL and to Parquet and verify both (KEEP=1: leave it running)
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

demo-stop: $(VENV)/.runtime ## stop what `make demo KEEP=1` left running
	@$(BIN)/python -m demo --stop

servers:
	@scripts/servers.sh

test: $(VENV)/.dev servers ## run all tests against real servers (installs MariaDB and PostgreSQL where it may)
	@$(BIN)/pytest -n 2 --dist loadscope $(PYTEST_ARGS)

soak: $(VENV)/.dev servers ## kill everything around followed streams a hundred times, and write docs/soak.md
	@$(BIN)/python -m tests.cdc.campaign --kills 100 --write docs/soak.md $(SOAK_ARGS)

matrix: $(VENV)/.dev servers ## run the type matrix and write its counts, which `make docs` puts into docs/types.md
	@MATRIX=write $(BIN)/pytest -n 2 --dist loadscope tests/matrix --ignore tests/matrix/test_results.py $(PYTEST_ARGS)

check: $(VENV)/.dev ## lint, format, types, room order, sizes, generated docs
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/mypy demo bench scripts
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/sizes.py
	@$(BIN)/python scripts/docs.py --check

format: $(VENV)/.dev ## let ruff put the code in order
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

docs: $(VENV)/.dev ## write the generated pages of docs/ anew
	@$(BIN)/python scripts/docs.py

bench: $(VENV)/.dev servers ## measure, and write bench/RESULTS.md
	@$(BIN)/python -m bench $(BENCH_ARGS)

run: $(VENV)/.runtime ## start the server
	@$(BIN)/rowferry serve

clean: ## remove .venv, caches and what the demo left
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m demo --stop || true; fi
	rm -rf $(VENV) .rowferry-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
