# `make run` starts the emulator, `make test` checks everything. Both install what they need into .venv first.
PYTHON ?= python3
HOST   ?= 127.0.0.1
PORT   ?= 8080
STAGE  ?= dev
JOBS   ?= 4
VENV   ?= .venv
WITHOUT_LINUX ?= tests/api tests/emulator/test_answers.py tests/emulator/test_commands.py tests/emulator/test_workers.py \
  tests/unit/test_process_lock.py tests/unit/test_sqlite_engine.py -k "not postgresql"

BIN := $(VENV)/bin
# BIN=… names an existing virtual environment. Its path may contain spaces; make's targets cannot.
MADE := $(if $(filter-out $(VENV)/bin,$(BIN)),,$(VENV)/bin/python)
# With IDENTITY=1 callers are verified, and the emulator is the issuer of their tokens too.
ISSUER := http://$(HOST):$(PORT)
IDENTITY_OPTIONS = $(if $(IDENTITY),--identity --param identity=issuer --param issuer=$(ISSUER)/_emulator/idp \
  --param audience=emulator --param origin=$(ISSUER))

ZIP := .serverless/switchboard-sessions.zip
# The Python version to package for: that of BIN where the functions can have it, else the one in serverless.yml. Lambda's
# Python 3.11 runs on Amazon Linux 2, which is too old for the wheels of apsw.
RUNTIME = $(shell "$(BIN)/python" -c 'import sys; v = sys.version_info; (3, 12) <= v < (3, 15) and print(f"3.{v.minor}")')
PIP := "$(BIN)/python" -m pip --disable-pip-version-check install --quiet

.PHONY: help run test test-without-linux lint types imports audit format bench proof mutants package clean
.DEFAULT_GOAL := help

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(VENV)/run.stamp  ## Start the emulator (PORT=8080 HOST=127.0.0.1 STAGE=dev; IDENTITY=1 verifies callers)
	@exec "$(BIN)/python" -m emulator --host $(HOST) --port $(PORT) --stage $(STAGE) --pass-env 'SWITCHBOARD_*' \
	  --page examples/classroom.html $(IDENTITY_OPTIONS)

# Each file of tests runs in one process, for its servers. In the order of their folders the slow files come early.
TESTS = "$(BIN)/python" -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

test: $(VENV)/test.stamp lint types imports  ## Run the linter, type checker, import rules and all tests (JOBS=4 processes)
	@$(TESTS)
	@echo "Again without what only Linux has:"
	@TESTS_WITHOUT_LINUX=1 $(TESTS) $(WITHOUT_LINUX)

test-without-linux: $(VENV)/test.stamp  ## Run the tests of WITHOUT_LINUX without what only Linux has, as on macOS
	@TESTS_WITHOUT_LINUX=1 $(TESTS) $(WITHOUT_LINUX)

lint: $(VENV)/test.stamp
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .

types: $(VENV)/test.stamp
	@"$(BIN)/mypy"

imports: $(VENV)/test.stamp
	@"$(BIN)/lint-imports"

audit: $(VENV)/test.stamp  ## Ask for known vulnerabilities of what deploys and of what the emulator needs
	@"$(BIN)/python" -m pip_audit --progress-spinner off -r functions/requirements.txt -r requirements.txt

format: $(VENV)/test.stamp  ## Format the code and apply the linter's fixes
	@"$(BIN)/ruff" check --fix .
	@"$(BIN)/ruff" format .

bench: $(VENV)/bench.stamp  ## Measure the service and comparable libraries; results in bench-results/
	@"$(BIN)/python" -m tests.bench $(BENCH)

proof: $(VENV)/test.stamp  ## Make random calls for ten minutes on both engines, kill processes, check every guarantee (PROOF="--engine sqlite")
	@"$(BIN)/python" -m tests.proof --seconds 600 --processes 6 --kill $(PROOF)

mutants: $(VENV)/mutants.stamp  ## Make one small change at a time in the code; list those that no test notices (MUTANTS="shared/rules.py")
	@"$(BIN)/python" -m tests.mutants $(MUTANTS)

# The zip keeps file modes, and Lambda reads the files as another user: so the umask lets everybody read them.
package: node_modules/.wheels.stamp | $(MADE)  ## Build the zip for a deployment (STAGE=dev RUNTIME=3.13; needs npm)
	@umask 022; PATH="$$(cd "$(BIN)" && pwd):$$PATH" \
	  node_modules/.bin/osls package --stage $(STAGE) $(addprefix --param python=,$(RUNTIME))
	@echo "$(ZIP): $$(($$(wc -c < $(ZIP)) / 1024)) KiB"

clean:  ## Remove the virtual environment, node_modules and every cache, but no database
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench-results
	@rm -rf node_modules .serverless build switchboard_emulator.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }
	@mkdir -p $(VENV) && test -w $(VENV) || \
	  { echo "$(VENV) cannot be made or written: name another folder with VENV=/path/to/folder"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -f $(VENV)/bin/python; echo "The virtual environment $(VENV) could not be made, for the reason above"; exit 1; }

$(VENV)/run.stamp: requirements.txt functions/requirements.txt | $(VENV)/bin/python
	@echo "Installing the emulator's packages into $(VENV)"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/test.stamp: tests/requirements.txt requirements.txt functions/requirements.txt | $(VENV)/bin/python
	@echo "Installing the tests' packages into $(VENV)"
	@$(PIP) -r tests/requirements.txt
	@touch $@ $(VENV)/run.stamp

$(VENV)/bench.stamp: tests/bench/requirements.txt $(VENV)/test.stamp
	@echo "Installing the benchmarks' packages into $(VENV)"
	@$(PIP) -r tests/bench/requirements.txt
	@touch $@

$(VENV)/mutants.stamp: tests/mutants/requirements.txt $(VENV)/test.stamp
	@echo "Installing the mutation tool into $(VENV)"
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
