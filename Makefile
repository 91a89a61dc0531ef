# Everything sets itself up: `make quickstart`, `make test`, `make bench` work on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test bench recipes docs lint clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

quickstart: .venv/ready
	$(BIN)/tutelage quickstart

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench: .venv/ready
	$(BIN)/python benchmarks/performance.py

recipes: .venv/ready
	PYTHONPATH=tests $(BIN)/python benchmarks/recipes.py

docs: .venv/ready
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv runs site
