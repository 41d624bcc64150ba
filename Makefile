# Every target that needs Python makes .venv itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEMO   := demo
NATIVE := native
PYTEST  = $(BIN)/pytest -n auto --maxprocesses 4 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help install demo lint test test-all test-gpu fuzz bench bench-gpu report docs clean

help:  ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): setup.cfg pyproject.toml $(wildcard $(NATIVE)/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "vocscore needs Python 3.10 or newer; name one: make PYTHON=python3.12 ..."; exit 2; }
	@echo "== installing into $(VENV): 2 to 4 minutes and 7 GB (torch and DALI), without output"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

install: $(READY)  ## make .venv with vocscore and everything the tests need

demo: $(READY)  ## draw a small VOC set, then pack, train, score, evaluate and report it
	$(BIN)/vocscore demo -o $(DEMO) --overwrite

lint: $(READY)  ## ruff, mypy --strict, the floors (import-linter)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

test: $(READY)  ## the tests, without the slow ones: some minutes
	$(PYTEST) -m "not slow"

test-all: $(READY)  ## all tests, the slow ones as well; those of a GPU skip where there is none
	$(PYTEST)

test-gpu: $(READY)  ## the tests that need a GPU; fails where there is none
	VOCSCORE_REQUIRE_GPU=1 $(BIN)/pytest -m gpu

fuzz: $(READY)  ## damage 1,000,000 JPEGs under the sanitizers of addresses and undefined behavior
	mkdir -p build
	$(CC) -O1 -g -DEXACT_COPY -fsanitize=address,undefined -fno-sanitize-recover=all -shared -fPIC \
	    -I$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))') \
	    $(NATIVE)/*.c -o build/fuzzed.so
	LD_PRELOAD=$$($(CC) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
	    $(BIN)/python tests/shards/images/fuzz.py --library build/fuzzed.so

bench: $(READY)  ## images per second of this machine, beside its ceilings
	$(BIN)/python -m bench

report: $(READY)  ## write docs/benchmarks.md, its chart and the README's caption from bench/results/
	$(BIN)/python -m bench report

bench-gpu: $(READY)  ## everything about this machine's GPU, in 8 minutes; fails where there is none
	$(BIN)/python -m bench gpu

docs: $(READY)  ## write docs/cli.md and the API's keywords from the options
	$(BIN)/python -m vocscore.api.keyword_stubs vocscore/api/keywords.py
	$(BIN)/python -m vocscore.cli.reference docs/cli.md

clean:  ## remove what the targets above made, .venv included
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
