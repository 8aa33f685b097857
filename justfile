# Every command of the house. `just` lists them; CI calls the same ones.

python := ".venv/bin/python"
bin := ".venv/bin"

# List the commands
default:
    @{{just_executable()}} --list --unsorted

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
    {{python}} -m earhook.genesys.page --check
    {{python}} -m earhook.analytics.rules.page --check
    {{python}} -m bench.page --check
    {{python}} -m bench.signal --check

# Write the generated pages
[group('check')]
docs:
    {{python}} -m earhook.config.reference
    {{python}} -m earhook.conform.page
    {{python}} -m earhook.genesys.page
    {{python}} -m earhook.analytics.rules.page
    {{python}} -m bench.page

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

# Kill, stop and starve workers under connects and proved calls, restart them twenty times (8 minutes; `--help` lists the stories; the machine must be idle)
[group('test')]
faults *arguments:
    PYTHONPATH=tests {{python}} -m faults {{arguments}}

# Scan the TLS of both doors with testssl.sh and sslyze; `just scan --only sslyze` takes seconds
[group('test')]
scan *arguments:
    {{python}} tests/scan/run.py {{arguments}}

# The console's page with imagined calls, at http://127.0.0.1:9091/: `just console --calls 2000 --losing`
[group('run')]
console *arguments:
    {{python}} -m bench.console serve {{arguments}}

# Real calls on loopback, shown live
[group('run')]
demo *arguments:
    {{bin}}/earhook demo {{arguments}}

# Criterion benches of the Rust crates
[group('bench')]
bench-rust:
    cargo bench --workspace

# CPU per frame beside a C receiver and four WebSocket libraries (38 minutes; `--quick` 5; the machine must be idle, as for all below)
[group('bench')]
bench-ingest *arguments:
    {{python}} -m bench.ingest servers {{arguments}}

# CPU and memory as calls grow from 200 to 8,000 (23 minutes; `--quick` 4)
[group('bench')]
bench-scale *arguments:
    {{python}} -m bench.ingest scale {{arguments}}

# CPU with 1, 2 and 4 subscribers (10 minutes; `--quick` 1)
[group('bench')]
bench-subscribers *arguments:
    {{python}} -m bench.ingest subscribers {{arguments}}

# 200 and 1,000 TLS calls and a storm, every sample proved, latencies as histograms (3 minutes; `--quick` 2)
[group('bench')]
bench-calls *arguments:
    {{python}} -m bench.calls {{arguments}}

# How old a frame is when a local subscriber has its PCM, at 1,000 TLS calls, beside a C relay (3 minutes; `--quick` 1)
[group('bench')]
bench-latency *arguments:
    {{python}} -m bench.latency {{arguments}}

# CPU per piece of audio over HTTPS POST, beside a bare aiohttp server (5 minutes; `--quick` 1)
[group('bench')]
bench-ingest-http *arguments:
    {{python}} -m bench.ingest_http {{arguments}}

# What a block costs that comes in at another worker process than its call (1 minute; `--smoke`)
[group('bench')]
bench-passing *arguments:
    {{python}} -m bench.passing_on {{arguments}}

# How many calls one core of the load generator carries, against a server that does nothing (4 minutes)
[group('bench')]
bench-load *arguments:
    {{python}} -m bench.load.run {{arguments}}

# Floods, and what well-behaved peers notice of them (8 minutes; `--quick` 2)
[group('bench')]
bench-floods *arguments:
    {{python}} -m bench.floods {{arguments}}

# All tables of docs/reference/figures.md one after the other, then the page and its pictures (90 minutes; `--quick` 15)
[group('bench')]
bench-all *arguments:
    -{{python}} -m bench.ingest servers {{arguments}}
    -{{python}} -m bench.ingest scale {{arguments}}
    -{{python}} -m bench.ingest subscribers {{arguments}}
    -{{python}} -m bench.calls {{arguments}}
    -{{python}} -m bench.latency {{arguments}}
    -{{python}} -m bench.ingest_http {{arguments}}
    -{{python}} -m bench.floods {{arguments}}
    {{python}} -m bench.page

# What the console costs a gateway of 2,000 calls, with a page open and without (2 minutes)
[group('bench')]
bench-console *arguments:
    {{python}} -m bench.console.server {{arguments}}

# Frames per second of the console's page with 200, 2,000 and 4,000 calls, in headless Chromium (2 minutes)
[group('bench')]
bench-console-page *arguments:
    {{python}} -m bench.console frames {{arguments}}

# Storms of signed TLS connects: `open` to `opened`, beside the C program
[group('bench')]
bench-storm *arguments:
    {{python}} -m bench.storm {{arguments}}

# CPU of a frame on its way out alone: the PCM stream, recordings
[group('bench')]
bench-forwarding *arguments:
    {{python}} -m bench.forwarding {{arguments}}

# Sentiment on labelled lines of calls, with and without the lexicon (a second)
[group('bench')]
bench-sentiment *arguments:
    {{python}} -m bench.sentiment {{arguments}}

# Word error rate and cost of the embedded recogniser on telephone speech, into docs/concepts/recognition.md (5 minutes; wants flite and apt)
[group('bench')]
bench-recognition *arguments:
    {{python}} -m bench.recognition {{arguments}}

# Write docs/reference/figures.md and its pictures from bench/results
[group('bench')]
bench-page *arguments:
    {{python}} -m bench.page {{arguments}}

# Two commits side by side, ratios with an interval: `just bench-compare HEAD~3 HEAD` (11 minutes and two builds; `--quick` 1)
[group('bench')]
bench-compare *arguments:
    {{python}} -m bench.compare {{arguments}}

# What Node needs to take part in `bench-ingest`
[group('bench')]
bench-node:
    npm ci --prefix bench/ingest/node

# How right the analysis of calls is, beside WebRTC's detector of voices; writes docs/reference/signal.md (2 minutes; `--quick`; wants apt)
[group('bench')]
bench-signal *arguments:
    {{python}} -m bench.signal {{arguments}}

# Calls come and go for an hour or a night: `just soak --minutes 70`; nothing may be lost, nothing may grow
[group('bench')]
soak *arguments:
    {{python}} -m bench.soak {{arguments}}
