# The commands people type; each sets up .venv with the locked packages first when that is needed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
NAME ?= sample

.PHONY: run repro verify test test-all lint ui profile help
.DEFAULT_GOAL := help

help:     ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(READY)  ## the whole pipeline: download, prepare, label, train, evaluate, register
	@$(BIN)/python -m pipeline

repro: $(READY)  ## the same by DVC alone, without Prefect
	@$(BIN)/python -m pipeline --plan
	@PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

verify: $(READY)  ## hashes all that DVC's cache and the work tree hold, puts aside what is damaged
	@$(BIN)/python -m pipeline --verify

test: lint  ## ruff, mypy, import-linter and all tests
	@OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-all: test  ## all tests, then the campaign of faults, with its table: N tried, N survived
	@OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m campaign tests/faults/campaign

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

ui: $(READY)  ## MLflow's pages on http://127.0.0.1:5000, at the table of the models of the newest run
	@$(BIN)/python -m xraydenoise ui

profile: $(READY)  ## puts another profile into params.yaml: make profile NAME=full
	@$(BIN)/python -m xraydenoise profile $(NAME)

$(READY): pyproject.toml constraints.txt
	@test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
