# The commands of this project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LITELLM := $(VENV)/litellm
INTEGRATIONS := $(VENV)/integrations

.DEFAULT_GOAL := help
.PHONY: help venv demo test check bench microbench clean
# A step that failed leaves no file behind that would make the next run believe it was done.
.DELETE_ON_ERROR:

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.test ## Make .venv with everything the tests need (PYTHON=python3.12)

demo: $(VENV)/.demo ## See it work on a real Kafka (SECONDS=60 ends by itself)
	$(BIN)/llmvitals demo $(if $(SECONDS),--seconds $(SECONDS))

test: $(VENV)/.test $(LITELLM)/.done $(INTEGRATIONS)/.done ## Run every test, on a real Kafka and InfluxDB (ARGS="-k topics")
	$(BIN)/python -m compileall -q src # the tests start many processes, which may not be allowed to write bytecode
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS) # one thread each, as the worker has

check: $(VENV)/.check ## Lint, format, types (tests and benchmarks too), layers, compose file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

bench: $(VENV)/.bench $(VENV)/.peers ## Measure beside Faust, Quix Streams and others: 12 minutes (JSON=out.json ONLY="faust …")
	$(BIN)/python -m benchmarks $(if $(JSON),--json $(JSON)) $(if $(ONLY),--only $(ONLY))

microbench: $(VENV)/.bench ## Measure decode, price, combine, merge, rules and sinks by themselves (ARGS="-k merge")
	$(BIN)/python -m pytest benchmarks/micro $(ARGS)

clean: ## Remove .venv and what tools left behind
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "llmvitals needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras; each is done again when pyproject.toml changes.
$(VENV)/.demo: EXTRAS = demo
$(VENV)/.test: EXTRAS = test
$(VENV)/.check: EXTRAS = check
$(VENV)/.bench: EXTRAS = bench
$(VENV)/.demo $(VENV)/.test $(VENV)/.check $(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@

# A peer that can't be installed here has a row that says so, and the others are measured.
$(VENV)/.peers: pyproject.toml $(VENV)/.bench
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]' || \
		echo "not all peers can be installed: their rows will say so"
	@touch $@

# Libraries that do not agree with ours, each in an environment of its own: the real LiteLLM proxy, half a gigabyte, for
# the test of examples/litellm_hook.py and of its SDK; the others for tests/integrations.
$(LITELLM)/.done $(INTEGRATIONS)/.done: $(VENV)/%/.done: tests/%.txt | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/$*
	$(VENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
