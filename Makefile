# One environment in .venv, made with uv where it is present and with pip otherwise.
#   make run        the main job: CAR-T arms on a real colon section -> out/colon_ihc.zarr and out/colon_ihc.html
#   make test       the quick tests          make test-slow   all tests but the validation
#   make test-slurm sweeps on a real SLURM, set up on this machine and taken down again (Debian, root)
#   make test-faults  kills, damage, full disks, bad input
#   make lint       style, types, layers     make bench | validate | docs | clean
SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
WORKERS ?= 2
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# PYTHON=/path/to/python3.12 chooses; else the first interpreter that runs and is new enough
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)

.PHONY: run test test-slow test-faults test-slurm bench validate docs lint clean env
.DEFAULT_GOAL := run

$(PY):
	@if command -v uv >/dev/null 2>&1; then uv venv --python "$(or $(PYTHON),3.11)" --seed $(VENV); \
	elif [ -n "$(PYTHON)" ]; then "$(PYTHON)" -m venv $(VENV); \
	else echo "Python 3.11 or newer must be installed, but none was found. Set PYTHON=/path/to/python3." >&2; exit 5; fi

# $(call install,EXTRAS): the package in editable form with extras, at the versions of constraints.txt
define install
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(PY) -c constraints.txt -e '.[$(1)]'; \
	else $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(1)]'; fi
	@touch $@
endef

$(VENV)/.run-stamp: pyproject.toml constraints.txt | $(PY)
	$(call install,image)

$(VENV)/.test-stamp: pyproject.toml constraints.txt | $(PY)
	$(call install,image$(comma)test$(comma)lint$(comma)cluster)

$(VENV)/.docs-stamp: pyproject.toml constraints.txt | $(PY)
	$(call install,image$(comma)docs)

comma := ,

env: $(VENV)/.run-stamp

run: $(VENV)/.run-stamp
	@mkdir -p out
	$(VENV)/bin/tmepde run configs/colon_ihc.toml -o out/colon_ihc.zarr --overwrite
	$(VENV)/bin/tmepde report out/colon_ihc.zarr -o out/colon_ihc.html

# half of its time would be compilation: machine code is not optimised here, and where jaxlib still has a quicker way to
# make it (0.10), that is taken; the other targets test the code that users run
QUICK := --xla_backend_optimization_level=0
QUICKER := $(QUICK) --xla_cpu_use_fusion_emitters=false

test: $(VENV)/.test-stamp
	@flags="$(QUICK)"; XLA_FLAGS="$(QUICKER)" JAX_PLATFORMS=cpu $(PY) -c 'import jax; jax.devices()' >/dev/null 2>&1 \
	&& flags="$(QUICKER)"; export XLA_FLAGS="$$flags $$XLA_FLAGS"; echo "XLA_FLAGS=$$XLA_FLAGS"; \
	$(PYTEST) -m "not slow and not validation and not slurm"

# kills, damage, full disks, bad input: the heavy versions too
test-faults: $(VENV)/.test-stamp
	$(PYTEST) tests/faults

test-slow: $(VENV)/.test-stamp
	$(PYTEST) -m "not validation and not slurm"

# one at a time: two nodes are all there is
test-slurm: $(VENV)/.test-stamp
	tests/cluster/slurm.sh start
	@tests/cluster/slurm.sh run $(PY) -m pytest -m slurm tests/cluster; code=$$?; tests/cluster/slurm.sh stop; exit $$code

validate: $(VENV)/.test-stamp
	@$(PYTEST) --dist load -m validation tests validation; code=$$?; $(PY) -m validation.page; exit $$code

# The programs that we are compared with have an environment of their own: Devito asks for older numpy and packaging.
BENCH_VENV ?= .venv-bench
WORKLOADS ?= w1 w2 w3 w4 w5 reference milieu gradient batch sweep store devices gpu gpu_models
BENCH_OPTIONS ?= --peers

$(BENCH_VENV)/.stamp: pyproject.toml constraints.txt | $(PY)
	$(PY) -m venv $(BENCH_VENV)
	grep -vE '^(numpy|packaging)==' constraints.txt > $(BENCH_VENV)/constraints.txt
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(BENCH_VENV)/constraints.txt -e '.[image,bench]'
	@touch $@

# a workload that needs a device which is not there ends with 5 and keeps the figures of the last time
bench: $(BENCH_VENV)/.stamp
	@set -e; for name in $(WORKLOADS); do $(BENCH_VENV)/bin/tmepde bench $$name $(BENCH_OPTIONS) \
		--out benchmarks/results/$$name.json || [ $$? -eq 5 ]; done
	$(BENCH_VENV)/bin/python benchmarks/page.py

docs: $(VENV)/.docs-stamp
	$(VENV)/bin/mkdocs build --strict

lint: $(VENV)/.test-stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

clean:
	rm -rf out site .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
