# Every command of the house. `just` lists them; CI calls the same ones.

python := ".venv/bin/python"
bin := ".venv/bin"

# List the commands
default:
    @just --list --unsorted

# Make .venv with everything a developer needs, and build the extension into it
[group('build')]
setup:
    python3 -m venv .venv
    {{bin}}/pip install --quiet --upgrade pip
    {{bin}}/pip install --quiet --editable '.[dev]'

# Rebuild the native extension after a change of Rust
[group('build')]
build:
    {{bin}}/maturin develop --release

# Format Python and Rust
[group('check')]
fmt:
    {{bin}}/ruff format python tests bench fuzz
    {{bin}}/ruff check --fix --quiet python tests bench fuzz || true
    cargo fmt --all

# Formatting and lints, nothing changed
[group('check')]
lint:
    {{bin}}/ruff format --check python tests bench fuzz
    {{bin}}/ruff check python tests bench fuzz
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- -D warnings

# Static types
[group('check')]
types:
    {{bin}}/mypy

# The type stub against the built extension; the allow-list is empty
[group('check')]
stubs:
    {{bin}}/stubtest earhook._core

# The import law
[group('check')]
imports:
    {{bin}}/lint-imports

# Generated pages are what their generators write
[group('check')]
docs-check:
    {{python}} -m earhook.config.reference --check
    {{python}} -m earhook.conform.page --check

# Write the generated pages
[group('check')]
docs:
    {{python}} -m earhook.config.reference
    {{python}} -m earhook.conform.page

# All static checks
[group('check')]
check: lint types stubs imports docs-check

# All tests of Python, against the installed package
[group('test')]
test *arguments:
    {{bin}}/pytest {{arguments}}

# Tests of the Rust crates
[group('test')]
test-rust:
    cargo test --workspace --quiet

# Model-check the ring
[group('test')]
test-loom:
    RUSTFLAGS="--cfg loom" cargo test --package earhook-ring --test loom --release --target-dir target/loom

# Interpret the pure crates under miri (wants a nightly toolchain with the miri component)
[group('test')]
test-miri:
    cargo +nightly miri test --package earhook-ring --package earhook-wire

# The Autobahn suite against the listener that serves calls (wants Python 2.7)
[group('test')]
autobahn:
    {{python}} tests/autobahn/run.py

# Fuzz one parser or all of them: `just fuzz --list`, `just fuzz ogg --seconds 60` (wants a nightly toolchain; see fuzz/README.md)
[group('test')]
fuzz *arguments:
    {{bin}}/pip install --quiet 'atheris>=3,<4'
    cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
    {{python}} fuzz/run.py {{arguments}}

# Scan the TLS of both doors with testssl.sh and sslyze; `just scan --only sslyze` takes seconds
[group('test')]
scan *arguments:
    {{python}} tests/scan/run.py {{arguments}}

# Real calls on loopback, shown live
[group('run')]
demo *arguments:
    {{bin}}/earhook demo {{arguments}}

# Criterion benches of the Rust crates
[group('bench')]
bench-rust:
    cargo bench --workspace

# CPU per frame beside a C receiver and bare picows (10 minutes; the machine must be idle)
[group('bench')]
bench-ingest *arguments:
    {{python}} bench/ingest/run.py {{arguments}}

# 200 TLS calls in real time, every sample proved at two subscribers and in the recordings
[group('bench')]
bench-calls *arguments:
    {{python}} bench/whole_path.py {{arguments}}

# CPU per piece of audio over HTTPS POST, beside a bare aiohttp server (5 minutes; the machine must be idle)
[group('bench')]
bench-ingest-http *arguments:
    {{python}} bench/ingest_http.py {{arguments}}

# Floods, and what well-behaved peers notice of them
[group('bench')]
bench-floods *arguments:
    {{python}} bench/floods.py {{arguments}}
