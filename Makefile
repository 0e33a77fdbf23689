PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools
BENCH := .bench
BENCHMARKS ?= enqueue drain idle pace growth take_over compare
# Every requirement is in a lock with its hash, so pip looks for nothing else and builds nothing:
# what appears in an index tomorrow changes no installation.
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet --no-compile --no-deps
LOCKED := $(PIP_INSTALL) --only-binary=:all: --require-hashes -r
PIP_CHECK := -m pip --disable-pip-version-check check
FOLDERS := tests/service tests/providers tests/postgres tests/contract tests/unit
# Whole files go to one worker, because their tests share gateways; tests/fixtures/times.py has
# put the longest first.
PYTEST := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder
# The tests start processes by the hundred: their modules are compiled once.
export PYTHONDONTWRITEBYTECODE :=

NEWMAN := postman/node_modules/.package-lock.json
# The other implementation of WhatsApp Web, for the tests that need node.
BAILEYS := tests/providers/baileys_client/node_modules/.package-lock.json
NODE_TESTS := $(if $(shell command -v npm),$(BAILEYS))

COMPILE := uv pip compile --universal --upgrade --generate-hashes --no-emit-index-url --no-header --quiet
LOCK := $(COMPILE) pyproject.toml --all-extras

.DEFAULT_GOAL := help
.PHONY: help setup run bench bench-whatsmeow test check check-types check-tests test-fast test-long coverage docs translations postman fuzz migrate schema lock format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## virtual environment with the locked dependencies (run and test do it by themselves)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	@echo "Set-up 1 of 3: a virtual environment in $(VENV) (some seconds)"
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "Set-up 2 of 3: the packages of requirements.lock, about 160 MB (under a minute; minutes on a slow network)"
	@$(BIN)/python $(LOCKED) requirements.lock
	@echo "Set-up 3 of 3: the command $(BIN)/gateway (some seconds)"
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation --editable .
	@$(BIN)/python $(PIP_CHECK)
	@touch $@

$(TOOLS): $(READY) tests/requirements.lock
	@echo "Set-up of the tests: the packages of tests/requirements.lock, another 160 MB (under a minute; minutes on a slow network)"
	@$(BIN)/python $(LOCKED) tests/requirements.lock
	@$(BIN)/python $(PIP_CHECK)
	@touch $@

run: setup ## serve on 127.0.0.1:8080, with an embedded Postgres unless DATABASE_URL is set
	@GATEWAY_ENV=$${GATEWAY_ENV:-development} exec $(BIN)/gateway serve

test: check ## everything that must hold before a change lands; the same as CI

check: $(TOOLS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell gateway sql tests docs *.md Makefile
	$(BIN)/lint-imports
	$(BIN)/python tests/vocabulary.py
	@$(MAKE) --no-print-directory -j 2 check-types check-tests
	$(BIN)/coverage report
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) --no-print-directory postman; \
		else echo "SKIPPED: the Postman collection and the tests with Baileys did not run, because they need node and npm"; fi

check-types: $(TOOLS)
	$(BIN)/mypy

check-tests: $(TOOLS) $(NODE_TESTS)
	$(PYTEST) --durations 10 --cov --cov-report= $(FOLDERS)

docs: setup ## write the OpenAPI document, the Postman collection and the tables of README and docs/ from the code
	$(BIN)/gateway openapi > openapi/openapi.json
	$(BIN)/gateway postman > postman/gateway.postman_collection.json
	$(BIN)/gateway postman --environment > postman/gateway.postman_environment.json
	$(BIN)/gateway readme README.md docs/*.md docs/pt-BR/README.md

translations: $(TOOLS) ## bring the catalogues of the panel in step with its texts
	@PYTHONPATH=. $(BIN)/python tests/translations.py

postman: $(TOOLS) $(NEWMAN) ## lint the OpenAPI document and run the Postman collection (needs node and npm)
	@postman/node_modules/.bin/redocly lint --config postman/redocly.yaml openapi/openapi.json
	@PYTHONPATH=. $(BIN)/python tests/postman_run.py

fuzz: $(TOOLS) ## a long run of made-up requests, good and bad, against every route
	@PYTHONPATH=. $(BIN)/python tests/fuzz/run.py

$(NEWMAN): postman/package.json postman/package-lock.json
	cd postman && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(BAILEYS): tests/providers/baileys_client/package.json tests/providers/baileys_client/package-lock.json
	cd tests/providers/baileys_client && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

test-fast: $(TOOLS) ## the tests that need no Postgres
	$(PYTEST) tests/unit tests/contract

test-long: $(TOOLS) $(NODE_TESTS) ## what takes too long for every change: installations with several Pythons, a silent database, campaigns
	$(BIN)/pytest -m long -o faulthandler_timeout=5400 tests/long tests/service/panel tests/providers

migrate: setup ## bring the database at DATABASE_URL up to date
	$(BIN)/gateway migrate

schema: $(TOOLS) ## dump the migrated schema into sql/schema.sql
	PYTHONPATH=. $(BIN)/python tests/schema.py

format: $(TOOLS) ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## choose the newest versions that fit pyproject.toml (needs uv)
	$(LOCK) --group build --output-file requirements.lock
	$(LOCK) --group build --group dev --constraint requirements.lock --output-file tests/requirements.lock
	$(COMPILE) tests/benchmarks/requirements.in --output-file tests/benchmarks/requirements.txt

clean: ## remove what setup and the tests made; never the data
	rm -rf $(VENV) $(BENCH) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage .coverage.*

bench: $(TOOLS) $(BENCH)/.ready ## speed, as ratios of one run; about half an hour (BENCHMARKS="drain pace" runs some)
	@set -e; for name in $(BENCHMARKS); do \
		PYTHONPATH=. BENCHMARK_PYTHON=$(BENCH)/bin/python $(BIN)/python -m tests.benchmarks.$$name; done

$(BENCH)/.ready: tests/benchmarks/requirements.txt
	@echo "Set-up of the benchmarks: the packages of $< in $(BENCH) (under a minute)"
	@$(PYTHON) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python $(LOCKED) $<
	@$(BENCH)/bin/python $(PIP_CHECK)
	@touch $@

bench-whatsmeow: setup ## memory, start time and send rate of WhatsApp sessions, against the fake server
	PYTHONPATH=. $(BIN)/python tests/benchmarks/whatsmeow.py
