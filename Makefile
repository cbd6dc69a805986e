# Dossier. `make help` lists what there is.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
BIN := $(VENV)/bin
FLASK := $(BIN)/flask --app wsgi
# To try it and to develop: SQLite under instance/, plain http on this machine only.
LOCAL := DEBUG=1 SQL_ECHO=$(or $(SQL_ECHO),0) PORT=$(PORT)
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

.DEFAULT_GOAL := help
.PHONY: help run dev password test lint format tests browser bench bench-query fuzz chaos clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(VENV)/for-run ## Try it: database, administrator, demo users, gunicorn on PORT (8000)
	@$(LOCAL) $(FLASK) demo --address http://127.0.0.1:$(PORT)
	@exec env $(LOCAL) LOG_LEVEL=$(or $(LOG_LEVEL),WARNING) $(BIN)/gunicorn

dev: $(VENV)/for-run ## The same on the reloading debug server
	@$(LOCAL) $(FLASK) demo --address http://127.0.0.1:$(PORT)
	@exec env $(LOCAL) $(FLASK) --debug run --port $(PORT)

password: $(VENV)/for-run ## A new password for the demo administrator
	@$(LOCAL) $(FLASK) users set-password admin@dossier.example

test: lint tests ## Everything: linter, formatter, types, all tests on SQLite, Postgres and in Chromium

lint: $(VENV)/for-test ## Linter, formatter check, strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/for-test ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tests: $(VENV)/for-test browser ## The tests alone; ARGS= goes to pytest
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

browser: # Chromium, from the system's packages when there is none
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { echo "Installing Chromium for the browser tests"; \
	     SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	     $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| { echo "Chromium is missing: install it by your system's packages and run this again." >&2; exit 1; }

bench: $(VENV)/for-test ## What pages cost beside a bare Flask page: SIZES=1k,100k,1m,10m DBS=sqlite,postgres ROUNDS=
	$(BIN)/python -m bench

bench-query: $(VENV)/for-run ## The slowest queries of the list, on DATABASE_URL; ARGS=--plans explains them
	@$(LOCAL) $(BIN)/python -m bench.query $(ARGS)

fuzz: $(VENV)/for-test ## Made-up calls of the API on both databases: CASES=1000 of each call
	FUZZ_CASES=$(or $(CASES),1000) $(BIN)/python -m pytest -n $(WORKERS) tests/api/test_made_up_calls.py

chaos: $(VENV)/for-test ## Edits and transfers while workers are killed, races, a flood of sign-ins: EDITS= TRANSFERS= RACES= LISTS= DBS=
	$(BIN)/python -m chaos

clean: ## Remove the virtual environment; the database under instance/ stays
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Dossier needs Python 3.11 or newer: name one by make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	|| { rm -rf $(VENV); echo "Python's venv module is missing: on Debian, apt-get install python3-venv." >&2; exit 1; }

$(VENV)/for-run: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV)"
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -qq --disable-pip-version-check -e .
	@touch $@

$(VENV)/for-test: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV), with what the tests need"
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/for-run
