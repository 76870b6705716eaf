# Two commands: `make run` and `make test`. Everything they need they set up themselves.

# Passed on to `fathom up`, for example: make run ARGS=--simulate
ARGS ?=
# Passed on to `swift test`, for example: make test TEST_ARGS='--filter BooksTests'
TEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test setup build lint check clean

help: ## List the commands
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## Set up, build and start the local cluster (ARGS=--simulate works offline)
	@swift build -c release --product fathom
	@swift build -c release --product exchange-simulator
	@exec .build/release/fathom up $(ARGS)

test: ## Set up, build and run every test
	@hack/setup.sh tests
	@hack/test.sh $(TEST_ARGS)

setup: ## Install what is missing (as root), or print the command that does
	@hack/setup.sh

build: setup ## Build all programs for release
	@swift build -c release

lint: ## Check formatting
	@swift format lint --strict --recursive Sources Tests Package.swift

check: lint ## Check formatting and the repository's own rules
	@hack/check.sh

clean: ## Remove everything that was built; the local cluster's data stays
	@rm -rf .build
