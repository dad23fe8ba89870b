# make help lists what can be done here.

GO       ?= go
FUZZTIME ?= 30s
LINT      = $(GO) tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build demo test vet lint fmt check bench fuzz clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/rollcall, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/rollcall ./cmd/rollcall

demo: ## run the daemon with a small company's directory beside it
	$(GO) run ./cmd/rollcall demo

test: ## install what the tests need, then run them all, with the race detector
	@sh tools/test-deps.sh
	$(GO) vet ./...
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

vet: ## run the compiler's own checks and the test of the architecture
	$(GO) vet ./...
	$(GO) test ./internal/archtest

lint: ## run the linters of .golangci.yml
	$(LINT) run ./...

fmt: ## format the code
	$(LINT) fmt ./...

check: lint test ## what has to pass before a change is offered

bench: ## hold the bars against floors of this machine, into docs/benchmarks.md
	$(GO) run ./internal/bench -out docs/benchmarks.md

fuzz: ## try each parser with made-up input, FUZZTIME (30s) each
	@$(GO) test -list '^Fuzz' ./... \
	| awk '/^Fuzz/ { name[n++] = $$1 } /^ok/ { while (n) print $$2, name[--n] }' \
	| while read -r package target; do \
		echo "$$package $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

clean: ## remove what was built
	rm -rf bin
