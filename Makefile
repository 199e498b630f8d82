# `make lab` opens the course, `make test` runs everything that CI runs; both need only Python and make.
#
#   make lab      JupyterLab on the first lesson
#   make test     ruff, mypy, pytest (units, properties, oracles, both runtimes, a browser) and every notebook
#   make bench    our speed beside that of runc, Docker and others, as ratios
#   make lint     ruff and mypy alone
#   make outputs  run the lessons and store what they show; after a change of a picture or of a text in one
#   make setup    the .venv that the others lean on
#
# Another Python:  make lab PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
SETUP := PYTHON="$(PYTHON)" sh .ci/setup
ROOT_USER := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help setup lab test bench lint notebooks outputs

help:
	@sed -n '3,10s/^# \{0,1\}//p' Makefile

setup:
	@$(SETUP) course

lab: setup
	@$(BIN)/jupyter trust notebooks/*.ipynb exercises/*/*.ipynb >/dev/null  # else Lab hides the stored pictures
	JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab $(ROOT_USER) notebooks/00-start-here.ipynb

test: lint
	$(PY) -m pytest -q -n 2 --dist loadscope
	@$(MAKE) --no-print-directory notebooks

lint:
	@$(SETUP) course,test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Every stored output is computed again and compared, on each runtime that this machine has.
# (source.ipynb of an exercise holds the solutions; tests/grading proves it.)
notebooks:
	@$(SETUP) course,test
	@for runtime in simulated namespaces; do \
	  if $(BIN)/minidocker --runtime $$runtime doctor >/dev/null; then \
	    echo "notebooks: runtime $$runtime"; \
	    MINIDOCKER_RUNTIME=$$runtime $(PY) -m pytest -q -n 2 --dist loadscope --nbval notebooks/*.ipynb \
	      $$(find exercises -name '*.ipynb' ! -name source.ipynb ! -path '*/.*') || exit 1; \
	  else echo "notebooks: runtime $$runtime does not work here, skipped (minidocker doctor says why)"; fi; \
	done

# What the notebooks keep is made again, on this machine's best runtime.
outputs:
	@$(SETUP) course,test
	$(PY) notebooks/execute.py

bench:
	@$(SETUP) course,test
	$(PY) -m tests.bench
