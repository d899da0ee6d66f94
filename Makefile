# The few commands a developer needs. `make help` lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

BIN   := bin/directorybolt
TOOLS := bin/tools
SBOM  ?= bin/sbom.cdx.json

# As scripts/build.sh says.
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Runs a command with one throwaway Postgres, which all test packages share.
TESTPG := go run ./internal/dbtest/cmd/testpg --

# How many packages are tested at once, how long one of them may take, how long
# each fuzz target runs, how far the random walks go; which benchmarks, which packages. GOTESTFLAGS adds
# to `go test`.
TEST_PARALLEL ?= 2
TEST_TIMEOUT  ?= 40m
FUZZTIME      ?= 10s
BENCH         ?= .
STEPS         ?= 100000
PKG           ?= ./...

# The fault campaign: which choices (0 draws some), how many faults; how long the
# search for false alarms lasts.
SEED  ?= 0
SCALE ?= 1
CALM  ?= 10m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, then watch an example order go through
	./$(BIN) demo

.PHONY: build
build: ## the static binary, bin/directorybolt
	scripts/build.sh $(BIN)

.PHONY: image
image: ## the container image, directorybolt:VERSION; wants Docker
	docker build -f deploy/Dockerfile -t directorybolt:$(VERSION) -t directorybolt:local \
		--build-arg VERSION=$(VERSION) --build-arg COMMIT=$$(git rev-parse HEAD) \
		--build-arg DATE=$$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd) .

.PHONY: sbom
sbom: ## the bill of materials (CycloneDX) of the binary, bin/sbom.cdx.json
	@mkdir -p $(dir $(SBOM))
	cd deploy/check && go tool cyclonedx-gomod app -json -licenses -noserial -notimestamp -main cmd/directorybolt -output $(abspath $(SBOM)) ../..

.PHONY: test
test: ## all tests, with the race detector, on real stores; installs what is missing when root
	scripts/need.sh gcc postgresql pgbouncer libfaketime nodejs npm python3 curl jq openssl chromium-headless-shell
	scripts/in-memory.sh $(TESTPG) go test -race -p $(TEST_PARALLEL) -timeout $(TEST_TIMEOUT) $(GOTESTFLAGS) $(PKG)
	$(if $(filter ./...,$(PKG)),$(MAKE) --no-print-directory test-deploy)

# What is shipped beside the binary; a module of its own, see deploy/check/doc.go. What it
# reads lies outside that module, where go does not see that something changed: no cache.
.PHONY: test-deploy
test-deploy:
	scripts/need.sh postgresql nodejs npm systemd caddy curl
	cd deploy/check && go test -count=1 -timeout $(TEST_TIMEOUT) $(GOTESTFLAGS) ./...

.PHONY: test-systemd
test-systemd: build ## the units and their commands in docs/deployment.md, on a systemd of their own; wants root
	scripts/need.sh postgresql systemd curl
	$(TESTPG) scripts/test-systemd.sh

.PHONY: lint
lint: $(TOOLS)/staticcheck $(TOOLS)/golangci-lint ## format, vet, staticcheck, golangci-lint (dependency rule), shellcheck
	scripts/need.sh shellcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
		echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	cd deploy/check && go vet ./...
	cd bench && go vet ./...
	$(TOOLS)/staticcheck ./...
	$(TOOLS)/golangci-lint run ./...
	shellcheck .ci/run $$(find scripts deploy -name '*.sh' 2>/dev/null)

.PHONY: walk
walk: ## the random walks beside a model, on both stores, STEPS (100000) steps each
	scripts/need.sh postgresql
	STORETEST_STEPS=$(STEPS) $(TESTPG) go test -run '^TestModel$$' -count 1 -v -timeout 24h ./internal/store/sqlite ./internal/store/postgres

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## the figures of docs/performance.md, on this machine; BENCH=Drain picks some
	scripts/need.sh postgresql pgbouncer
	$(TESTPG) go test -run '^$$' -bench '$(BENCH)' -timeout 60m ./internal/bench

.PHONY: bench-peers
bench-peers: ## the engine beside River, the limiter beside others, every figure in about 30 minutes; BENCHFLAGS=-quick: 8, '-parts drain': some, -h: all flags
	scripts/need.sh postgresql redis-server
	cd bench && go run . $(BENCHFLAGS)

.PHONY: campaign
campaign: ## the full fault campaign, on both stores, about 10 minutes; SEED=1 chooses, SCALE=0.1 is a tenth
	scripts/need.sh postgresql
	go run ./internal/campaign/cmd/campaign -seed $(SEED) -scale $(SCALE)

.PHONY: false-alarms
false-alarms: ## nothing dies, everything is slow, for CALM (10m): nobody alive may be retired
	scripts/need.sh postgresql
	go run ./internal/campaign/cmd/campaign -false-alarms $(CALM)

.PHONY: clean
clean: ## remove what was built, the tools included
	rm -rf bin dist coverage.out

# The linters, at the versions of tools/go.mod. The first build of golangci-lint
# takes about two minutes; afterwards they are built only when a version changes.
$(TOOLS)/staticcheck: tools/go.mod tools/go.sum
	cd tools && go build -trimpath -o ../$(TOOLS)/ honnef.co/go/tools/cmd/staticcheck
	@touch $@

$(TOOLS)/golangci-lint: tools/go.mod tools/go.sum
	cd tools && go build -trimpath -o ../$(TOOLS)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
