# Everything sets itself up: `make quickstart`, `make test`, `make bench` work on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart browser test suite chaos bench recipes docs lint clean

# Checking types takes one core, and so does much of setting up.
MAKEFLAGS += --jobs=2

# What is installed is compiled as it is imported, and most of it never is.
PIP := $(BIN)/python -m pip install --quiet --no-compile

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip

.venv/ready: pyproject.toml | .venv/bin/python
	$(PIP) --editable .
	touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[dev]'
	touch .venv/ready $@

quickstart: .venv/ready
	$(BIN)/tutelage quickstart

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The report's page is tested in a real browser; without one those tests are skipped, and say so.
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		echo "no Chromium here: install one to test the report's page"

suite: .venv/dev browser
	$(BIN)/python -m pytest -n 2 --dist worksteal

test: lint suite

# What takes long: runs under faults, real launchers, all recipes. docs/reliability.md counts it.
chaos: .venv/dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m chaos -rA

bench: .venv/ready
	$(BIN)/python benchmarks/performance.py

recipes: .venv/dev
	PYTHONPATH=tests $(BIN)/python benchmarks/recipes.py

docs: .venv/dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv runs site
