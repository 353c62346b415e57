# Everything is installed into .venv: Python 3.11 or later with pip is all that has to be there before.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS ?= 2
BIN := .venv/bin
INSTALLED := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help install programs demo lint test slow docs clean

help:  ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

install: $(INSTALLED)  ## the tool and what its tests need, into .venv

# torch comes first and by its exact version: a range would take the newest build, which may be far larger.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@echo "installing into .venv, which takes some minutes the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

programs:  ## what some tests use (exiftool, Chromium, web servers): installed by apt as root, else named
	@tools/system_packages.sh

demo: $(INSTALLED)  ## protect a made-up set and show what a model still learns from it (5 minutes on 2 cores)
	PATH="$(CURDIR)/$(BIN):$$PATH" samples/demo.sh

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint programs  ## lint and the default tests; JOBS of them at a time
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS)

slow: $(INSTALLED)  ## the tests that train models for minutes
	$(BIN)/pytest -m slow

docs: $(INSTALLED)  ## rewrite what the documents show: the tree, and what commands print
	$(BIN)/python tools/architecture.py
	OMP_NUM_THREADS=1 $(BIN)/python tools/update_docs.py

clean:  ## remove all that make has made, .venv included
	rm -rf .venv demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
