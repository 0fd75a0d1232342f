# Every target brings about what it needs; a second call goes straight to work.
# Nothing outside this folder is touched, and no system package, Docker or root is needed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed-from-lock
SPARK_STAMP := .venv/.installed-from-spark-lock

HOUSEHOLDS ?= 2000
COUNTRY ?= tunisia
SEED ?= 1
CYCLE ?=
# More than the cores: a worker often waits for PostgreSQL or for a command that it started
WORKERS ?= 3

.PHONY: help setup run ui test test-long test-spark lint format lock stop clean bench-policy bench-linkage bench-linkage-speed

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo; echo "make run takes HOUSEHOLDS=$(HOUSEHOLDS) CYCLE=$$(date +%Y-%m) COUNTRY=$(COUNTRY) SEED=$(SEED)"

setup: $(STAMP)  ## the virtual environment, from the lock

$(STAMP): requirements.lock requirements-bootstrap.lock pyproject.toml
	@PYTHON="$(PYTHON)" ./setup-environment

run: $(STAMP)  ## one monthly cycle of a simulated country, from files to payments
	@$(BIN)/sijill run --country "$(COUNTRY)" --households "$(HOUSEHOLDS)" --seed "$(SEED)" $(if $(CYCLE),--cycle "$(CYCLE)")

ui: $(STAMP)  ## the Dagster page on 127.0.0.1
	@$(BIN)/sijill ui $(if $(filter command line environment,$(origin COUNTRY)),--country "$(COUNTRY)")

# Spark is large (0.6 GB) and only its test needs it here: `make run` and `make test` do not wait for it.
$(SPARK_STAMP): $(STAMP) requirements-spark.lock
	@echo "Installing Spark for its test (once; about a minute)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements-spark.lock 2>.venv/uv.log \
	    || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

test: $(STAMP)  ## the tests, in under five minutes
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not spark and not long"

test-long: $(STAMP)  ## the tests that take longer: another whole country, random histories
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m long

test-spark: $(STAMP) $(SPARK_STAMP)  ## the same links on a local Spark cluster as on DuckDB
	@$(BIN)/python -m pytest -q -m spark

lint: $(STAMP)  ## ruff, mypy, sqlfluff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --nocolor --disable-progress-bar -q dbt_project/models dbt_project/tests

format: $(STAMP)  ## put the code in the project's form
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

lock: $(STAMP)  ## renew the locks from pyproject.toml
	@printf 'pip\nsetuptools\nuv\nwheel\n' | $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate --python-version 3.11 - --output-file requirements-bootstrap.lock
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header \
	    --constraint requirements-bootstrap.lock --python-version 3.11 --extra dev pyproject.toml --output-file requirements.lock
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")' \
	    | $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --constraint requirements.lock --python-version 3.11 - --output-file requirements-spark.lock

SURVEY ?= 1000000
REGISTER ?= 3000000
bench-linkage-speed: $(STAMP)  ## linkage beside raw Splink, wall and memory (SURVEY=1000000 REGISTER=3000000)
	@PYTHONPATH="$(CURDIR)" $(BIN)/python -m benchmarks.linkage_speed --survey "$(SURVEY)" --register "$(REGISTER)"

bench-policy: $(STAMP)  ## scores, decisions and entitlements against the same written by hand (HOUSEHOLDS=900000)
	@PYTHONPATH="$(CURDIR)" $(BIN)/python -m benchmarks.policy --households "$(if $(filter command line environment,$(origin HOUSEHOLDS)),$(HOUSEHOLDS),100000)"

stop: $(STAMP)  ## stop the embedded PostgreSQL
	@$(BIN)/sijill stop

bench-linkage: $(STAMP)  ## accuracy of linkage on public and simulated sets (DATA=folder with linkage/ and pseudopeople/)
	@PYTHONPATH="$(CURDIR)" $(BIN)/python -m benchmarks.linkage $(if $(DATA),--data "$(DATA)") --households "$(if $(filter command line,$(origin HOUSEHOLDS)),$(HOUSEHOLDS),20000)"

clean:  ## remove the virtual environment and all data (asks first)
	@read -p "Remove .venv and the data folder .sijill? [y/N] " answer && [ "$$answer" = y ]
	@if [ -x $(BIN)/sijill ]; then $(BIN)/sijill stop; fi
	@rm -rf .venv .sijill
