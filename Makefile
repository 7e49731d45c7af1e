# The project's only verbs. Each sets up all that it needs: Python 3.11 or newer and access to
# a Python package index; the sandbox's binaries are fetched or built once (see README).

PYTHON ?= python3
BIN := .venv/bin
# Each runs whole files of tests, on a control plane of its own (about 0.6 GB).
WORKERS ?= 5
DIST ?= dist
# Where a release is published: the krew manifest names its archives there.
REPOSITORY ?= https://forge.example/securetenant
PLATFORMS ?= linux-amd64 linux-arm64 darwin-amd64 darwin-arm64
PYTHONS ?= 3.11 3.12 3.13 3.14
SPREAD := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Python keeps what it compiled, whatever the shell says: programs start in a third of the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-quick e2e kind coverage check crds bench release-dry-run

# A real control plane, the operator, one tenant, attacks, one repair. The rest: make demo ARGS=--full
demo: .venv/ready
	@$(BIN)/securetenant demo $(ARGS)

# All tests, on a real API server. ARGS goes to pytest: make test ARGS='-k drift -x'
test: .venv/ready
	@$(BIN)/securetenant sandbox binaries --tools
	@echo "All tests take about 12 minutes on two cores. The slowest come first: the first percent take longest."
	@$(BIN)/python -m pytest $(SPREAD) $(ARGS) || { code=$$?; echo "One test alone: make test ARGS='-k NAME -x'"; exit $$code; }

# What needs no control plane: under a minute, to run after each change.
test-quick: .venv/ready
	@$(BIN)/python -m pytest -n 2 -m "not plane" tests/contract tests/golden tests/property tests/unit $(ARGS)

# On real nodes: the operator as a pod, packets, processes (docs/e2e.md). As root, on Linux.
e2e: .venv/ready
	@$(BIN)/securetenant sandbox binaries --real-nodes
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

# The core of it on a cluster of kind that is there already, with its network plugin: .github/workflows/kind.yml
kind: .venv/ready
	@$(BIN)/python -m pytest -p pytest-kind tests/kind -rs --kubeconfig="$${KUBECONFIG:-$$HOME/.kube/config}" \
	  --keep-cluster --kind-bin="$$(command -v kind)" --kind-kubectl-bin="$$(command -v kubectl)" $(ARGS)

# The same as all tests, and how much of the product ran, in every process of it: takes half as long again.
coverage: .venv/ready
	@$(BIN)/securetenant sandbox binaries --tools
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(SPREAD) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@echo "Lines and branches covered: $$($(BIN)/coverage report --format=total) %"

# Lint, format, types, import contracts, generated files.
check: .venv/ready
	@$(BIN)/ruff format --check --quiet || { echo "Run: $(BIN)/ruff format"; exit 1; }
	@$(BIN)/ruff check --quiet || { echo "Run: $(BIN)/ruff check --fix, then mend what is left"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/securetenant crds --check crds || { echo "Run: make crds"; exit 1; }
	@$(BIN)/securetenant pack manifests --check || { echo "Run: make crds"; exit 1; }
	@$(BIN)/securetenant chart manifests --check || { echo "Run: make crds"; exit 1; }

# Generated files: the CRDs from the models, what the policies and roles are.
crds: .venv/ready
	@$(BIN)/securetenant crds --write crds
	@$(BIN)/securetenant pack manifests --write
	@$(BIN)/securetenant chart manifests --write

# Figures, side by side with a bare client: make bench ARGS=converge
bench: .venv/ready
	@$(BIN)/securetenant sandbox binaries
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

# What a release publishes except the image, made here and published nowhere: dist/
release-dry-run: .venv/ready
	@helm=$$($(BIN)/securetenant sandbox binaries --tools | awk '$$1 == "helm" { print $$2 }') && test -x "$$helm" && \
	  rm -rf "$(DIST)" && \
	  $(BIN)/python -m hatchling build -d "$(DIST)" && \
	  for chart in securetenant-crds securetenant; do \
	    "$$helm" package "manifests/charts/$$chart" -d "$(DIST)" || exit 1; \
	  done && \
	  $(BIN)/python release/archives.py "$(DIST)" --uv "$(BIN)/uv" --repository "$(REPOSITORY)" \
	    --platforms $(PLATFORMS) --pythons $(PYTHONS) && \
	  $(MAKE) --no-print-directory "$(DIST)/site" "$(DIST)/sbom.cdx.json" && \
	  cd "$(DIST)" && sha256sum -- *.whl *.tar.gz *.tgz *.yaml *.json | tee SHA256SUMS

# The documentation as a site. A link that leads nowhere is an error.
$(DIST)/site: .venv/docs/ready
	@.venv/docs/bin/sphinx-build -c docs/site -b html --nitpicky --fail-on-warning --quiet \
	  -d "$(DIST)/doctrees" . "$@"
	@rm -r "$(DIST)/doctrees"

# What the operator consists of, from its lock: CycloneDX, the same bytes for the same lock.
$(DIST)/sbom.cdx.json: .venv/release/ready
	@.venv/release/bin/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml \
	  --output-reproducible --output-format JSON --validate --output-file "$@" requirements.lock

.venv/docs/ready .venv/release/ready: .venv/%/ready: .venv/ready requirements-%.lock
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/$*
	@$(BIN)/uv pip sync --quiet --python .venv/$*/bin/python --require-hashes requirements-$*.lock || \
	  { echo "The locked packages cannot be installed: is a Python package index reachable?"; exit 1; }
	@touch $@

.venv/ready: pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than 3.11. Name another: make PYTHON=python3.13 ..."; exit 1; }
	@echo "Setting up .venv, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { echo "$(PYTHON) cannot make a virtual environment. On Debian: apt install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv || \
	  { echo "pip cannot install uv: is a Python package index reachable?"; exit 1; }
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock || \
	  { echo "The locked packages cannot be installed: is a Python package index reachable?"; exit 1; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
