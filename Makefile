# `make` lists the targets. Everything lives in .venv; only the package registries are needed.

PYTHON  ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
             command -v $$p && break; done)
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 4 ] && echo $$n || echo 4)
UV_PIN  := $(shell sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements/dev.txt)

VENV  := .venv
READY := $(VENV)/.ready
BIN   := $(CURDIR)/$(VENV)/bin

define GET_PROGRAMS
import sys
from bootstrap.sandbox import programs
show = lambda text: print(text, file=sys.stderr, flush=True)
show("control plane " + programs.find(programs.DEFAULT_VERSION, "", show).note)
endef
export GET_PROGRAMS

# ansible-playbook and ansible-lint look for each other on the PATH.
export PATH := $(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help venv programs demo test check format docs bench lock test-lowest clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

venv: $(READY) ## Make .venv with the pinned versions of requirements/dev.txt

# uv takes seconds where pip takes minutes; pip knows mirrors that only pip is configured for.
# The pins are complete, so nothing has to be resolved.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV_PIN)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/dev.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

programs: $(READY) ## Get or build the control-plane programs of the sandbox (minutes, once)
	@$(BIN)/python -c "$$GET_PROGRAMS"

demo: programs ## Join two Windows nodes in a sandbox; KEEP=1 leaves it up
	@$(BIN)/bootstrap demo $(if $(KEEP),--keep)

test: programs ## Run every test; TESTS=path narrows, WORKERS=n sets the processes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

check: $(READY) ## Format, lint, types, layers, playbooks, PowerShell, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_docs.py tests/unit/test_changelog.py
	if [ -d playbooks ]; then $(BIN)/ansible-lint --offline --profile production playbooks; fi
	.ci/lint-powershell

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## Write docs/cli.md from --help
	$(BIN)/python -m bootstrap.cli.docs docs/cli.md

bench: programs ## Measure joins, and the same with plain Ansible
	$(BIN)/python -m bench

lock: $(READY) ## Resolve requirements/dev.txt anew
	$(BIN)/uv pip compile pyproject.toml --extra sandbox --group dev --universal \
	  --python-version 3.11 --no-annotate --no-header --upgrade --quiet -o requirements/dev.txt

test-lowest: $(READY) ## Run the tests with the lowest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) build/lowest
	$(BIN)/uv pip install --quiet --python build/lowest/bin/python --resolution lowest-direct \
	  --group dev -e '.[sandbox]'
	PATH=$(CURDIR)/build/lowest/bin:$$PATH build/lowest/bin/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

clean: ## Remove what the other targets made (caches of programs stay)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .ansible
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
