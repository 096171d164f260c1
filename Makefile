# Shortwire. `make help` lists the targets.
SHELL := /bin/bash
GO    ?= go
BIN   := bin
# Where a fuzz run stops; `make fuzz FUZZTIME=10m` goes deeper.
FUZZTIME ?= 60s
FUZZ ?= ./...
SEED     ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo test check bench crash chaos fleet interop page fuzz lint build release deploy-check docs-check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the main job on embedded parts, in under a minute
	@$(GO) run ./cmd/demo $(ARGS)

test: ## all tests; real Redis where redis-server is installed
	@command -v redis-server >/dev/null || echo "note: redis-server is not installed, the tests use the in-process stand-in"
	$(GO) test ./...

check: lint ## everything that CI runs: format, vet, staticcheck, race tests (docs and links too), the tests of deploy/, a short fuzz, tidy diff, vulnerabilities
	$(GO) test -race ./...
	@# Not what links the whole program: to build it for the fuzzer takes minutes, and its seeds are tests.
	$(MAKE) --no-print-directory fuzz FUZZTIME=2s FUZZ='./binds/... ./receipts/... ./dispatcher/internal/... ./dispatcher/sms/... ./dispatcher/text'
	deploy/check.sh --tests
	$(GO) mod tidy -diff
	$(GO) mod verify >/dev/null
	@# An offline machine has no vulnerability database; say so and go on.
	@$(GO) tool govulncheck ./... || { s=$$?; [ $$s -eq 3 ] && exit 3; echo "note: govulncheck could not run (no database within reach)"; }

lint: ## format, vet, staticcheck
	@out=$$(gofmt -l .); [ -z "$$out" ] || { echo "not gofmt'ed: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags interop ./binds/interop/...
	$(GO) vet -tags page ./dispatcher/app
	$(GO) tool staticcheck ./...

bench: ## end-to-end benchmark beside the floor program (needs redis-server); ARGS=--quick, "--all --peers --write bench/RESULTS.md", --help
	$(GO) run ./bench $(ARGS)

crash: ## kill a worker with SIGKILL at every step of a job and of a receipt: the whole crash table
	$(GO) test -tags failpoints -count=1 ./bench/crash

chaos: ## kill workers, restart NATS, stop Redis under 100,000 jobs; DURATION=60s: at random all the time (needs redis-server)
	$(GO) run ./bench/chaos -seed $(SEED) $(if $(DURATION),-random -duration $(DURATION)) $(ARGS)

fleet: ## four workers on a NATS cluster and Redis with Sentinel or as a cluster; leaders are killed; ARGS=--rate, --adaptive, --lanes, --cost, --partition
	$(GO) run ./bench/fleet -seed $(SEED) $(ARGS)

interop: ## against a third-party SMSC, npm's smpp package (needs Node.js)
	cd binds/interop/node && npm ci --no-audit --no-fund
	$(GO) test -tags interop -count=1 -v ./binds/interop/...

page: ## the status page in headless Chromium (needs Node.js and chromium); SCREENSHOTS=dir keeps its pictures
	cd dispatcher/app/testdata/page && npm ci --no-audit --no-fund
	$(GO) test -tags page -count=1 -v -run InABrowser ./dispatcher/app

docs-check: ## run or parse every command, snippet and link of the documents, and the examples; says what it does not run, and where that is
	$(GO) test -count=1 -v -run 'OfTheDocuments|TheReferences|Readme|Example|TheDocument' ./cmd/shortwire ./dispatcher/app ./deploy/asyncapi ./deploy/examples ./deploy/scaling

# Before Go 1.27 a fuzzer may end with "context deadline exceeded" and no failing
# input when its time is up (golang/go#75804): such a run is repeated once.
fuzz: ## every fuzz target of the packages FUZZ for FUZZTIME each
	@set -eo pipefail; log=$$(mktemp); trap 'rm -f '$$log EXIT; \
	for pkg in $$($(GO) list $(FUZZ)); do \
	  dir=$$($(GO) list -f '{{.Dir}}' $$pkg); \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$dir/*_test.go 2>/dev/null | cut -c6-); do \
	    echo "== $$pkg $$f"; \
	    run="$(GO) test $$pkg -run ^$$ -fuzz ^$$f\$$ -fuzztime $(FUZZTIME)"; \
	    $$run | tee $$log || { grep -q 'context deadline exceeded' $$log && ! grep -q 'Failing input' $$log && $$run; }; \
	  done; \
	done

build: ## static binaries in bin/
	CGO_ENABLED=0 $(GO) build -tags grpcnotrace -trimpath -o $(BIN)/ ./cmd/shortwire ./cmd/smscsim

release: ## what a release publishes, in dist/; VERSION=v1.2.3, ARGS=--twice compares two builds, PLATFORMS="linux/amd64"
	@PLATFORMS="$(PLATFORMS)" deploy/release.sh $(ARGS) $(or $(VERSION),devel)

deploy-check: ## Helm chart, compose file, rules, dashboard, systemd unit, workflows, release; says what it had to leave out; ARGS=--tests: only what wants nothing but Go
	@deploy/check.sh $(ARGS)
