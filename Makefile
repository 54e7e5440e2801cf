# Everything this project does, by name. `make` lists it.
.DEFAULT_GOAL := help
.PHONY: help install archives demo run backup restore upgrade alert-test test coverage test-fast soak mutants bench lint hashes audit sbom format up down logs ps

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
COMPOSE ?= docker-compose

# Whose data is backed up, restored or upgraded: demo, live or docker; and the file of the backup.
STACK ?=
FILE ?=
KEEP = $(if $(filter docker,$(STACK)),COMPOSE="$(COMPOSE)" sh local/docker_data.sh $@ "$(FILE)",$(BIN)/python -m local.upkeep $@ "$(STACK)" "$(FILE)")

REPLAY ?=
RATE ?=
MARKET ?=
# How many processes run the tests; each takes one file after another. 0: this one, for a debugger.
TESTERS ?= 2
# The long runs: how many faults, or their names; the seed of their order (default: another each time);
# how many hostile requests; RATE above, of the runs in Docker.
FAULTS ?= 60
SEED ?=
BODIES ?= 20000
PYTEST = $(BIN)/pytest --numprocesses $(TESTERS)
export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv with the locked packages, and bring the jars
	@$(BIN)/python local/jars.py

archives: install ## archive the classes of Kafka and Spark: a minute once, and each start takes ten seconds less
	@$(BIN)/python -m local.class_archives

$(STAMP): hashes.txt $(wildcard requirements.*.txt) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python is not installed, but 3.11 is needed: install it (Debian: apt-get install python3.11 python3.11-venv)."; exit 1; }
	@$(PYTHON) local/preflight.py
	@echo "installing into .venv: some minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r hashes.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: install ## the whole stack on simulated transactions: REPLAY=file RATE=transactions/s MARKET=path
	@$(if $(REPLAY),SIMULATOR_REPLAY="$(REPLAY)") $(if $(RATE),SIMULATOR_RATE="$(RATE)") $(if $(MARKET),SIMULATOR_MARKET="$(MARKET)") $(BIN)/python -m local.stack demo

run: install ## the whole stack on Blockchain.com's transactions
	@$(BIN)/python -m local.stack live

ifneq ($(STACK),docker)
backup restore upgrade: install
endif

backup: ## all data into one file, while everything runs: FILE=path STACK=demo|live|docker
	@$(KEEP)

restore: ## a backup into an empty data folder or empty volumes: FILE=path STACK=demo|live|docker
	@$(KEEP)

upgrade: ## data of an earlier version to this one, after a backup: FILE=path STACK=demo|live|docker
	@$(KEEP)

alert-test: install ## one test alert through every route of alerts.yml, and what became of each
	@$(BIN)/python -m casework.alerting.try_routes

test: archives ## every test, on the real parts
	$(PYTEST) -m "not soak"

coverage: archives ## the same, slower, and how much of src they run
	$(PYTEST) -m "not soak" --cov --cov-report=

test-fast: install ## the tests that take milliseconds: no Java, no browser, no process of its own
	$(PYTEST) -m "not stack and not browser and not slow and not soak"

soak: archives ## the long fault and load runs: FAULTS=number SEED=number BODIES=number RATE=transactions/s
	FAULTS="$(FAULTS)" SEED="$(SEED)" BODIES="$(BODIES)" RATE="$(RATE)" $(BIN)/pytest -m soak --log-cli-level=WARNING

mutants: install ## change the code that loses or doubles nothing, and list changes that no test notices
	$(BIN)/mutmut run --max-children $(TESTERS)
	$(BIN)/mutmut results

bench: install ## measure, and print the tables of docs/benchmarks.md
	$(BIN)/python -m benchmarks

lint: install ## ruff, mypy --strict, and the rules of the source tree
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src tests local benchmarks
	$(BIN)/pytest -q tests/test_house.py

hashes: ## write hashes.txt anew, after a change of constraints.txt
	uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate --python-version 3.11 \
		constraints.txt --output-file hashes.txt

audit: install ## ask the advisory database about every locked package
	uvx pip-audit==2.10.1 --strict --disable-pip --require-hashes -r hashes.txt

sbom: install ## the bill of materials of the locked packages, packages.cdx.json
	uvx --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --output-file packages.cdx.json hashes.txt

format: install ## let ruff format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

up: ## the whole stack in Docker
	$(COMPOSE) up -d --build --remove-orphans

down: ## stop Docker's stack; its volumes stay
	$(COMPOSE) down --remove-orphans

logs: ## follow the logs of Docker's stack
	$(COMPOSE) logs -f --tail 50

ps: ## the state of Docker's stack
	$(COMPOSE) ps
