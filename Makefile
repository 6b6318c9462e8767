# make reproduce: the main result on the embedded benchmark, in a terminal.   make test: all of CI.
PYTHON ?= python3
BIN := .venv/bin
SHELL := bash
.SHELLFLAGS := -o pipefail -c
# one BLAS thread per process: realizations already use every core
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: reproduce reproduce-all test torture lint lab site lock clean

reproduce: .venv/installed  ## run the main notebook on smol; print the table
	$(BIN)/llmsel reproduce smol --force

reproduce-all: .venv/installed  ## every notebook of notebooks/reproduce.toml that is out of date
	$(BIN)/llmsel reproduce --all

test: lint .venv/installed  ## everything CI runs; pytest's summary line comes last
	@mkdir -p build && rm -f build/notebooks.failed
	@# the notebooks beside the tests, on another core; the tests' summary is said again at the end
	@{ $(BIN)/python -m pytest --nbval --nbval-current-env -p no:cacheprovider \
		--nbval-sanitize-with $(CURDIR)/tests/nbval.cfg $(wildcard notebooks/*.ipynb) \
		> build/notebooks.txt 2>&1 || touch build/notebooks.failed; } & \
	$(BIN)/python -m pytest --cov=llmsel --cov-report=term:skip-covered --cov-fail-under=98 \
		tests llmsel 2>&1 | tee build/tests.txt; status=$$?; wait; \
	cat build/notebooks.txt; tail -n 1 build/tests.txt; \
	test $$status -eq 0 -a ! -e build/notebooks.failed

torture: .venv/installed  ## the long versions of the tests of faults; prints what it counted
	$(BIN)/python -m pytest -m torture -s tests/torture

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

lab: .venv/installed  ## explore interactively
	$(BIN)/jupyter lab notebooks

site: .venv/installed  ## the documents as pages, in build/site/html; nothing is executed
	$(BIN)/python docs/build.py build/site

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "llmsel needs Python >= 3.11; name one with: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

lock:  ## resolve pyproject.toml for every platform; what is locked and fits stays (UPGRADE=--upgrade: newest)
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lock/bin/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
		--generate-hashes --no-annotate --no-header $(UPGRADE) \
		--extra test --extra generate pyproject.toml --output-file requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf build .venv .venv-lock .pytest_cache .mypy_cache .ruff_cache *.egg-info
