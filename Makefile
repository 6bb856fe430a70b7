# `make help` lists what there is. Everything is set up on first use, and only once.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip
UV_VERSION := $(shell sed -n 's/^uv==//p' requirements.txt)
TORCH := $(shell cat trainer-image/torch.txt)
PACKAGES := protocol operator trainer-image lab local
SOURCES := $(PACKAGES:%=%/src)
STAMPS := $(VENV)/stamps

# The CPU build of torch is a tenth of the default one; the index that offers it may be out of reach,
# which must not hold a set-up for long.
TORCH_INDEX_SECONDS := 8

# Two for each processor: many of these tests wait for a time to pass. Who has none left takes another's, since
# a few take ten seconds. Each worker loads all tests: what pytest makes of their assertions is kept, for that is a
# fourth of it.
UNIT_JOBS = $(shell expr 2 \* $$(nproc))

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## Show this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

# --- what a person runs

.PHONY: demo
demo: setup lab-setup ## Train in the lab through a power cut, a join and a choked aggregator
	@$(BIN)/edgelab demo

.PHONY: demo-sites
demo-sites: setup lab-setup ## Two sites and a node behind NAT train one model in rounds, without who leads and cut off
	@$(BIN)/edgelab demo --sites

.PHONY: demo-observe
demo-observe: setup lab-setup ## Leave a job running with Prometheus beside it, and say where to look
	@$(BIN)/edgelab observe

.PHONY: test
test: lint test-unit test-observe test-model test-train test-run test-frameworks test-api test-lab ## Set everything up and run all tests

.PHONY: test-unit
test-unit: setup $(STAMPS)/bytecode ## The tests that need no cluster, under a minute
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q -n $(UNIT_JOBS) --dist worksteal tests/unit

.PHONY: test-observe
test-observe: setup $(STAMPS)/bytecode ## promtool on rules and metrics, remote write to a real Prometheus, pictures
	$(BIN)/pytest -q tests/observe

.PHONY: test-model
test-model: setup $(STAMPS)/bytecode ## Explore the protocols of groups and rounds exhaustively; histories of jobs and fleets
	$(BIN)/pytest -q -n auto tests/model

.PHONY: test-train
test-train: setup $(STAMPS)/bytecode $(STAMPS)/s3-server ## Real process groups on loopback: kills, stops, joins, checkpoints
	$(BIN)/pytest -q -n 2 --dist loadfile tests/train

.PHONY: test-run
test-run: setup $(STAMPS)/bytecode ## `edgetrain run` on a terminal: power cuts by key, stops, failures, links with a rate
	$(BIN)/pytest -q -n 2 tests/run

.PHONY: test-frameworks
test-frameworks: setup $(STAMPS)/frameworks $(STAMPS)/bytecode ## Scripts of Hugging Face and Lightning, in groups that lose and get members
	$(BIN)/pytest -q tests/frameworks

.PHONY: test-api
test-api: setup lab-setup ## On a real API server
	$(BIN)/pytest -q -n 2 tests/api

.PHONY: test-oldest
test-oldest: setup lab-setup ## The same on the oldest API server supported (its own build, once)
	EDGETRAIN_TEST_OLDEST=1 $(BIN)/pytest -q -n 2 tests/api

.PHONY: test-lab
test-lab: setup lab-setup ## End to end, in clusters of the lab (root)
	$(BIN)/pytest -q tests/lab tests/e2e

# The same test as in the lab, on clusters that others make; what it takes, and how it goes on: docs/install.md.

.PHONY: e2e-kind
e2e-kind: setup ## docs/install.md in a cluster of kind, which is taken down again (Docker)
	EDGETRAIN_E2E=kind $(BIN)/pytest -q -s tests/e2e

.PHONY: e2e-k3d
e2e-k3d: setup ## docs/install.md in a cluster of k3d, which is taken down again (Docker)
	EDGETRAIN_E2E=k3d $(BIN)/pytest -q -s tests/e2e

.PHONY: e2e
e2e: setup ## docs/install.md in the cluster that KUBECONFIG, CLOUD and EDGES name
	EDGETRAIN_E2E=given $(BIN)/pytest -q -s tests/e2e

.PHONY: test-images
test-images: setup lab-setup ## Build the real images and run the example from them (root, gigabytes, minutes)
	$(BIN)/pytest -q tests/images

.PHONY: e2e-kubeedge
e2e-kubeedge: setup lab-setup ## End to end on KubeEdge's own nodes, with and without the cloud (root)
	$(BIN)/pytest -q tests/kubeedge

.PHONY: e2e-kueue
e2e-kueue: setup lab-setup ## What the real Kueue makes of jobs, on an API server (root)
	$(BIN)/pytest -q tests/kueue

.PHONY: lint
lint: setup ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES) charts tests benchmarks
	$(BIN)/lint-imports

# Not in requirements.txt: what it brings along, nothing of ours needs. AUDIT_OPTIONS="-s osv" asks another database.
# Strict, since a database that does not know a package has not been asked about it.
AUDIT := pip-audit==2.10.1
AUDIT_OPTIONS ?=

.PHONY: audit
audit: setup ## Known vulnerabilities of what is pinned (a database on the network)
	@found=$$($(BIN)/uv tool run --quiet --python $(BIN)/python $(AUDIT) --strict --progress-spinner off \
	    --no-deps --disable-pip -r requirements.txt -r trainer-image/torch.txt $(AUDIT_OPTIONS) 2>&1); \
	case $$?,"$$found" in \
	  0,*) echo "$$found" ;; \
	  *"known vulnerabilit"*) echo "$$found"; \
	    echo "audit: pin versions that mend these, in requirements.txt or trainer-image/torch.txt" >&2; exit 1 ;; \
	  *) echo "$$found" >&2; \
	    echo "audit: not all was audited; $(AUDIT) or its database is out of reach: see above" >&2; exit 2 ;; \
	esac

.PHONY: format
format: setup ## Let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: setup lab-setup ## Run a benchmark: make bench NAME=recovery
	@test -n "$(NAME)" || { echo "say which: make bench NAME=recovery (see docs/benchmarks.md)" >&2; exit 2; }
	@test -f "benchmarks/$(NAME).py" || { echo "no benchmark '$(NAME)': see docs/benchmarks.md" >&2; exit 2; }
	$(BIN)/python -m benchmarks.$(NAME)

.PHONY: pictures
pictures: setup lab-setup ## Draw the dashboards for docs/ from a job in the lab (six minutes)
	$(BIN)/python -m benchmarks.pictures

# Any builder that takes docker's arguments. Where nothing can be pulled: `edgelab images`.
IMAGE_TOOL ?= $(firstword $(notdir $(shell command -v docker podman buildah)))
IMAGE_PREFIX ?= edgetrain/
IMAGE_TAG ?= dev
IMAGE_OPTIONS ?=

.PHONY: images
images: ## Build both images: make images IMAGE_TAG=1.0 IMAGE_OPTIONS="--platform linux/arm64"
	@test -n "$(IMAGE_TOOL)" || { echo "needs docker, podman or buildah" >&2; exit 2; }
	$(IMAGE_TOOL) build $(IMAGE_OPTIONS) -f Dockerfile -t $(IMAGE_PREFIX)operator:$(IMAGE_TAG) .
	$(IMAGE_TOOL) build $(IMAGE_OPTIONS) -f trainer-image/Dockerfile -t $(IMAGE_PREFIX)trainer:$(IMAGE_TAG) .

.PHONY: crds
crds: setup ## Generate the CRD, docs/job.md, examples/digits.yaml and the chart's table of values
	$(BIN)/python -m edgetrain_protocol.crd
	$(BIN)/python -m edgetrain_protocol.reference
	$(BIN)/python examples/embed.py
	$(BIN)/python charts/readme.py

.PHONY: clean
clean: ## Remove the virtual environment and caches; the lab's cache stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build

# --- set-up, done once

.PHONY: setup
setup: $(STAMPS)/packages ## Python packages, in .venv

.PHONY: lab-setup
lab-setup: setup $(STAMPS)/bytecode ## Debian packages and Kubernetes' binaries for the lab (root)
	@$(BIN)/edgelab setup

$(STAMPS)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Install one and say where: make PYTHON=/usr/bin/python3.12 ..." >&2; exit 1; }
	@echo "setting up Python packages in $(VENV)"
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --without-pip $(VENV); pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	else \
	  $(PYTHON) -m venv $(VENV); pip="$(BIN)/python -m pip"; \
	fi; $$pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@mkdir -p $(@D) && touch $@

# Beside it, whether a CPU build of torch is in reach: the answer may take as long as the packages.
$(STAMPS)/requirements: requirements.txt trainer-image/torch.txt $(STAMPS)/uv
	@rm -f $(STAMPS)/cpu-torch; \
	{ timeout $(TORCH_INDEX_SECONDS) $(BIN)/uv pip install --quiet --dry-run --no-deps --torch-backend cpu \
	    --target $(VENV)/none $(TORCH) >/dev/null 2>&1 && touch $(STAMPS)/cpu-torch; } & \
	$(UV) install --quiet -r requirements.txt && wait
	@rm -rf $(VENV)/none
	@touch $@

$(STAMPS)/torch: trainer-image/torch.txt $(STAMPS)/requirements
	@if [ -e $(STAMPS)/cpu-torch ]; then \
	  echo "torch: CPU build"; $(UV) install --quiet --torch-backend cpu $(TORCH); \
	else \
	  echo "torch: default build (no index with a CPU build in reach)"; $(UV) install --quiet $(TORCH); \
	fi
	@touch $@

$(STAMPS)/s3-server: tests/s3-server.txt $(STAMPS)/uv
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/s3-server
	@VIRTUAL_ENV=$(CURDIR)/$(VENV)/s3-server $(BIN)/uv pip install --quiet -r $<
	@touch $@

$(STAMPS)/frameworks: trainer-image/frameworks.txt $(STAMPS)/packages
	@$(UV) install --quiet --no-deps -r trainer-image/frameworks.txt
	@touch $@

# Bytecode of what a run needs, so that its workers do not all compile the same at once.
$(STAMPS)/packages: $(STAMPS)/torch $(PACKAGES:%=%/pyproject.toml)
	@$(UV) install --quiet --no-deps $(PACKAGES:%=-e %)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c "import sklearn.datasets, edgetrain_local.run, edgetrain.session, \
	    edgetrain.supervisor.main, edgetrain.profiler.main"
	@touch $@

# Of all packages: pods of the lab mount them read-only, and would compile torch at every start. Not by uv, which
# compiles nothing where it installs none but our own. Some packages carry files for other Pythons, which fail.
$(STAMPS)/bytecode: $(STAMPS)/packages
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	@touch $@
