# The two commands of the README, and what contributors need. Everything is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Compiling every module of every library takes longer than the demo needs of it; Python compiles what it uses.
PIP_INSTALL := bin/pip install --quiet --disable-pip-version-check --no-compile
INSTALL := $(VENV)/$(PIP_INSTALL)

.DEFAULT_GOAL := help
.PHONY: help demo install dev test test-services test-docker lint format stubs clean

# A service that pins its environment has one of its own, made from its requirements.txt and nothing else; so have
# the tests, of what they need at hand and no service brings. A new folder needs no edit here.
ENVIRONMENTS := $(patsubst %/requirements.txt,%/.venv,$(shell grep -ls == services/*/requirements.txt tests/services/*/*/requirements.txt))

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.installed  ## ask two local services about the sample data set, score and report
	@$(BIN)/orchestrator run --data sample --local chance --local template_diff --shots 4 --option-scores

install: $(VENV)/.installed  ## make .venv with the orchestrator and the kit

dev: $(VENV)/.dev $(VENV)-oldest/.installed  ## install all that tests and checks need

test: dev  ## run everything that needs neither a model's environment nor Docker
	$(VENV)-oldest/bin/python -m pytest -q -m "not environments and not docker" tests/services/kit tests/services/chance   # the kit's lowest versions
	$(BIN)/pytest -n 2 -m "not environments and not docker"

test-services: dev $(ENVIRONMENTS:=/.installed)  ## make the models' environments, and test the services in them
	$(BIN)/pytest -n 2 --dist loadgroup -m "environments and not docker"

test-docker: dev  ## build the images and test what runs in containers; needs Linux, root and a Docker engine
	tests/docker/engine.sh $(BIN)/pytest -m docker --timeout 1200 --durations 10 tests/docker   # one fixture may build seven images

lint: dev  ## check form, types and the contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	set -e; for folder in $(patsubst %/service.py,%,$(wildcard services/*/service.py)); do MYPYPATH=$$folder $(BIN)/mypy $$folder; done
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf breaking --against baseline.binpb

format: dev  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

stubs: $(VENV)-oldest/.installed  ## generate the contract's Python code anew, into the kit
	PATH="$(abspath $(VENV)-oldest/bin):$$PATH" python -m grpc_tools.protoc -Iprotos --python_out=services/kit \
	    --grpc_python_out=services/kit --mypy_out=services/kit --mypy_grpc_out=services/kit \
	    mmad/answer/v1/answer.proto

clean:  ## remove the environments
	rm -rf $(VENV) $(VENV)-oldest $(ENVIRONMENTS)

# The kit goes in the same pip command as what needs it: its name is never looked up on the package index.
$(VENV)/.installed: constraints.txt pyproject.toml services/kit/pyproject.toml
	@echo "Installing into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) -c constraints.txt -e ./services/kit -e '.[frames,hub]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(INSTALL) -c constraints.txt -e ./services/kit -e '.[dev]'
	@touch $@

# The oldest versions that the kit promises to run with; they also generate the stubs, because code that a newer
# generator writes does not run on an older protobuf.
$(VENV)-oldest/.installed: requirements-oldest.txt services/kit/pyproject.toml
	@test -x $(VENV)-oldest/bin/python || $(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/$(PIP_INSTALL) -r requirements-oldest.txt -e ./services/kit
	@touch $@

# torch comes first and alone: where pip finds a CPU build of that version, it takes that one, and what follows
# takes what is there. The kit's code is linked, not copied, so that what is tested is what lies here.
%/.venv/.installed: %/requirements.txt services/kit/pyproject.toml
	@echo "Installing into $(@D) ..."
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@grep '^torch==' $< | xargs -r $(@D)/$(PIP_INSTALL)
	@$(@D)/$(PIP_INSTALL) -r $< -e ./services/kit
	@$(@D)/bin/python tests/services/declare_torchvision_operators.py
	@touch $@
