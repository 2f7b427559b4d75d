# The doors of the project. `make` alone tells what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# embedded: simulated telephones, no Asterisk. asterisk: a real one, set up on this machine.
SWITCH ?= embedded
# Processes for the tests that need no real telephone line; `make test WORKERS=0` runs them in one.
WORKERS ?= auto
# More words for pytest: make test ARGS="-k voicemail"
ARGS ?=

# These happen in real time on a real Asterisk, so they do not compete for the processor with the others.
REAL_CALLS := tests/asterisk $(wildcard tests/contract/test_asterisk.py)

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help
help:  ## Show what each target does
	@echo 'flowengine: draw a call flow, publish it onto a number, and Asterisk answers it.'
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name what; do \
	  printf '  make %-10s %s\n' "$$name" "$$what"; done
	@echo
	@echo '  SWITCH=asterisk make run   with a real Asterisk instead of simulated telephones'

.PHONY: run
run: ready $(if $(filter asterisk,$(SWITCH)),asterisk)  ## Start the engine with demo data (SWITCH=embedded or asterisk)
	$(BIN)/flowengine serve --demo --switch $(SWITCH)

.PHONY: test
test: ready asterisk  ## Run all tests, those on a real Asterisk included
	@status=0; \
	$(PYTEST) -n $(WORKERS) $(addprefix --ignore=,$(REAL_CALLS)) $(ARGS) || status=$$?; \
	$(PYTEST) -n 2 $(REAL_CALLS) $(ARGS) || status=$$?; \
	exit $$status

.PHONY: check
check: lint test  ## Run all that CI demands: format, lint, types, imports, schemas, then the tests

.PHONY: lint
lint: ready  ## Run the checks of `make check` that need no test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/flowengine schema --check

.PHONY: format
format: ready  ## Bring the code into its form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: bench
bench: ready  ## Measure speed
	$(BIN)/python -m bench $(ARGS)

.PHONY: asterisk
asterisk: packages  ## Have a real Asterisk on this machine (built once, about a minute; needs root then)
	@tools/asterisk-tree >/dev/null

.PHONY: lock
lock: ready  ## Choose dependencies anew and write requirements.lock
	tools/lock

.PHONY: clean
clean:  ## Remove what was made in this checkout (the Asterisk tree in the cache folder stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist var
	find . -name __pycache__ -type d -not -path './node_modules/*' -prune -exec rm -rf {} +

# Not for people: what the doors above need first.
.PHONY: ready
ready: packages
	@tools/set-up

.PHONY: packages
packages:
	@tools/packages
