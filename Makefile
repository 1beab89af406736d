# Every routine of the project. `make` lists them.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:

# The programs are static. Their version comes from git describe below; go is
# kept from asking git itself, which fails in a clone that belongs to another
# user.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
GOBUILD     := go build -trimpath
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMANDS    := $(patsubst cmd/%/main.go,bin/%,$(wildcard cmd/*/main.go))
ARCHES      := amd64 arm64

# What may be set on the command line.
PKG         ?= ./...
RUN         ?= .
JOBS        ?= 2
TIMEOUT     ?= 5m
CRASH       ?= Crash|Kill|PowerCut
CRASHTIME   ?= 2h
FUZZTIME    ?= 30s
STRESSTIME  ?= 2m
BENCH       ?= .
BENCHFLAGS  ?=
COUNT       ?= 6
REF         ?= HEAD
LIMIT       ?= 10
PREFIX      ?= /usr/local
DESTDIR     ?=

GOTEST       = go test -p $(JOBS) -timeout $(TIMEOUT) -run '$(RUN)'
SCRIPTS     := $(wildcard scripts/* .ci/run)
OLDSCRIPTS  := $(wildcard cmd/containers-storage/testdata/scripts/*.sh)

# crash-packages lists the packages with tests that use crash points, which are
# there with -tags crashtest only.
crash-packages = $(shell grep -rlE --include='*_test.go' '^//go:build .*crashtest|crashpoint\.' . \
	| xargs -r dirname | sort -u)

.PHONY: help
help: ## list the targets (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n%s\n' 'Settings: PKG RUN JOBS TIMEOUT CRASH CRASHTIME FUZZTIME STRESSTIME BENCH BENCHFLAGS COUNT REF LIMIT PREFIX DESTDIR, as in: make test PKG=./db/... RUN=Names'

.PHONY: setup
setup: ## install the Debian packages that tests need, or say which are missing
	@scripts/setup

.PHONY: build
build: $(COMMANDS) ## build the commands into bin/

$(COMMANDS): bin/%: FORCE
	$(GOBUILD) -ldflags '-X main.version=$(VERSION)' -o $@ ./cmd/$*

.PHONY: cross
cross: ## compile for every supported platform
	@for arch in $(ARCHES); do \
		echo "build linux/$$arch"; GOOS=linux GOARCH=$$arch $(GOBUILD) ./...; \
	done

.PHONY: install
install: SHARE = $(DESTDIR)$(PREFIX)/share
install: build ## install programs, manual pages and completions below DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/man/man1 $(SHARE)/man/man8 $(SHARE)/bash-completion/completions \
		$(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	install bin/csdb bin/containers-storage $(DESTDIR)$(PREFIX)/bin
	ln -sf containers-storage $(DESTDIR)$(PREFIX)/bin/oci-storage
	install -m 644 docs/man/*.1 $(SHARE)/man/man1
	install -m 644 docs/man/*.8 $(SHARE)/man/man8
	ln -sf containers-storage.1 $(SHARE)/man/man1/oci-storage.1
	install -m 644 docs/completion/bash/containers-storage $(SHARE)/bash-completion/completions
	ln -sf containers-storage $(SHARE)/bash-completion/completions/oci-storage
	install -m 644 docs/completion/zsh/_containers-storage $(SHARE)/zsh/site-functions
	install -m 644 docs/completion/fish/containers-storage.fish $(SHARE)/fish/vendor_completions.d
	ln -sf containers-storage.fish $(SHARE)/fish/vendor_completions.d/oci-storage.fish
	bin/csdb completion bash >$(SHARE)/bash-completion/completions/csdb
	bin/csdb completion zsh >$(SHARE)/zsh/site-functions/_csdb
	bin/csdb completion fish >$(SHARE)/fish/vendor_completions.d/csdb.fish

.PHONY: demo
demo: setup build ## a root file system in, a container on top, the same bytes out
	@go run ./examples/demo -bin bin

.PHONY: test
test: setup vet cross ## vet, compile and test everything, the short crash tests too
	$(GOTEST) $(PKG)
	$(if $(crash-packages),$(GOTEST) -short -tags crashtest -run '$(CRASH)' $(crash-packages))

.PHONY: vet
vet: ## run go vet as it is on every platform and with every tag
	@for arch in $(ARCHES); do \
		echo "vet linux/$$arch"; GOOS=linux GOARCH=$$arch go vet -tags crashtest ./...; \
	done
	go vet ./...

.PHONY: race
race: TIMEOUT = 15m
race: setup ## run the tests under the race detector
	CGO_ENABLED=1 $(GOTEST) -race $(PKG)

.PHONY: root-test
root-test: setup ## run the tests as root; one that would be skipped fails
	go mod download
	$(if $(filter-out 0,$(shell id -u)),sudo) env CI=true PATH="$$PATH" CGO_ENABLED=0 \
		GOMODCACHE="$$(go env GOMODCACHE)" GOFLAGS="$$GOFLAGS" $(GOTEST) $(PKG)

.PHONY: crash-test
crash-test: setup ## kill programs at every point and cut the power; takes long
	go test -p $(JOBS) -count 1 -timeout $(CRASHTIME) -tags crashtest -run '$(CRASH)' $(PKG)

.PHONY: stress
stress: setup ## let eight processes at once use one store for STRESSTIME
	go test -count 1 -timeout 1h -run EightProcesses ./cmd/containers-storage -stress $(STRESSTIME) -v

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@FUZZTIME=$(FUZZTIME) scripts/fuzz $(PKG)

.PHONY: bench
bench: setup ## measure beside containers/storage; wants root (BENCHFLAGS, see bench/)
	go -C bench run . $(BENCHFLAGS)

.PHONY: bench-go
bench-go: setup ## run the benchmarks of the packages that match BENCH
	go test -p 1 -timeout 1h -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

.PHONY: bench-compare
bench-compare: setup bin/benchstat ## compare those with commit REF; more than LIMIT % slower fails
	@BENCH='$(BENCH)' COUNT=$(COUNT) LIMIT=$(LIMIT) scripts/bench-compare '$(REF)' $(PKG)

.PHONY: golden
golden: ## rewrite the golden files
	@scripts/golden

.PHONY: docs
docs: ## rewrite the generated documents
	go generate ./...

.PHONY: docs-check
docs-check: ## rewrite the generated documents, fail if that changes one
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	mkdir -p docs; cp -a docs "$$before"; go generate ./...; diff -r "$$before/docs" docs

.PHONY: lint
lint: setup bin/golangci-lint ## run the linters over code, settings and scripts
	bin/golangci-lint config verify
	bin/golangci-lint run $(PKG)
	bin/golangci-lint run --build-tags crashtest $(PKG)
	shellcheck $(SCRIPTS)
	shellcheck -s sh $(OLDSCRIPTS)
	shellcheck -s bash docs/completion/bash/*

.PHONY: fmt
fmt: bin/golangci-lint ## format the code
	bin/golangci-lint fmt

.PHONY: vuln
vuln: bin/govulncheck ## look for known vulnerabilities; asks vuln.go.dev
	bin/govulncheck ./...

# The tools are built once, and again when their versions change.
bin/golangci-lint bin/govulncheck bin/benchstat: bin/%: tools/go.mod tools/go.sum
	@echo "build $@ (only after tools/go.mod has changed; some take minutes)"
	@go -C tools build -o ../$@ "$$(go -C tools list tool | grep '/$*$$')"
	@touch $@

.PHONY: cover
cover: setup ## measure which statements the tests reach
	mkdir -p bin
	$(GOTEST) -coverpkg ./... -coverprofile bin/cover.out $(PKG)
	go tool cover -html bin/cover.out -o bin/cover.html
	go tool cover -func bin/cover.out | tail -n 1

.PHONY: check
check: lint docs-check test race ## everything that has to hold before a commit

.PHONY: vm-test
vm-test: ## run the tests in a virtual machine of their own
	scripts/vm-test

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: FORCE
FORCE:
