# make run    set up, then train, sample, measure and report recipes/dit_flow.yaml
# make test   set up, then lint, types and the whole test suite
# make torture  kill runs at 200 random moments and at every write, and damage every file of a run, in about half an hour
# make bench  set up with the peers, then every comparison of speed, in under an hour; build/bench.json has the figures
# make bench-quick  a guard against slower code: the ratios that matter most, in under three minutes, without the peers
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.bench-installed
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: setup run test torture lint bench bench-quick clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gentoolkit needs Python 3.11 or newer; try make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[test]'
	touch $@

run: setup
	$(BIN)/gentool run recipes/dit_flow.yaml

test: lint
	$(BIN)/pytest

# On a memory file system where there is one: every write is synced, and a disk would be most of the time.
torture: setup
	cd tests && TMPDIR=$$(test -w /dev/shm && echo /dev/shm || echo $${TMPDIR:-/tmp}) $(abspath $(BIN))/python -m torture

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BENCH_STAMP): $(STAMP) benchmarks/peers.txt
	$(PIP_INSTALL) --editable '.[bench]'
	$(PIP_INSTALL) --no-deps --requirement benchmarks/peers.txt
	touch $@

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks --json build/bench.json

bench-quick: setup
	$(BIN)/python -m benchmarks --quick

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
