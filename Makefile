# make demo: screen the sample comments with the shipped model
# make test: format check, lint, types, tests
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fix

demo: .venv/core
	$(BIN)/giantkiller screen examples/comments.csv -o build/screened.csv --show

test: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2

fix: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

# torch first and pinned, so that a CPU build at hand is taken instead of the newest CUDA one.
.venv/dev: .venv/core
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
