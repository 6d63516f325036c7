# The two commands of a fresh machine: `make demo` and `make test`.  Both set everything up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CORE := $(VENV)/.core
# Programs and tests start hundreds of Pythons: their bytecode is kept, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo up test check peers static bench bench-peers proto docs release-contract lock peers-lock clean

# --- set-up: a virtual environment with exactly what the lock says -----------------------------------------------

$(READY): requirements/all.txt requirements/install.py pyproject.toml
	@$(PYTHON) requirements/install.py $(VENV)
	@touch $@

# The media core and its shell as machine code.  Without a C compiler it says so, and is interpreted.
$(CORE): $(READY) $(wildcard media/*.py media/*/*.py)
	@$(BIN)/python -m media.compile
	@test ! -d media/_native || touch $@

# The web console.  Without npm it says so, and `/` is a plain page.  In .ci/run it waits for the tools that are installed beside it.
CONSOLE := gateway/static/index.html
CONSOLE_TOOLS := console/node_modules/.ready
$(CONSOLE): console/package-lock.json console/index.html console/vite.config.ts console/build.py $(shell find console/src console/public -type f ! -name schema.d.ts) | $(READY) $(if $(CI),$(CONSOLE_TOOLS))
	@$(BIN)/python console/build.py

# --- running ------------------------------------------------------------------------------------------------------

# A few calls need no machine code, and a newcomer no minute of compiling: `make core` makes a call a fifth cheaper.
demo: $(READY) $(CONSOLE)
	@$(BIN)/hum demo

up: $(READY) $(CONSOLE)
	@$(BIN)/hum up

# The console anew, and an environment to work on it in: all of npm's packages, and the types of the contract.
.PHONY: console console-check
console: $(CONSOLE) console/src/api/schema.d.ts

NPM = cd console && PATH="$(CURDIR)/$(BIN):$$PATH" npm
$(CONSOLE_TOOLS): console/package-lock.json | $(READY)
	$(NPM) ci --silent
	@touch $@

console/src/api/schema.d.ts: $(CONSOLE_TOOLS) $(wildcard hum/v1/*_pb2.py hum/v1/comments.binpb hum/schemas/*.json) gateway/openapi.py gateway/schemas.py console/contract.js
	$(BIN)/python -m gateway.openapi > console/node_modules/.openapi.json
	cd console && PATH="$(CURDIR)/$(BIN):$$PATH" node contract.js < node_modules/.openapi.json > src/api/schema.d.ts

# Types, lint, units.
console-check: console/src/api/schema.d.ts console/e2e/node_modules/.ready
	$(NPM) run check
	$(NPM) test
	cd console/e2e && PATH="$(CURDIR)/$(BIN):$$PATH" npx tsc --noEmit

# --- checking -----------------------------------------------------------------------------------------------------

.PHONY: core
core: $(CORE)

test: $(CORE)
	@$(BIN)/python tests/run.py $(ARGS)

# What `make test` leaves out, by topic; each takes at most ten minutes. `make help` lists them.
TOPICS := $(shell $(PYTHON) tests/topics.py names)
.PHONY: help $(TOPICS:%=check-%)
$(TOPICS:%=check-%): check-%: $(CORE)
	@$(BIN)/python tests/run.py --topic $* $(ARGS)
check-interop check-nodes: peers
check-browser: journeys

check: static
	@.ci/nightly

help:
	@echo "  make demo               one call on this machine, from ring to summary"
	@echo "  make up                 everything on this machine, until Ctrl-C"
	@echo "  make test               the tests; ARGS= are pytest's"
	@echo "  make static             types, style, layers, the contract"
	@echo "  make check              static, and all that follows"
	@$(PYTHON) tests/topics.py

# Through the built console in Debian's Chromium, against the platform and its sandbox.
.PHONY: journeys
journeys: $(CORE) $(CONSOLE) console/e2e/node_modules/.ready
	cd console/e2e && PATH="$(CURDIR)/$(BIN):$$PATH" npx playwright test

# The pages' pictures anew: those that docs/console.md shows, and all others in `console/node_modules/.journeys`, to be looked at.
.PHONY: pictures lighthouse
pictures: $(CORE) $(CONSOLE) console/e2e/node_modules/.ready
	cd console/e2e && PICTURES=all PATH="$(CURDIR)/$(BIN):$$PATH" npx playwright test pictures

lighthouse: $(CORE) $(CONSOLE) console/e2e/lighthouse/node_modules/.ready
	$(BIN)/python -m bench.console --parts lighthouse --rounds 3 --calls 2000 --threads 500

console/e2e/node_modules/.ready: console/e2e/package-lock.json | $(READY)
	cd console/e2e && PATH="$(CURDIR)/$(BIN):$$PATH" PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent
	@touch $@

console/e2e/lighthouse/node_modules/.ready: console/e2e/lighthouse/package-lock.json console/e2e/node_modules/.ready
	cd console/e2e/lighthouse && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent && PATH="$(CURDIR)/$(BIN):$$PATH" npx tsc --noEmit
	@touch $@

# Programs that nobody here wrote, which tests hold ours against; each in an environment of its own.
peers: .venv-oidc/.ready .venv-clients/.ready .venv-deploy/.ready

.venv-oidc/.ready: requirements/oidc-peer.txt
	@test -x .venv-oidc/bin/pip || $(PYTHON) -m venv --clear .venv-oidc
	.venv-oidc/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/oidc-peer.txt
	@touch $@

# What checks deploy/, and lists what a release is made of.
.venv-deploy/.ready: requirements/deploy.txt
	@test -x .venv-deploy/bin/pip || $(PYTHON) -m venv --clear .venv-deploy
	.venv-deploy/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/deploy.txt
	@touch $@

# Generators of clients, and the compilers that judge what they make.
.venv-clients/.ready: requirements/clients.txt tests/clients/package-lock.json
	@test -x .venv-clients/bin/pip || $(PYTHON) -m venv --clear .venv-clients
	.venv-clients/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/clients.txt
	@mkdir -p .venv-clients/npm && cp tests/clients/package.json tests/clients/package-lock.json tests/clients/.npmrc .venv-clients/npm
	cd .venv-clients/npm && PATH="$(CURDIR)/.venv-clients/bin:$$PATH" npm ci --silent
	@touch $@

# In parts, which a parallel make runs beside each other, the longest first.
.PHONY: types lint contract-check house
static: types console-check lint contract-check house

types: $(READY)
	$(BIN)/mypy $(if $(CI),--cache-dir=/dev/null)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

contract-check: $(READY)
	$(BIN)/python proto/contract.py check
	$(BIN)/python proto/contract.py breaking
	$(BIN)/python -m gateway.openapi | $(BIN)/openapi-spec-validator -

# What the linters don't know of: names, layers, lengths, links, waits, whatever nothing reads.
house: $(READY)
	@$(BIN)/python tests/run.py --house $(ARGS)

# Short versions; docs/benchmarks/ tells how the long ones are run.
bench: $(CORE)
	$(BIN)/python -m bench.ledger --calls 10
	$(BIN)/python -m bench.growth --sizes 1000 10000 --times 30
	$(BIN)/python -m bench.months --events 24000 --times 20
	$(BIN)/python -m bench.extras --turns 5 --rounds 3
	$(BIN)/python -m bench.reads --times 500
	$(BIN)/python -m bench.knowledge --passages 2000 --rounds 1
	$(BIN)/python -m bench.texts --recipients 300 --conversations 200 --webhooks 1000
	$(BIN)/python -m bench.texts.matrix --workers 1 --recipients 60 --only "send: posted"
	$(BIN)/python -m bench.webhooks --seconds 5
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
	$(BIN)/python -m hum.contract.authorization > docs/authorization.md
	$(BIN)/python -m hum.contract.eventtypes > docs/events.md
	$(BIN)/python -m gateway.payloads docs/webhooks.md
	$(BIN)/python -m storage.schema > storage/schema.sql
	$(BIN)/python -m evals.schema > evals/scenarios.schema.json

# Makes proto/ the contract that later changes are compared with; add a line to CHANGELOG.md.
release-contract: $(READY)
	$(BIN)/python proto/contract.py release

COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
lock: $(READY)
	$(COMPILE) --extra browser --extra speech --extra dev -o requirements/all.txt
	$(BIN)/uv pip compile requirements/oidc-peer.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -o requirements/oidc-peer.txt
	$(BIN)/uv pip compile requirements/clients.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -o requirements/clients.txt
	$(BIN)/uv pip compile requirements/deploy.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -o requirements/deploy.txt
	$(BIN)/uv pip compile requirements/build.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -c <(grep -v '^ ' requirements/all.txt | sed 's/ \\$$//') -o requirements/build.txt
	$(COMPILE) -c <(grep -v '^ ' requirements/all.txt | sed 's/ \\$$//') -o requirements/runtime.txt
	$(COMPILE) --extra browser -c <(grep -v '^ ' requirements/all.txt | sed 's/ \\$$//') -o requirements/browser.txt

# The last commit as a wheel, with its bill of materials and sums, signed with RELEASE_KEY; docs/deploy.md.
.PHONY: release
release: $(READY) .venv-deploy/.ready
	$(BIN)/python deploy/release.py dist $(if $(RELEASE_KEY),--key $(RELEASE_KEY))

peers-lock: $(READY)
	$(BIN)/uv pip compile requirements/peers.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/peers.txt

clean:
	rm -rf $(VENV) .venv-* media/_native var build .mypy_cache .ruff_cache .pytest_cache .hypothesis
