# Two commands do all set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := $(shell grep -m1 '^torch==' constraints.txt)
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE := 1

.PHONY: setup label-studio demo check test test-desktop soak bench bench-real bench-speed bench-bytes bench-bad-input \
  bench-column-roles bench-file-corpus bench-regexes bench-nhs bench-few-labels bench-own-decisions bench-model-safety \
  bench-coverage bench-round-pull bench-queue bench-personal-data bench-load bench-kills bench-many-workers bench-disk-full bench-hidden-themes \
  bench-refi-qda bench-report measurements errors-reference starter-model safeguarding-model clean

setup: $(READY)

# torch goes first and alone: asked for by another package, pip would take a build of several GB.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	touch $(READY)

# Label Studio has an environment of its own: its libraries and ours do not agree. pip's notes about it are left out.
LS := .venv-label-studio
$(LS)/bin/label-studio:
	test -x $(LS)/bin/python || $(PYTHON) -m venv $(LS)
	$(LS)/bin/python -m pip install --quiet --disable-pip-version-check -r annotation/label_studio.constraints.txt 2>&1 | grep -v '^WARNING' || true
	test -x $(LS)/bin/label-studio

# Starts a Label Studio on this machine with an admin and two annotators, and prints how to log in.
label-studio: setup $(LS)/bin/label-studio
	@$(BIN)/python -m annotation.label_studio_server

demo: setup
	@$(BIN)/python -m nlp_service.demo

check: setup
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q -m "not slow" --numprocesses 2 --dist worksteal

test: check $(LS)/bin/label-studio
	$(BIN)/pytest -q -m "slow and not soak and not desktop"

# The report in Chromium (with axe) and LibreOffice, which must be installed.
test-desktop: setup
	$(BIN)/pytest -q -m desktop

soak: setup $(LS)/bin/label-studio
	$(BIN)/pytest -q -m soak

bench: bench-real bench-speed bench-bytes bench-bad-input

bench-real: setup
	$(BIN)/python -m benchmarks.real_comments

bench-speed: setup
	$(BIN)/python -m benchmarks.speed

bench-bytes: setup
	$(BIN)/python -m benchmarks.same_bytes

bench-bad-input: setup
	$(BIN)/python -m benchmarks.bad_input

bench-column-roles: setup
	$(BIN)/python -m benchmarks.column_roles

bench-file-corpus: setup
	$(BIN)/python -m benchmarks.file_corpus

bench-regexes: setup
	$(BIN)/python -m benchmarks.regexes

bench-nhs: setup
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.nhs

bench-few-labels: setup
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.few_labels

bench-own-decisions: setup
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.own_decisions

bench-model-safety: setup
	$(BIN)/python -m benchmarks.model_safety

bench-coverage: setup
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.coverage

bench-round-pull: setup $(LS)/bin/label-studio
	$(BIN)/python -m benchmarks.round_pull

bench-queue: setup
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.queue_order

bench-personal-data: setup
	$(BIN)/python -m benchmarks.personal_data

bench-load: setup
	$(BIN)/python -m benchmarks.load

bench-kills: setup
	$(BIN)/python -m benchmarks.kill_batches

bench-many-workers: setup
	$(BIN)/python -m benchmarks.many_workers

# Mounts a small disk of its own, so it needs root.
bench-disk-full: setup
	$(BIN)/python -m benchmarks.disk_full

bench-hidden-themes: setup
	$(BIN)/python -m benchmarks.hidden_themes

bench-refi-qda: setup
	$(BIN)/python -m benchmarks.refi_qda

# The report of 20,000 respondents.
bench-report: setup
	$(BIN)/python -m benchmarks.report_made

# Writes docs/reference/measurements.md from the figures that benchmarks left in benchmarks/out.
measurements: setup
	$(BIN)/python -m benchmarks.measurements

# Writes docs/reference/errors.md from nlp_service/error_codes.toml.
errors-reference: setup
	$(BIN)/python -m nlp_service.error_codes > docs/reference/errors.md

# Rebuilds the shipped model from the starter corpus.
starter-model: setup
	OMP_NUM_THREADS=2 $(BIN)/themes train --decisions training/starter/corpus.jsonl \
	  --codebook models/codebooks/community_safety.yaml --start none --folds 2 --joined 0.3 --no-fallback --about training/starter/about.yaml --out models/starter

# Rebuilds the model that finds disclosures of harm from training/safeguarding.
safeguarding-model: setup
	$(BIN)/python -m training.disclosure_fit

clean:
	rm -rf $(VENV) demo-output benchmarks/out
