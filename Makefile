# Everything sets itself up: `make quickstart`, `make test`, `make bench` work on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart browser test suite compat newest chaos bench gpu recipes docs lint constraints clean

# Checking types takes one core, and so does much of setting up.
MAKEFLAGS += --jobs=2

# Most of what is installed is never imported, so modules are compiled on import instead of at installation.
INSTALL := -m pip install --quiet --no-compile
TESTS := -m pytest -n 2 --dist worksteal

# All versions are pinned, those of the build tools too. `make constraints` renews the pins.
PIP := $(BIN)/python $(INSTALL) --constraint constraints/pinned.txt
BUILD_TOOLS := pip setuptools hatchling editables

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/tools: constraints/pinned.txt | .venv/bin/python
	$(PIP) $(BUILD_TOOLS)
	touch $@

.venv/ready: pyproject.toml .venv/tools
	$(PIP) --no-build-isolation --editable .
	touch $@

.venv/dev: pyproject.toml .venv/tools
	$(PIP) --no-build-isolation --editable '.[dev]'
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
	$(BIN)/python $(TESTS)

test: lint suite

# The tests with the oldest versions that pyproject.toml declares and with the newest available ones. The oldest set leaves
# out the extra `export`, because ExecuTorch needs a newer torch. Interpreters installed by pyenv are found.
OLDEST_PYTHON ?= $(lastword python3.10 $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python3.10))
NEWEST_PYTHON ?= $(lastword python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python3.13))

compat: .venv-oldest/ready newest browser
	.venv-oldest/bin/python $(TESTS)
	.venv-newest/bin/python $(TESTS)

.venv-oldest/ready: pyproject.toml constraints/oldest.txt
	$(OLDEST_PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python $(INSTALL) --constraint constraints/oldest.txt --editable '.[loggers,search,test]'
	touch $@

newest:
	$(NEWEST_PYTHON) -m venv .venv-newest
	.venv-newest/bin/python $(INSTALL) --upgrade --upgrade-strategy eager --editable '.[dev]'

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-annotate \
	--custom-compile-command 'make constraints'

constraints: | .venv/bin/python
	$(BIN)/python $(INSTALL) --upgrade uv
	printf '%s\n' $(BUILD_TOOLS) | $(COMPILE) --all-extras pyproject.toml - --output-file constraints/pinned.txt
	$(COMPILE) --resolution lowest-direct --extra loggers --extra search --extra test pyproject.toml \
		--output-file constraints/oldest.txt

# What takes long: runs under faults, real launchers, all recipes. docs/reliability.md counts it.
chaos: .venv/dev
	$(BIN)/python $(TESTS) -m chaos -rA

bench: .venv/ready
	$(BIN)/python benchmarks/performance.py

# The CUDA tests and a short bench on one GPU. The PyTorch of $(PYTHON) is used as it is, and nothing large is downloaded.
GPU_RESULTS ?= runs/gpu.json

.venv-gpu/ready: pyproject.toml
	@$(PYTHON) benchmarks/gpu_environment.py .venv-gpu
	@touch $@

gpu: .venv-gpu/ready
	@.venv-gpu/bin/python benchmarks/gpu.py --out $(GPU_RESULTS)

recipes: .venv/dev
	PYTHONPATH=tests $(BIN)/python benchmarks/recipes.py

docs: .venv/dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .venv-oldest .venv-newest .venv-gpu runs site
