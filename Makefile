# Every target makes the environment first if it is missing; that is quick when it is there.
# A fresh machine needs Python 3.11 to 3.13 and make, nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
BRAIN_TUMOR := $(BIN)/brain-tumor
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
PYTEST_ARGS ?=
EXTRAS ?= train,cpu,jax,sweep,serve,mha,notebooks,dev

# What constraints.txt says of the machine that its versions were tried on, in the words of the machine at hand.
MACHINE = import platform, sys; print('\# For Python %d.%d on %s %s' % (*sys.version_info[:2], platform.system(), platform.machine()))
# Every requirement of pyproject.toml at its lower bound.
LOWEST = import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	extras = [line for name in '$(EXTRAS)'.split(',') for line in project['optional-dependencies'][name]]; \
	print(*[line.replace('>=', '==') for line in project['dependencies'] + extras], sep='\n')
# What the benchmarks compare with.
BENCH_EXTRA = import tomllib; \
	print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['bench'], sep='\n')
ALONE := segmentation-models-pytorch|timm|torchvision
BENCH ?=
LOWEST_TESTS ?= tests/test_foundation.py tests/test_command_line.py tests/experiments/test_jobs.py tests/report/test_notebook.py \
	tests/data tests/evaluation tests/leakage tests/report/test_figures*.py
IMPORT_ALL = import importlib, pkgutil, brain_tumor; \
	[importlib.import_module(module.name) for module in pkgutil.walk_packages(brain_tumor.__path__, 'brain_tumor.')]

# Tests run small things: three processes side by side for two cores, since some wait for a browser or for another process, with a
# thread each (faster than two threads in one process), no bars, and a home of their own, made anew each time, so that they neither
# find nor leave runs and caches in yours. Kernels begin with tests/kernel.py there: a phantom of few small patients halves the time
# of the notebooks. Every process begins with tests/startup. Python keeps what it compiled for the next one, whatever your
# environment says.
WORKERS ?= 3
TEST_HOME := $(CURDIR)/build/test-home
KERNEL := $(TEST_HOME)/ipython/profile_default/startup
TEST_ENV = BRAIN_TUMOR_HOME='$(TEST_HOME)' IPYTHONDIR='$(TEST_HOME)/ipython' BRAIN_TUMOR_QUIET=1 TF_CPP_MIN_LOG_LEVEL=3 \
	PYTHONPATH='$(CURDIR)/tests/startup' PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
# TensorFlow imports JAX where it is there, and Jupyter's schemas a grammar of addresses: each takes a process up to a second.
ON_TENSORFLOW = ABSENT='jax rfc3987_syntax'
# A file's tests stay in one process, so that what they share is made once; conftest.py says in which order the files come.
PYTEST = -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15
# A test that hangs fails with the stacks of all its threads, and its process is not begun anew; without this it holds up all.
HANGS = -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true --max-worker-restart=0
# Only a whole pass can say how much of the package is tested. A tracer doubles the time of many tests on Python 3.11; this does not.
MEASURED = $(if $(PYTEST_ARGS),,-m slipcover --source brain_tumor --json --out build/coverage.json)
COVERAGE = $(if $(PYTEST_ARGS),,--skip-covered --merge build/coverage.json --out build/coverage.json --fail-under 90)
# JAX compiles the same networks again and again. A cache, as new as the home, spares a third of that pass; small networks compute
# little, so code that is not optimised spares a quarter, and operations that are not fused a third of the rest.
ON_JAX = KERAS_BACKEND=jax ABSENT='tensorflow rfc3987_syntax' NPROC=1 \
	JAX_COMPILATION_CACHE_DIR='$(TEST_HOME)/jax' JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
	JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 XLA_FLAGS="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
# Notebooks are run as copies, which keep their outputs: what a failed one said can be read there. The longest come before all. 03
# comes long before 04, which then finds its runs.
EXECUTED := build/notebooks
FIRST := 11_*.ipynb 03_*.ipynb 10_*.ipynb 08_*.ipynb
NBMAKE = --nbmake --nbmake-timeout=600 --overwrite

.PHONY: help env lock demo lint test test-lowest test-all notebooks reports bench

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '%-16s %s\n' "$$target" "$$text"; done

env: $(INSTALLED) ## make .venv with all that notebooks and tests need (some minutes, once)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@machine="$$($(BIN)/python -c "$(MACHINE)")"; versions='--constraint constraints.txt'; \
	grep -qxF "$$machine" constraints.txt || { versions=; echo "constraints.txt has no line '$$machine': taking the newest versions"; }; \
	$(BIN)/python -m pip install --disable-pip-version-check $$versions -e '.[$(EXTRAS)]'
	$(BIN)/python -m ipykernel install --sys-prefix
	@touch $@

lock: ## take the newest versions into constraints.txt (a fresh environment in build/lock); then run make test
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --disable-pip-version-check -e '.[$(EXTRAS)]'
	{ sed -n '/^# For /q; /^#/p' constraints.txt; build/lock/bin/python -c "$(MACHINE)"; \
		build/lock/bin/python -m pip freeze --exclude-editable | grep == | LC_ALL=C sort -f; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/lock

demo: env ## train and score on synthetic patients, write reports/demo.html (no data needed)
	$(BRAIN_TUMOR) demo

lint: env ## ruff over code and notebooks, mypy over the package, and that notebooks are stored without outputs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/nbstripout --verify --keep-id $(NOTEBOOKS)

test: lint ## lint, run every notebook small, test the package, then all that asks a backend on JAX without TensorFlow
	rm -rf '$(TEST_HOME)' $(EXECUTED)
	mkdir -p $(EXECUTED) '$(KERNEL)'
	cp tests/kernel.py '$(KERNEL)'
	cp $(NOTEBOOKS) $(EXECUTED)
	$(TEST_ENV) $(ON_TENSORFLOW) $(BIN)/python $(MEASURED) $(PYTEST) $(HANGS) --junit-xml=build/junit.xml -m 'not long' \
		$(if $(PYTEST_ARGS),,$(NBMAKE) $(addprefix $(EXECUTED)/,$(FIRST) *.ipynb) tests) $(PYTEST_ARGS)
	$(if $(COVERAGE),$(BIN)/slipcover $(COVERAGE))
	rm -rf '$(TEST_HOME)/runs'
	$(TEST_ENV) $(ON_JAX) $(BIN)/python $(PYTEST) $(HANGS) --junit-xml=build/junit-jax.xml -m 'backend and not long' tests $(PYTEST_ARGS)

test-lowest: env ## test what does not train with every package at its lower bound (an environment of its own in build/lowest)
	test -x build/lowest/bin/python || $(PYTHON) -m venv build/lowest
	$(BIN)/python -c "$(LOWEST)" > build/lowest.txt
	build/lowest/bin/python -m pip install --disable-pip-version-check --requirement build/lowest.txt -e .
	rm -rf '$(TEST_HOME)'
	$(TEST_ENV) build/lowest/bin/python -c "$(IMPORT_ALL)"
	$(TEST_ENV) build/lowest/bin/python -m pytest -n $(WORKERS) --dist loadfile \
		--junit-xml=build/junit-lowest.xml -m 'not long' $(LOWEST_TESTS)

test-all: test test-lowest ## the same with every package at its lower bound, the tests that take minutes, and a notebook on JAX
	$(TEST_ENV) $(BIN)/python $(PYTEST) -n 2 --junit-xml=build/junit-long.xml -m long $(PYTEST_ARGS)
	mkdir -p $(EXECUTED)/jax '$(KERNEL)'
	cp tests/kernel.py '$(KERNEL)'
	cp notebooks/05_*.ipynb $(EXECUTED)/jax
	$(if $(PYTEST_ARGS),,$(TEST_ENV) $(ON_JAX) $(BIN)/python -m pytest $(NBMAKE) $(EXECUTED)/jax/*.ipynb tests/conftest.py)

notebooks: env ## run every notebook small and export it; FULL=1 runs them at full size
	$(BRAIN_TUMOR) notebooks $(if $(FULL),--full)

reports: env ## rebuild every published report from the data, runs and records at hand
	$(BRAIN_TUMOR) reports

bench: env build/peer/.installed ## measure this machine beside PyTorch: speed, cost, memory, start-up (an hour; BENCH="--only speed")
	$(BIN)/python benchmarks/bench.py $(BENCH)

# PyTorch stays out of .venv. Its companions' compiled parts need not fit it, so the second line asks for no dependencies.
PEER := $(BIN)/python -m pip install --disable-pip-version-check --target build/peer --constraint benchmarks/peer.txt
build/peer/.installed: benchmarks/peer.txt | env
	rm -rf build/peer
	$(PEER) $$($(BIN)/python -c "$(BENCH_EXTRA)" | grep -v -E '$(ALONE)')
	$(PEER) --no-deps $$($(BIN)/python -c "$(BENCH_EXTRA)" | grep -E '$(ALONE)')
	@touch $@
