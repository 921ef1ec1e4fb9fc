# Every target, one line each: `make`. All work happens in .venv, made from the lock on first use.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint oracle chaos supported bench migrate new compile contracts seed up compose clean

# The first Python >= 3.11 that really runs (a version manager's shim may exist and refuse).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
PY     := .venv/bin/python
READY  := .venv/.ready

# Every target starts Python again and again: 3 seconds each time where the environment forbids to keep what is compiled.
export PYTHONDONTWRITEBYTECODE :=

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv when present, else pip; hashes are checked either way.
$(READY): requirements-dev.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Medley needs Python 3.11 or later; found $$(python3 --version 2>&1). Set PYTHON=/path/to/python3.11." >&2; exit 1; }
	@if command -v uv >/dev/null; then \
	  { [ -x $(PY) ] || uv venv -q --python "$(PYTHON)" .venv; } \
	  && VIRTUAL_ENV=.venv uv pip install -q --require-hashes -r requirements-dev.lock \
	  && VIRTUAL_ENV=.venv uv pip install -q --no-deps --no-build-isolation -e . ; \
	else \
	  echo "installing the locked packages into .venv (once)" \
	  && { [ -x $(PY) ] || "$(PYTHON)" -m venv .venv; } \
	  && $(PY) -m pip install -q --no-compile --disable-pip-version-check --require-hashes -r requirements-dev.lock \
	  && $(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

setup: $(READY)  ## make .venv and install the locked packages, no more

up: $(READY)  ## the whole stack, embedded, in the foreground (ARGS="--port 3001")
	@exec .venv/bin/medley up $(ARGS)

demo: $(READY)  ## real files in, live rows out; stays up (MEDIA=folder, ARGS="--once")
	@exec .venv/bin/medley demo $(if $(MEDIA),--media "$(MEDIA)") $(ARGS)

# Most tests wait for a server most of the time: two at once, each file by one worker, with servers of its own.
WORKERS ?= 3

test: $(READY)  ## lint, then the whole test suite on real servers (ARGS="-k name", WORKERS=0 for one after the other)
	@$(MAKE) --no-print-directory lint
	@exec $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY)  ## ruff, mypy --strict, import-linter, and the migrations: lint, and what is generated from them
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports
	@.venv/bin/medley migrate compile --check && .venv/bin/medley migrate contracts --check && .venv/bin/medley migrate lint $(if $(BASE),--base $(BASE))

oracle: $(READY)  ## random clauses, tables and transactions against what SELECT says (ARGS="--cases 10000 --seed 7", ARGS="--only 7-12")
	@exec $(PY) -m tests.oracle $(ARGS)

SEEDS ?= 20

chaos: $(READY)  ## faults on real processes, until every client equals SELECT (SEEDS=1000, ARGS="--only 7")
	@exec $(PY) -m tests.chaos --seeds $(SEEDS) $(ARGS)

supported: $(READY)  ## the table of where clauses in services/sync/README.md, from what its test finds
	@SUPPORTED_WRITE=1 $(PY) -m pytest -q tests/integration/test_supported.py

bench: $(READY)  ## how fast it is, beside what is possible here (ONLY=latency,crowds, COMPARE=old.json, ARGS=--quick)
	@exec $(PY) -m tests.bench $(if $(ONLY),--only "$(ONLY)") $(if $(COMPARE),--compare "$(COMPARE)") $(ARGS)

migrate: $(READY)  ## apply schema/*.sql to POSTGRES_DSN, or to the running `medley up`
	@exec .venv/bin/medley migrate apply $(ARGS)

new: $(READY)  ## a migration from a template (name=add_year_to_songs)
	@exec .venv/bin/medley migrate new "$(name)"

compile: $(READY)  ## check schema/*.sql; write schema/bundle.json and schema/init.sql
	@exec .venv/bin/medley migrate compile $(ARGS)

contracts: $(READY)  ## what each service reads and writes, from its SQL: services/*/contract.json (ARGS=--check)
	@exec .venv/bin/medley migrate contracts $(ARGS)

seed: $(READY)  ## schema/seeds.sql into POSTGRES_DSN, or into the running `medley up`
	@exec .venv/bin/medley migrate seed $(ARGS)

compose:  ## the whole stack in Docker
	@exec docker compose up --build --wait $(ARGS)

clean:  ## remove .venv and caches; never data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
