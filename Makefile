# `make run` starts the emulator, `make test` checks everything. Both install what they need into .venv first.
PYTHON ?= python3
HOST   ?= 127.0.0.1
PORT   ?= 8080
STAGE  ?= dev
JOBS   ?= 4

BIN := .venv/bin
# BIN=… names an existing virtual environment. Its path may contain spaces; make's targets cannot.
MADE := $(if $(filter-out .venv/bin,$(BIN)),,.venv/bin/python)
ZIP := .serverless/switchboard-sessions.zip
PIP := "$(BIN)/python" -m pip --disable-pip-version-check install --quiet

.PHONY: help run test lint types imports format bench proof mutants package clean
.DEFAULT_GOAL := help

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: .venv/run.stamp  ## Start the emulator (PORT=8080 HOST=127.0.0.1 STAGE=dev)
	@exec "$(BIN)/python" -m emulator --host $(HOST) --port $(PORT) --stage $(STAGE) --pass-env 'SWITCHBOARD_*'

# Each file of tests runs in one process, for its servers. In the order of their folders the slow files come early.
test: .venv/test.stamp lint types imports  ## Run the linter, type checker, import rules and all tests (JOBS=4 processes)
	@"$(BIN)/python" -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

lint: .venv/test.stamp
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .

types: .venv/test.stamp
	@"$(BIN)/mypy"

imports: .venv/test.stamp
	@"$(BIN)/lint-imports"

format: .venv/test.stamp  ## Format the code and apply the linter's fixes
	@"$(BIN)/ruff" check --fix .
	@"$(BIN)/ruff" format .

bench: .venv/bench.stamp  ## Measure the service and comparable libraries; results in bench-results/
	@"$(BIN)/python" -m tests.bench $(BENCH)

proof: .venv/test.stamp  ## Make random calls for ten minutes on both engines, kill processes, check every guarantee (PROOF="--engine sqlite")
	@"$(BIN)/python" -m tests.proof --seconds 600 --processes 6 --kill $(PROOF)

mutants: .venv/mutants.stamp  ## Make one small change at a time in the code; list those that no test notices (MUTANTS="shared/rules.py")
	@"$(BIN)/python" -m tests.mutants $(MUTANTS)

# The zip keeps file modes, and Lambda reads the files as another user: so the umask lets everybody read them.
package: node_modules/.wheels.stamp | $(MADE)  ## Build the zip for a deployment (STAGE=dev; needs npm)
	@umask 022; PATH="$$(cd "$(BIN)" && pwd):$$PATH" node_modules/.bin/osls package --stage $(STAGE)
	@echo "$(ZIP): $$(($$(wc -c < $(ZIP)) / 1024)) KiB"

clean:  ## Remove the virtual environment, node_modules and every cache, but no database
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench-results
	@rm -rf node_modules .serverless
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }
	@test -w . || { echo "$(CURDIR) is not writable, and .venv is to be made there"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -f .venv/bin/python; echo "The virtual environment .venv could not be made, for the reason above"; exit 1; }

.venv/run.stamp: requirements.txt functions/requirements.txt | .venv/bin/python
	@echo "Installing the emulator's packages into .venv"
	@$(PIP) -r requirements.txt
	@touch $@

.venv/test.stamp: tests/requirements.txt requirements.txt functions/requirements.txt | .venv/bin/python
	@echo "Installing the tests' packages into .venv"
	@$(PIP) -r tests/requirements.txt
	@touch $@ .venv/run.stamp

.venv/bench.stamp: tests/bench/requirements.txt .venv/test.stamp
	@echo "Installing the benchmarks' packages into .venv"
	@$(PIP) -r tests/bench/requirements.txt
	@touch $@

.venv/mutants.stamp: tests/mutants/requirements.txt .venv/test.stamp
	@echo "Installing the mutation tool into .venv"
	@$(PIP) -r tests/mutants/requirements.txt
	@touch $@

node_modules/.stamp: package.json package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || \
	  { echo "Node.js with npm is needed to package: on Debian, apt-get install nodejs npm"; exit 1; }
	@echo "Installing the packager into node_modules"
	@npm ci --engine-strict --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
	@touch $@

# The plugin's cache depends only on the names of the requirements, not on the other settings: so empty it on each change.
node_modules/.wheels.stamp: serverless.yml functions/requirements.txt node_modules/.stamp
	@rm -rf node_modules/.cache/python-requirements
	@touch $@
