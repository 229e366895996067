# The commands a developer needs; CI calls the same ones.
VENV ?= .venv
PYTHON ?= python3
OUT ?= report.csv
BIN = $(VENV)/bin

.PHONY: install dev test check documents lock licences audit release format sample sample-data bench fuzz

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"

install: $(BIN)/python  ## the program alone
	$(BIN)/pip install --quiet .

dev: $(BIN)/python  ## the program, editable, with the tools
	$(BIN)/pip install --quiet --editable . --group dev

test: dev  ## all tests, on all processors
	$(BIN)/pytest -n auto

check: dev  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

documents: dev  ## write again what is generated: docs/reference.md, MODEL_CARD.md
	$(BIN)/python -m cxrbatch.cli.reference > docs/reference.md
	$(BIN)/python -m cxrbatch.evaluation.model_card > MODEL_CARD.md

lock: dev  ## pin the newest of what setup.cfg asks for, with hashes
	$(BIN)/uv pip compile setup.cfg --universal --python-version 3.11 --upgrade --generate-hashes --quiet \
		--no-config --custom-compile-command "make lock" --output-file requirements.lock
	$(BIN)/uv pip compile setup.cfg --all-extras --universal --python-version 3.11 --constraint requirements.lock --generate-hashes \
		--quiet --no-config --custom-compile-command "make lock" --output-file requirements-extras.lock

licences: dev  ## write the table of docs/licences.md, after make lock
	$(BIN)/python -m release.licences

audit: dev  ## known vulnerabilities of what is pinned
	$(BIN)/python .ci/audit.py --required

release: dev  ## of the last commit: wheel, source distribution, locks, SBOM, licences and SHA256SUMS in dist/
	$(BIN)/pip install --quiet --constraint requirements.lock setuptools
	$(BIN)/python -m release dist

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Exit code 3 is right here: the sample night holds files that cannot be scored, on purpose.
sample: $(BIN)/python  ## screen the sample night
	test -x $(BIN)/cxrbatch || $(MAKE) install
	$(BIN)/cxrbatch screen sample_data/ --out $(OUT) || test $$? -eq 3

sample-data: dev  ## draw the sample night again
	$(BIN)/python sample_data/generate.py

bench: dev  ## speed against the machine's limit, growth of folder and state, who waits how long; an hour
	$(BIN)/python benchmarks/speed.py --compare
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/worst.py
	$(BIN)/python benchmarks/remembered.py
	$(BIN)/python benchmarks/waiting.py

fuzz: dev  ## 10,000 damaged files through the command line; the folder is kept
	$(BIN)/python tests/fuzz/screen_many.py --files 10000 --seed 1 --out "$$(mktemp -d)/fuzz"
