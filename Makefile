# `make` lists what can be made. Only Rust and make are needed beforehand: scripts/system-packages sees to the rest.

SHELL := /bin/sh
CARGO ?= cargo
# More arguments: make run ARGS='--listen 127.0.0.1:9000'
ARGS ?=

clients := tests/clients

.DEFAULT_GOAL := help
.PHONY: help run demo test lint schema contracts bench bench-bulk bench-draws bench-evm bench-identity bench-ledger packages packages-test clients
# The server stops its database when it is interrupted; make must not remove files or start anything else then.
.NOTPARALLEL:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: packages ## Run a development server with the demonstration enterprise; more arguments in ARGS='…'
	$(CARGO) run -- serve --development --tenants tenants/demo.toml $(ARGS)

demo: ## Play a whole campaign against the server that `make run` has started, and check the sums
	$(CARGO) run --quiet -- demo $(ARGS)

test: packages-test clients contracts/node_modules/.package-lock.json lint ## Check everything: formatting, clippy, tests (what CI runs)
	$(CARGO) test

lint: packages ## Check formatting, and clippy with warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

schema: packages ## Write the GraphQL contract to graphql/schema.graphql
	@mkdir -p graphql
	@# Moved into place, so that a server that does not build leaves the old contract alone.
	$(CARGO) run --quiet -- schema > graphql/.schema.graphql.new || { rm -f graphql/.schema.graphql.new; exit 1; }
	mv graphql/.schema.graphql.new graphql/schema.graphql

contracts: packages-test contracts/node_modules/.package-lock.json ## Compile the EVM contract; writes contracts/out/
	cd contracts && node build.mjs

bench: packages-test clients ## Measure all of the following; each writes target/bench/NAME.json
	$(CARGO) bench --bench minthouse

bench-identity: packages ## Measure what it costs to know who asks
	$(CARGO) bench --bench minthouse -- identity

bench-draws: packages ## Measure draws against pgbench
	$(CARGO) bench --bench minthouse -- draws

bench-bulk: packages ## Measure issuance against COPY (PIECES=1000000)
	$(CARGO) bench --bench minthouse -- bulk $(PIECES)

bench-ledger: packages ## Measure the embedded ledger, its proofs and their checking
	$(CARGO) bench --bench minthouse -- ledger

bench-evm: packages-test clients ## Measure issuing through the EVM ledger on a local node
	$(CARGO) bench --bench minthouse -- evm

packages: ## Install the system packages that running needs, if any is missing
	@scripts/system-packages run

packages-test: ## The same for the tests, which also drive clients on Node.js
	@scripts/system-packages test

# npm writes the second file last, so an interrupted installation is repeated and a finished one is not.
clients: $(if $(wildcard $(clients)/package-lock.json),$(clients)/node_modules/.package-lock.json)

$(clients)/node_modules/.package-lock.json: $(clients)/package-lock.json
	cd $(clients) && npm ci --no-audit --no-fund
	@touch $@

contracts/node_modules/.package-lock.json: contracts/package-lock.json
	cd contracts && npm ci --no-audit --no-fund
	@touch $@
