# Everything one does with Bandstand on a laptop. Needs make, a shell and Python 3.11 or newer;
# the rest goes into .venv, which need not be activated. `make` alone explains itself.

VENV := .venv
BIN := $(VENV)/bin
# Set PYTHON to choose the interpreter; otherwise the first of these that runs and can make a venv.
PYTHON ?=
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3 python)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
LISTED := setup.cfg pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help up down test test-fast bench regret lint format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/installed-up ## Run Bandstand here, with a demo that it learns from
	@$(BIN)/python -m deploy_cli up --env local
	@$(BIN)/python -m deploy_cli demo --env local --detach

down: ## Stop what `make up` started; data is kept
	@[ ! -x $(BIN)/deploy-cli ] || $(BIN)/python -m deploy_cli down --env local

test: lint ## Check everything: lint, types, layers and all tests
	$(BIN)/python -m pytest -n 2

test-fast: $(VENV)/installed-dev ## Run the tests that take seconds
	$(BIN)/python -m pytest -n 2 -m "not slow"

bench: $(VENV)/installed-bench ## Measure how fast it is on this machine
	$(BIN)/python benchmarks/load.py

regret: $(VENV)/installed-regret ## Compare all policies with the best known ones (hours; SEEDS=5)
	$(BIN)/python benchmarks/regret/run.py --seeds $(or $(SEEDS),5)
	$(BIN)/python benchmarks/regret/contextual.py --seeds $(or $(SEEDS),5)
	$(BIN)/python benchmarks/decision_time.py

lint: $(VENV)/installed-dev ## Check style, types and the layers' import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove all that can be made again; keeps the data in .bandstand
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is installed, by purpose; again when a list of packages changes.
$(VENV)/installed-up: EXTRAS := local,deploy
$(VENV)/installed-dev: EXTRAS := local,deploy,dev
$(VENV)/installed-bench: EXTRAS := local,deploy,bench
$(VENV)/installed-regret: EXTRAS := regret
$(VENV)/installed-up $(VENV)/installed-dev $(VENV)/installed-bench $(VENV)/installed-regret: $(LISTED) | $(BIN)/pip
	@echo "installing Bandstand [$(EXTRAS)] into $(VENV)"
	@$(PIP_INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

# pip comes last into a new environment, so one without it is only half made.
$(BIN)/pip:
	@for python in $(PYTHONS); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found="$$python"; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
		echo "making $(VENV) with $$("$$python" --version)"; \
		exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ -n "$$found" ]; then \
		echo "error: $$found cannot make a virtual environment: its module ensurepip is missing." >&2; \
		echo "On Debian and Ubuntu: apt install python3-venv. Or: make PYTHON=/another/python" >&2; \
	else \
		echo "error: no Python 3.11 or newer among: $(PYTHONS)" >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	fi; \
	exit 1
