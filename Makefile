# The targets and what they are for: make help

SHELL       := /bin/bash -o pipefail
GO          ?= go
FLAGS       ?=
FUZZTIME    ?= 10s
ROWS        ?=
BROKER      ?= nats
REQUESTS    ?= 10000
FAULT       ?=
POISON      ?= 0
GOLANGCI    := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
MODULES     := $(patsubst %/go.mod,%,$(wildcard go.mod */go.mod deploy/check/go.mod))
MODULES     := $(patsubst go.mod,.,$(MODULES))

.DEFAULT_GOAL := help
.PHONY: help demo build test race cover fuzz bench bench-once flood chaos chaos-short proof deploy-check e2e e2e-figures pictures fmt vet lint ci clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: ## two servers, a burst, a hand-over: the main job end to end
	$(GO) run ./cmd/occamy demo

build: ## build the command into bin/
	$(GO) build -o bin/ ./cmd/occamy

test: ## run all tests, with a RabbitMQ and a PostgreSQL (FLAGS='-run R07 -v' for some of them)
	scripts/test $(FLAGS)

race: ## run all tests under the race detector
	scripts/test -race $(FLAGS)

cover: ## run all tests and write bin/cover.html
	@mkdir -p bin
	scripts/test -coverpkg=./... -coverprofile=bin/cover.out $(FLAGS)
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func=bin/cover.out | tail -n 1

fuzz: ## run each fuzz target for FUZZTIME (10s)
	scripts/fuzz $(FUZZTIME)

bench: ## measure what the library must reach (ROWS='request preempt' for some rows)
	cd bench && $(GO) run . $(ROWS)

bench-once: ## run each benchmark once, to see that it works
	scripts/test -run '^$$' -bench . -benchtime 1x
	cd bench && $(GO) test -tags services -count=1 ./...

flood: ## send 1 GB of garbage to the port of the embedded broker while a client works
	OCCAMY_FLOOD_BYTES=1000000000 $(GO) test -count=1 -v -run TheEmbeddedBrokerWithstandsAFlood ./cmd/occamy

chaos: ## break things while requests run (BROKER=rabbitmq REQUESTS=600 FAULT=leader_killed POISON=3 KEEP=1)
	@cd chaos && $(GO) build -o ../bin/chaos . && exec ../bin/chaos -broker '$(BROKER)' -requests '$(REQUESTS)' -fault '$(FAULT)' -poison '$(POISON)'

chaos-short: ## the same in short, for each broker
	@$(MAKE) --no-print-directory chaos REQUESTS=600 BROKER=nats
	@$(MAKE) --no-print-directory chaos REQUESTS=600 BROKER=rabbitmq

proof: ## kill masters, preempt assistants: what assist promises, with the counts (a short form is in the tests)
	scripts/test -count=1 -v -timeout 20m -run 'Preempted|Killed|Stopped' ./assist/proof -args -kills 50 -stops 6 -preempts 60s

deploy-check: ## hold deploy/ against the types and tools of those who read it
	scripts/deploy-check -count=1 $(FLAGS)

e2e: ## test the page in a real browser, which is installed where there is none
	scripts/e2e $(FLAGS)

e2e-figures: ## measure how the page keeps up; the machine must do nothing else
	OCCAMY_E2E_FIGURES=1 scripts/e2e -v -run Figure

pictures: ## make the pictures of the documentation from a run in the browser
	OCCAMY_E2E_PICTURES='$(CURDIR)/docs/images' scripts/e2e -run Pictures

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

vet: ## go vet in each module
	@for m in $(MODULES); do echo "go vet ($$m)"; (cd $$m && $(GO) vet -tags services,postgres ./...) || exit 1; done

lint: ## golangci-lint in each module, and gofmt
	@for m in $(MODULES); do echo "golangci-lint ($$m)"; (cd $$m && $(GOLANGCI) run ./...) || exit 1; done

ci: ## what a change must pass
	.ci/run

clean: ## remove what the other targets made
	rm -rf bin
