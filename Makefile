# make demo    fit a predator-prey model to the lynx and hare record
# make test    checks and the test suite      (make slow: the few tests that take minutes)
# make docs    the documentation site, into site/
# make bench   every benchmark, with its peers
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: demo test check quick slow docs bench clean float32
.DEFAULT_GOAL := help

help:
	@sed -n '1,4p' Makefile

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $@

$(VENV)/documented: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e ".[dev,docs]"
	@touch $@

demo: $(VENV)/installed
	$(BIN)/python examples/lynx_hare.py

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy models --explicit-package-bases
	$(BIN)/lint-imports

test: check quick float32

quick: $(VENV)/installed
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" tests

slow: $(VENV)/installed
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m slow tests

# The files that would notice a precision: what the others test, float64 has tested.
FLOAT32 := $(addprefix tests/solve/test_,ode.py sde.py engine.py linear.py methods.py gradients.py solution.py bad_input.py steady.py)

float32: $(VENV)/installed
	SCIML_TEST_PRECISION=float32 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "not slow" $(FLOAT32) tests/fit tests/test_examples.py

docs: $(VENV)/documented
	$(BIN)/mkdocs build --strict

bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e ".[dev,bench]"
	-$(BIN)/python -m pip install --quiet numbalsoda
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) site out .cache
