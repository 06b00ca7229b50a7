# Everything a person types: `make demo`, `make test`; the rest are their parts.

HOST := $(shell rustc -vV | sed -n 's/^host: //p')
BIN := target/$(HOST)/release
# Local clusters need root; nothing else does.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PACKAGES := openssh-server nftables iproute2 e2fsprogs libssl-dev pkg-config gcc

.PHONY: help setup build demo planted test test-vm bench lint

help:
	@echo "make demo   install what is missing, build, run the loss table on a local cluster"
	@echo "make test   install what is missing, build, run every test (needs root)"
	@echo "make test-vm  run the tests on virtual machines (needs root, qemu-system-x86, /dev/net/tun)"
	@echo "make bench  run the benchmarks whose figures stand in docs/benchmarks.md"
	@echo "make lint   format, clippy, documentation"

# Installs the few system packages that are missing, on systems with apt.
setup:
	@missing=""; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
		echo "installing$$missing"; \
		$(ROOT) apt-get update -qq && \
		$(ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; fi

build: setup
	cargo build --release --locked --workspace --bins

demo: build
	$(ROOT) $(BIN)/shakedown run demo --out runs

# The store with its planted bugs is a program of its own name: nobody deploys it by mistake.
planted: setup
	cargo build --locked -p miroir --features planted-bugs --bin miroir-planted

# The debug build: it is made in a third of the time, and its overflow checks are part of the test.
test: setup planted
	@[ "$$(id -u)" = 0 ] || { echo "make test needs root: the tests start local clusters (try: sudo -E make test)"; exit 1; }
	cargo build --locked --workspace --bins
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked --workspace --no-fail-fast; \
	else \
		cargo test --locked --workspace --no-fail-fast; fi

# What the machines boot from: Debian's kernel and busybox as packages, the rest from this machine.
VM := target/vm
$(VM)/root.img: harness/tests/virtual_machine/image.sh
	./$< $(VM)

# Opt-in: qemu is not among what the other tests need. Where something is missing, these fail and say what.
test-vm: setup $(VM)/root.img
	@[ "$$(id -u)" = 0 ] || { echo "make test-vm needs root: the tests make a network namespace (try: sudo -E make test-vm)"; exit 1; }
	cargo build --locked --workspace --bins
	SHAKEDOWN_VM=$(CURDIR)/$(VM) cargo test --locked -p shakedown --test virtual_machines -- --ignored --nocapture --test-threads 1

bench: build
	cargo bench --locked -p shakedown-checker --bench loss
	cargo bench --locked -p shakedown-checker --bench linearizability
	cargo bench --locked -p shakedown-checker --bench isolation -- register
	cargo bench --locked -p shakedown-workloads --bench run_loop
	cargo bench --locked -p shakedown --bench cluster_up
	cargo bench --locked -p shakedown --bench fault_latency
	cargo bench --locked -p shakedown --bench fault_accuracy
	cargo bench --locked -p shakedown --bench packet_rate
	cargo bench --locked -p shakedown --bench idle_agent

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
