# The two commands of a fresh machine: `make demo` and `make test`.  Both set everything up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CORE := $(VENV)/.core

.PHONY: demo up test check peers static bench bench-peers proto docs release-contract lock peers-lock clean

# --- set-up: a virtual environment with exactly what the lock says -----------------------------------------------

$(READY): requirements/all.txt requirements/install.py pyproject.toml
	@$(PYTHON) requirements/install.py $(VENV)
	@touch $@

# The media core and its shell as machine code.  Without a C compiler it says so, and is interpreted.
$(CORE): $(READY) $(wildcard media/*.py media/*/*.py)
	@$(BIN)/python -m media.compile
	@test ! -d media/_native || touch $@

# --- running ------------------------------------------------------------------------------------------------------

# One call needs no machine code, and a newcomer no minute of compiling.
demo: $(READY)
	@$(BIN)/hum demo

up: $(CORE)
	@$(BIN)/hum up

# --- checking -----------------------------------------------------------------------------------------------------

BESIDE = tests/bench tests/contract tests/control tests/gateway tests/house tests/hum tests/media/core tests/sandbox tests/security tests/storage

# Everything but the slow, in five minutes.  Most tests wait as long as they compute, so three run at a time; those that
# keep real time run one by one.
test: $(CORE)
	$(BIN)/python -m pytest -m "not slow" -n 3 --dist loadfile $(BESIDE)
	$(BIN)/python -m pytest -m "not slow" $(addprefix --ignore=,$(BESIDE))

# What CI runs besides: the static checks and the slow tests.
check: $(CORE) static peers
	$(BIN)/python -m pytest -m slow
	HUM_MEDIA_INTERPRETED=1 $(BIN)/python -m pytest -m "not slow" tests/media

# Programs that nobody here wrote, which the slow tests hold ours against; each in an environment of its own.
peers: .venv-oidc/.ready .venv-clients/.ready

.venv-oidc/.ready: requirements/oidc-peer.txt
	@test -x .venv-oidc/bin/python || $(PYTHON) -m venv .venv-oidc
	.venv-oidc/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/oidc-peer.txt
	@touch $@

# Generators of clients, and the compilers that judge what they make.
.venv-clients/.ready: requirements/clients.txt tests/clients/package-lock.json
	@test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/clients.txt
	@mkdir -p .venv-clients/npm && cp tests/clients/package.json tests/clients/package-lock.json tests/clients/.npmrc .venv-clients/npm
	cd .venv-clients/npm && PATH="$(CURDIR)/.venv-clients/bin:$$PATH" npm ci --silent
	@touch $@

static: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/python proto/contract.py check
	$(BIN)/python proto/contract.py breaking
	$(BIN)/python -m gateway.openapi | $(BIN)/openapi-spec-validator -

# Short versions; docs/benchmarks/ tells how the long ones are run.
bench: $(CORE)
	$(BIN)/python -m bench.ledger --calls 10
	$(BIN)/python -m bench.growth --sizes 1000 10000 --times 30
	$(BIN)/python -m bench.reads --times 500
	$(BIN)/python -m bench.media --calls 50 --seconds 10

# Others on our workload, in an environment of their own (half a gigabyte); its lock: make peers-lock.
PEERS := .venv-peers
bench-peers: $(CORE) $(PEERS)/.ready
	$(BIN)/python -m bench.media --calls 8 --seconds 20 --peers $(PEERS)/bin/python
	$(BIN)/python -m bench.media --calls 20 --seconds 20 --peers $(PEERS)/bin/python

$(PEERS)/.ready: requirements/peers.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peers.txt
	@touch $@

# --- the contract and the locks -----------------------------------------------------------------------------------

proto: $(READY)
	$(BIN)/python proto/contract.py write

docs: $(READY)
	$(BIN)/python -m hum.settings.page > docs/settings.md
	$(BIN)/python -m hum.authorization > docs/authorization.md
	$(BIN)/python -m hum.eventtypes > docs/events.md

# Makes proto/ the contract that later changes are compared with; add a line to CHANGELOG.md.
release-contract: $(READY)
	$(BIN)/python proto/contract.py release

COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
lock: $(READY)
	$(COMPILE) --extra speech --extra dev -o requirements/all.txt
	$(BIN)/uv pip compile requirements/oidc-peer.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -o requirements/oidc-peer.txt
	$(BIN)/uv pip compile requirements/clients.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -o requirements/clients.txt
	$(BIN)/uv pip compile requirements/build.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -c <(grep -v '^ ' requirements/all.txt | sed 's/ \\$$//') -o requirements/build.txt
	$(COMPILE) -c <(grep -v '^ ' requirements/all.txt | sed 's/ \\$$//') -o requirements/runtime.txt

peers-lock: $(READY)
	$(BIN)/uv pip compile requirements/peers.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/peers.txt

clean:
	rm -rf $(VENV) .venv-* media/_native var build .mypy_cache .ruff_cache .pytest_cache .hypothesis
