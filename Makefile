.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test coverage check bench shows trials format proto rendered clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## .venv with everything

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,dev]'
	touch $@

demo: $(STAMP) ## sample models behind a real Envoy, real requests explained
	$(BIN)/extproc demo --once

test: $(STAMP) ## every test, on several cores: a file's tests stay together
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

coverage: $(STAMP) ## every test, one after another, and which branches none of them takes: half an hour
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

check: $(STAMP) ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP) ## cost against Envoy's own weighted clusters, and what engine and challenges promise
	$(BIN)/python -m bench
	$(BIN)/python -m bench.shows
	$(BIN)/python -m bench.challenge

shows: $(STAMP) ## what the engine promises: overlap, deadlines, cancellation, streams
	$(BIN)/python -m bench.shows

trials: $(STAMP) ## what challenges promise: isolation, counts, promotions, stores, cost, verdicts; ten minutes
	$(BIN)/python -m bench.challenge

format: $(STAMP) ## format and mend what can be
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

proto: $(STAMP) ## generate extproc/wire from its .proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. extproc/wire/ext_proc.proto

rendered: $(STAMP) ## write envoy/ from graphs/, for docker-compose.yml
	env -i PATH="$(PATH)" OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4317 OTEL_TRACES_SAMPLER=parentbased_always_on \
	  $(BIN)/extproc config graphs --out envoy --mounted-at /etc/envoy --listen 0.0.0.0:10000 \
	  --processor unix:/run/extproc/extproc.sock --egress unix:/run/extproc/egress.sock \
	  --envoy-admin unix:/run/extproc/envoy.sock --access-log -

clean: ## remove what was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
