# Two commands: `make run` starts everything here, `make test` runs all tests that need no
# Apache Kafka. Both need Python >= 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# How many processes share a run of tests; each has its own PostgreSQL and broker.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
# Lock files are written without an index address; pip takes packages from wherever it is configured to.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml --extra build

# Of the integration tests those of storage and relay, which hold behind a pooler too.
POOLED := trainings_storage outbox_store outbox_relay outbox_service volume fold_state
# Those that are run on hash partitions too, but for their long stories: every kind of write to the tables of users.
PARTITIONED := trainings_storage workouts_storage documents own_exercises volume naming insights imports erasures

.PHONY: help run test test-kafka test-debian lint lock audit bench chaos upgrade-drill restore-drill release clean

help:  ## show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

run: $(VENV)/.run  ## start PostgreSQL, a broker and the service on this machine; Ctrl-C stops all of it
	@$(BIN)/python -m embedded

test: $(VENV)/.dev  ## run every test that needs no Apache Kafka
	$(PYTEST) tests/unit --cov --cov-report=term:skip-covered --cov-fail-under=80
	$(PYTEST) tests/integration
	TRAINING_TEST_PARTITIONS=hash $(PYTEST) -k "not test_any_" $(PARTITIONED:%=tests/integration/test_%.py)

test-kafka: $(VENV)/.dev  ## run the broker-facing tests on Apache Kafka (Java 17 and Maven, or Docker)
	TRAINING_TEST_BROKER=kafka $(PYTEST) tests/kafka

test-debian: $(VENV)/.dev  ## run the tests that need Debian's programs, and storage and relay behind pgbouncer (apt)
	TRAINING_TEST_POOLER=pgbouncer $(BIN)/python -m pytest tests/debian $(POOLED:%=tests/integration/test_%.py)

lint: $(VENV)/.dev  ## style, types and the arrows of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.bench  ## measure the main path on Apache Kafka; prints figures beside their goals, and judges nothing
	$(BIN)/python -m bench

chaos: $(VENV)/.bench  ## break a real stack in every listed way, judge what is left, write docs/fault-report.md
	@mkdir -p .state && rm -f .state/chaos.jsonl
	@status=0; $(BIN)/python -m chaos --controls --mixed --kills 200 --out .state/chaos.jsonl || status=$$?; \
	$(BIN)/python -m chaos.report .state/chaos.jsonl && exit $$status

upgrade-drill: $(VENV)/.dev  ## upgrade two workers from the previous schema version, one by one, under load
	@$(BIN)/python -m drills upgrade $(if $(FROM),--from $(FROM))

restore-drill: $(VENV)/.dev  ## lose a database under load, and restore it from a base backup
	@$(BIN)/python -m drills restore

release: $(VENV)/.dev  ## build wheel, sources and bill of materials of this version into dist/
	@$(BIN)/python -m release

lock: $(VENV)/.dev  ## renew the lock files from pyproject.toml
	$(COMPILE) --upgrade --output-file requirements/worker.txt
	$(COMPILE) --upgrade --extra embedded --output-file requirements/run.txt
	$(COMPILE) --upgrade --extra embedded --extra dev --output-file requirements/dev.txt
	$(COMPILE) --upgrade --extra embedded --extra dev --extra bench --constraint requirements/dev.txt --output-file requirements/bench.txt

audit: $(VENV)/.dev  ## ask an advisory database about every locked version (needs the internet)
	@for file in requirements/*.txt; do echo $$file; $(BIN)/uvx --quiet pip-audit --strict --disable-pip --require-hashes -r $$file || exit 1; done

clean:  ## remove the virtual environment and all local data
	rm -rf $(VENV) .state

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@
