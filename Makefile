# Everything a newcomer needs; each target makes its own environment first.
VENV    := .venv
PYTHON  := $(VENV)/bin/python
STAMP   := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test browser torture lint real bench docs clean

help:   ## say what can be made
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

$(STAMP): pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(STAMP)

demo: $(STAMP)  ## the whole way on the embedded world: names and unlabelled images in, scores and a report out
	$(VENV)/bin/namesake demo

test: $(STAMP)  ## all tests
	$(PYTHON) -m pytest -q -n auto --dist loadscope --no-loadscope-reorder

browser:  ## a Chromium for the tests of the web page, from Debian's packages, where there is none
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium >/dev/null)

torture: $(STAMP)  ## kills, full disks, broken images, fuzzed files, hostile input: one line a claim
	NAMESAKE_TORTURE=long OMP_NUM_THREADS=1 $(PYTHON) -m pytest -q -n 2 --dist loadgroup tests/torture tests/reproduce \
		tests/test_engines.py tests/systems/test_namedmask.py tests/systems/test_consensus.py tests/segmenter \
		tests/test_package.py tests/docs/test_notebooks.py

lint: $(STAMP)  ## style, types and layout
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --config-file dev/scripts.ini
	$(PYTHON) -m pytest -q tests/test_architecture.py

real: $(STAMP)  ## a real network on real photographs (../shared/data): docs/real.md and its pictures
	$(PYTHON) benchmarks/real.py

bench: $(STAMP)  ## speed and memory: one line a claim, gathered in benchmarks/results.md
	$(PYTHON) benchmarks/run.py

docs: $(STAMP)  ## the documentation, into site/
	$(PYTHON) docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --quiet --site-dir site

clean:  ## remove the environment and everything made by it
	rm -rf $(VENV) demo build dist site .pytest_cache .mypy_cache .ruff_cache
