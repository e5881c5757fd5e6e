# Pitlane. `make help` lists the targets; `make run` and `make test` are the two that matter.
SHELL := /bin/sh
CARGO ?= cargo
FLOW ?=
ROUNDS ?= 10000000
RATES ?= 10000,50000,100000,200000
OUT ?= target/latency/$(shell date -u +%Y%m%d-%H%M%S)
SEEDS ?= 10000
FROM ?= 0
SEED ?=
SECONDS ?= 60
TARGETS ?= $(basename $(notdir $(wildcard tests/fuzz/fuzz_targets/*.rs)))

# Tuning: built by whoever calls, run by root where that is needed.
BUILT = $(CARGO) build --release --locked --quiet
TUNER = $(CARGO) run --release --locked --quiet --
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo)
SELECTED = $(if $(PROFILE),--profile $(PROFILE)) $(if $(ONLY),--only $(ONLY)) $(if $(SKIP),--skip $(SKIP)) \
  $(if $(WITH),--with $(WITH)) $(if $(HOT),--hot $(HOT))

.DEFAULT_GOAL := help
.PHONY: help run test lint bench bench-latency jitter top instructions doc race sim crash disk-faults fuzz oracles tools tools-oracles

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build, run an exchange with clients on it, prove the end state (FLOW=directory plays recorded LOBSTER flow)
	@$(CARGO) run --release --locked --quiet -- demo $(if $(FLOW),--flow "$(FLOW)",)

test: tools ## everything a clean checkout must pass
	$(CARGO) test --locked

lint: ## formatting and lints, as errors
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

bench: ## parts and the whole path, against their floors in the same run
	$(CARGO) bench --locked

bench-latency: ## rates and transports beside the machine's floor, some minutes; a table and a page (RATES=10000,50000 OUT=directory)
	@$(CARGO) build --release --locked --quiet
	@target/release/pitlane measure --rates "$(RATES)" --out "$(OUT)"

jitter: ## what each core does to a busy loop
	@$(CARGO) run --release --locked --quiet -- jitter

# A profile of its own: quick to build, and it does not wait for `make run` nor take its program away.
top: ## a running exchange as a screen; waits for one (start it first, then `make run` in another terminal)
	@$(CARGO) build --profile quick --locked --quiet --features dashboard
	@target/quick/pitlane top --wait

instructions: ## instructions a request of the book, counted by valgrind
	@command -v valgrind >/dev/null 2>&1 || { echo "make instructions: please install: valgrind"; exit 1; }
	@$(CARGO) bench --locked --profile quick --bench book --no-run 2>&1 | tail -n 1
	@program=$$(ls -t target/quick/deps/book-* | grep -v '\.d$$' | head -n 1); \
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*measured_batch*' $$program instructions 2>&1 | \
	  awk '/requests/ {requests = $$1} /Collected/ {printf "%d instructions in %d requests: %.0f a request\n", $$4, requests, $$4 / requests}'

doc: ## the crate's documentation
	$(CARGO) doc --locked --no-deps

race: ## ROUNDS random commands against the slow twin (default ten million)
	PITLANE_RACE_COMMANDS=$(ROUNDS) $(CARGO) test --locked --profile quick --test matching_race -- --nocapture

sim: ## SEEDS whole runs under simulated faults, FROM a seed on (default ten thousand from 0); PITLANE_SIM_SEED=n shows one
	PITLANE_SIM_SEEDS=$(SEEDS) PITLANE_SIM_FROM=$(FROM) $(CARGO) test --locked --profile quick --test sim nothing_ -- --nocapture

crash: ROUNDS = 50
crash: tools ## kill a running exchange ROUNDS times and hold it to its promises (default 50; SEED=number repeats one)
	$(if $(SEED),PITLANE_CRASH_SEED=$(SEED)) PITLANE_CRASH_ROUNDS=$(ROUNDS) $(CARGO) test --locked --profile quick --test crash -- --nocapture

disk-faults: ROUNDS = 20
disk-faults: tools ## disks that fill up, fail and stall, and ROUNDS power cuts (default 20), on loop devices; needs root
	PITLANE_POWER_CUTS=$(ROUNDS) $(CARGO) test --locked --profile quick --test disk_faults -- --nocapture

# The compiler's switches for coverage and the address sanitizer are there in a stable toolchain, too, behind this variable.
fuzz: ## each reader and decoder on harmed and arbitrary bytes for SECONDS (60); TARGETS=names picks some (needs cargo-fuzz, g++)
	@command -v cargo-fuzz >/dev/null 2>&1 || { echo "make fuzz: please run: cargo install cargo-fuzz --locked"; exit 1; }
	@for target in $(TARGETS); do \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir tests/fuzz $$target -- -max_total_time=$(SECONDS) -print_final_stats=1 || exit 1; done

oracles: tools-oracles ## other people's programs speak to a running exchange
	@tests/oracles/run.sh

.PHONY: doctor tune-plan tune tune-verify untune tune-cores tune-measure tune-selftest

doctor: ## what this machine gives and what it withholds; changes nothing (PROFILE=latency, throughput, laptop)
	@$(TUNER) doctor $(if $(PROFILE),--profile $(PROFILE))

tune-plan: ## every write that `make tune` would make (PROFILE, ONLY, SKIP, WITH=names, HOT=cores)
	@$(TUNER) tune plan $(SELECTED)

tune: ## save what is found, then tune this machine; asks for root
	@$(BUILT) && $(AS_ROOT) target/release/pitlane tune apply $(SELECTED)

tune-verify: ## whether what was tuned is still in force
	@$(TUNER) tune verify

untune: ## give back what was found; asks for root
	@$(BUILT) && $(AS_ROOT) target/release/pitlane tune undo

tune-cores: ## who should run on which core: the [threads] section for a configuration
	@$(TUNER) tune cores

tune-measure: ## what each setting is worth on this machine, with and without in turns; asks for root
	@$(BUILT) && $(AS_ROOT) target/release/pitlane tune measure $(SELECTED)

tune-selftest: ## the whole cycle on this machine for real: apply, verify, undo, compare; asks for root
	@$(BUILT) && $(AS_ROOT) target/release/pitlane tune selftest $(SELECTED)

# A C compiler links the programs; strace watches the hot threads' system calls.
tools:
	@missing=""; for tool in cc strace; do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	  packages=$$(echo $$missing | sed 's/\bcc\b/gcc libc6-dev/'); \
	  if command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $$packages; \
	  else echo "make: please install:$$missing"; command -v cc >/dev/null 2>&1 || exit 1; fi; \
	fi

tools-oracles: tools
	@missing=""; for tool in tshark python3 tcpdump; do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	  if command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing python3-venv; \
	  else echo "make oracles: please install:$$missing"; exit 1; fi; \
	fi
