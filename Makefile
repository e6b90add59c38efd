# Every target makes the environment first if it is missing; that is quick when it is there.
# A fresh machine needs Python 3.11 to 3.13 and make, nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
BRAIN_TUMOR := $(BIN)/brain-tumor
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
PYTEST_ARGS ?=
EXTRAS ?= cpu,jax,sweep,notebooks,dev

# Tests run small things on shared machines: two threads a process, no bars, and a home of their own, made anew each time, so
# that they neither find nor leave runs and caches in yours.
TEST_HOME := $(CURDIR)/build/test-home
TEST_ENV = BRAIN_TUMOR_HOME='$(TEST_HOME)' BRAIN_TUMOR_QUIET=1 TF_CPP_MIN_LOG_LEVEL=3 \
	OMP_NUM_THREADS=2 TF_NUM_INTRAOP_THREADS=2
NO_TENSORFLOW = KERAS_BACKEND=jax PYTHONPATH='$(CURDIR)/tests/without_tensorflow'
NBMAKE = --nbmake --nbmake-timeout=600

.PHONY: help env demo lint test test-all notebooks reports bench

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '%-16s %s\n' "$$target" "$$text"; done

env: $(INSTALLED) ## make .venv with all that notebooks and tests need (some minutes, once)

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[$(EXTRAS)]'
	$(BIN)/python -m ipykernel install --sys-prefix
	@touch $@

demo: env ## train and score on synthetic patients, write reports/demo.html (no data needed)
	$(BRAIN_TUMOR) demo

lint: env ## ruff over code and notebooks, and that notebooks are stored without outputs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/nbstripout --verify --keep-id $(NOTEBOOKS)

test: lint ## lint, test the package, run every notebook small, then models and training on JAX without TensorFlow
	rm -rf '$(TEST_HOME)'
	$(TEST_ENV) $(BIN)/python -m pytest -m 'not long' $(PYTEST_ARGS)
	$(TEST_ENV) $(BIN)/python -m pytest $(NBMAKE) $(NOTEBOOKS)
	rm -rf '$(TEST_HOME)'
	$(TEST_ENV) $(NO_TENSORFLOW) $(BIN)/python -m pytest -m 'not long' tests/models tests/training tests/inference $(PYTEST_ARGS)
	$(TEST_ENV) $(NO_TENSORFLOW) $(BIN)/python -m pytest $(NBMAKE) $(wildcard notebooks/05_*.ipynb)

test-all: test ## the same, and the tests that take minutes
	$(TEST_ENV) $(BIN)/python -m pytest -m long $(PYTEST_ARGS)

notebooks: env ## run every notebook small and export it; FULL=1 runs them at full size
	$(BRAIN_TUMOR) notebooks $(if $(FULL),--full)

reports: env ## rebuild every published report from the data, runs and records at hand
	$(BRAIN_TUMOR) reports

bench: env ## measure this machine: index, cache, batches, training and inference
	$(BIN)/python benchmarks/bench.py
