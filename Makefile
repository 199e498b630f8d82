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
# Plugins are named where they are needed: to import them all takes each process of pytest five seconds.
PYTEST := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(PY) -m pytest -q
TESTS := $(PYTEST) -p _hypothesis_pytestplugin
ROOT_USER := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help setup lab test tests bench lint notebooks outputs
export PYTHONDONTWRITEBYTECODE :=

help:
	@sed -n '3,10s/^# \{0,1\}//p' Makefile

setup:
	@$(SETUP) course

lab: setup
	@$(BIN)/jupyter trust notebooks/*.ipynb exercises/*/*.ipynb >/dev/null  # else Lab hides the stored pictures
	JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab $(ROOT_USER) notebooks/00-start-here.ipynb

test:
	@$(SETUP) course,test
	@$(MAKE) --no-print-directory -j2 lint tests  # mypy, nice, takes what the tests leave, as they often wait
	@$(MAKE) --no-print-directory notebooks

# Files are begun in alphabetical order, so the long ones come early and the short doctests fill what is left.
# Thousands of processes are started, killed and waited for, on a busy machine: what fails runs once more, alone, and is
# named. What fails twice, fails; what failed once is to be mended too.
tests:
	@$(TESTS) -p xdist.plugin -n 2 --dist loadfile --no-loadscope-reorder || { \
	  status=$$?; [ $$status -eq 1 ] || exit $$status; echo "tests: once more, alone: what failed beside the others"; \
	  $(TESTS) --last-failed --last-failed-no-failures none; }

lint:
	@$(SETUP) course,test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	nice $(BIN)/mypy

# Every stored output is computed again and compared, on each runtime that this machine has, both at the same time.
# (source.ipynb of an exercise holds the solutions; tests/grading proves it.)
notebooks:
	@$(SETUP) course,test
	@$(MAKE) --no-print-directory -j2 -O notebooks-simulated notebooks-namespaces

notebooks-%:
	@if $(BIN)/minidocker --runtime $* doctor >/dev/null; then \
	  echo "notebooks: runtime $*"; \
	  MINIDOCKER_RUNTIME=$* $(PYTEST) -p nbval.plugin --nbval notebooks/*.ipynb \
	    $$(find exercises -name '*.ipynb' ! -name source.ipynb ! -path '*/.*'); \
	else echo "notebooks: runtime $* does not work here, skipped (minidocker doctor says why)"; fi

# What the notebooks keep is made again, on this machine's best runtime.
outputs:
	@$(SETUP) course,test
	$(PY) notebooks/execute.py

bench:
	@$(SETUP) course,test
	$(PY) -m tests.bench
