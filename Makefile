# make help lists what can be done here.

GO       ?= go
FUZZTIME ?= 30s
SEED     ?= $(shell date +%s)
ROUNDS   ?= 400
NIGHT     = $(GO) test -v -timeout 60m -count=1
LINT      = $(GO) tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build demo test vet lint fmt check bench bench-large nightly soak fuzz clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

lint: ## run the linters of .golangci.yml, and one of the OpenAPI document
	$(LINT) run ./...
	cd tools && $(GO) run ./apilint ../docs/openapi.json

fmt: ## format the code
	$(LINT) fmt ./...

check: lint test ## what has to pass before a change is offered

bench: ## hold the bars against floors of this machine, into docs/benchmarks.md
	$(GO) run ./internal/bench -out docs/benchmarks.md

bench-large: ## the same at 1,000,000 users, into docs/benchmarks-large.md (a quarter of an hour, 8 GB of disk)
	$(GO) run ./internal/bench -large -out docs/benchmarks-large.md

# Each line is a package, the tests in it, and flags of go test. A law that fails names
# the seed of its case as well.
nightly: ## try the laws on 10,000 states and 100,000 sequences of writes, and kill again and again (SEED repeats a run)
	@echo "make nightly SEED=$(SEED)"
	$(GO) vet ./...
	$(NIGHT) -run 'TestAllWaysOfAskingAgree|TestTheBookFinds|TestAWeakerJudgeIsFound' ./permissions -rapid.checks=10000 -rapid.seed=$(SEED)
	$(NIGHT) -run 'TestNobodyClimbs|TestWithoutAUserAdministratorNobodyRises' ./permissions -rapid.checks=100000 -rapid.seed=$(SEED)
	$(NIGHT) -run 'TestAllWaysOfAskingAgree' ./admin -rapid.checks=3400 -rapid.seed=$(SEED)
	$(NIGHT) -run 'TestNobodyClimbsOverHTTP' -count=20 ./admin
	$(NIGHT) -run 'TestLaws|TestAKilledRun|TestConsequencesAreWhatARunMakes' ./sync -rapid.checks=1000 -rapid.seed=$(SEED)
	ROLLCALL_SYNC_USERS=100000 $(NIGHT) -run 'TestASyncLeavesLocalBytesAlone' ./sync
	$(NIGHT) -run 'TestAKillLeavesNoChangeWithoutItsEntry' -count=10 ./state
	$(NIGHT) -run 'TestNothingAcknowledgedIsLostToAKill|TestNothingLinkedIsLostToAKill' -count=5 ./internal/app
	$(NIGHT) -run 'TestRecordsKeepTheirIDs' ./scim -rapid.checks=3000 -rapid.seed=$(SEED)
	ROLLCALL_PUSH_OPERATIONS=20000 $(NIGHT) -run 'TestNothingPushedIsLostToAKill' -count=3 ./internal/app

soak: ## change directories at random while they are read, ROUNDS (400) rounds each (SEED repeats a run)
	@echo "make soak ROUNDS=$(ROUNDS) SEED=$(SEED)"
	$(NIGHT) -run 'TestSoak' ./internal/history -rounds=$(ROUNDS) -seed=$(SEED)
	$(NIGHT) -run 'TestSoak' ./internal/app -rounds=$(ROUNDS) -seed=$(SEED)

fuzz: ## try each parser with made-up input, FUZZTIME (30s) each
	@$(GO) test -list '^Fuzz' ./... \
	| awk '/^Fuzz/ { name[n++] = $$1 } /^ok/ { while (n) print $$2, name[--n] }' \
	| while read -r package target; do \
		echo "$$package $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$package" || exit 1; \
	done

clean: ## remove what was built
	rm -rf bin
