# Every task of the project. `make help` lists them; each sets up what it needs.
#   make demo [ONCE=1] [MAIL=folder]

PYTHON ?= $(shell for name in python3.13 python3 python; do \
	command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null \
	&& echo $$name && break; done)
BIN := .venv/bin
export ONCE MAIL SIZE

.PHONY: help setup demo run test lint types imports bench openapi docs clean
.DEFAULT_GOAL := help

help: ## list the tasks
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.ready node_modules/.ready ## create the virtual environment, install everything, Azurite included

.venv/.ready: requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.13 is needed: install it, or name it with make PYTHON=/path/to/python3.13"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

node_modules/.ready: package.json package-lock.json .venv/.ready
	$(BIN)/python -m local.node ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

demo: setup ## the main job on sample mail, start to finish (ONCE=1 ends with a status, MAIL=folder takes your .eml files)
	@$(BIN)/python -m local.demo

run: setup ## Azurite and the Functions host with local.settings.json, for real profiles
	@$(BIN)/python -m local.run

test: setup lint types imports ## the whole suite
	$(BIN)/python -m pytest -n 2 --dist worksteal tests

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready
	$(BIN)/mypy

imports: .venv/.ready
	$(BIN)/lint-imports

bench: setup ## measure; prints a table and writes build/bench.json
	@$(BIN)/python -m tests.bench

openapi: .venv/.ready ## print the OpenAPI description of the HTTP API
	@$(BIN)/python -m functions.api

docs: .venv/.ready ## write docs/configuration.md anew from the definitions
	@$(BIN)/python -m functions.api.documentation

clean: ## remove what was installed and built
	rm -rf .venv node_modules build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
