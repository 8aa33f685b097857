"""Run fuzz targets, one by one: those of Rust with cargo-fuzz, those of Python with atheris.

    python fuzz/run.py [TARGET ...] [--seconds 300] [--list]

Without a target all of them run. A corpus grows in `fuzz/corpus` from the seeds of `seeds.py`;
what broke a law lies in `fuzz/findings` afterwards, from where the test suite plays it again.
The exit code is 1 if there was a finding.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "python"))

from seeds import SEEDS  # noqa: E402
from targets import TARGETS  # noqa: E402

CORPUS, FINDINGS = HERE / "corpus", HERE / "findings"
BUILT = HERE.parent / "target" / "fuzz"
RUST_TARGETS = tuple(sorted(path.stem for path in (HERE / "fuzz_targets").glob("*.rs")))
# An input of Opus is decoded in milliseconds: more of a short one is found than of a long one.
MOST_BYTES = {"opus_packets": 1024, "intake": 3072, "ogg": 6144, "encrypted": 4096}
EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)|^Done (\d+) runs", re.MULTILINE)
COVERED = re.compile(r"cov: (\d+)")


def main() -> None:
    """Run what was asked for and print a line for each."""
    options = read_options()
    if options.list:
        print("\n".join((*RUST_TARGETS, *TARGETS)))
        return
    names = options.targets or [*RUST_TARGETS, *TARGETS]
    failed = [name for name in names if not run(name, options.seconds)]
    if failed:
        sys.exit(f"findings: {', '.join(failed)}; see {FINDINGS}")


def read_options() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = (*RUST_TARGETS, *TARGETS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(known))
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(known):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; --list names them")
    return options


def run(name: str, seconds: int) -> bool:
    """Fuzz one target; False if there was a finding."""
    corpus, findings = CORPUS / name, FINDINGS / name
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS.get(name, ())):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    flags = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
        "-rss_limit_mb=2048",
        "-malloc_limit_mb=256",
        "-timeout=10",
        f"-max_len={MOST_BYTES.get(name, 16_384)}",
        "-verbosity=1",
    ]
    started = time.monotonic()
    ended = subprocess.run(
        [*command(name), str(corpus), str(findings), *separated(name, flags)],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    record(name, ended, time.monotonic() - started)
    if not any(findings.iterdir()):
        findings.rmdir()
    return ended.returncode == 0


def command(name: str) -> list[str]:
    """What runs a target; directories and flags follow."""
    if name in TARGETS:
        return [sys.executable, str(HERE / "python" / "fuzz_one.py"), name]
    cargo = ["cargo", "+nightly", "fuzz", "run", "--fuzz-dir", str(HERE)]
    return [*cargo, "--target-dir", str(BUILT), name]


def separated(name: str, flags: list[str]) -> list[str]:
    """The flags of libFuzzer as the runner wants them."""
    return flags if name in TARGETS else ["--", *flags]


def record(name: str, ended: subprocess.CompletedProcess[str], seconds: float) -> None:
    """Print a line, and add it to the log of all runs."""
    executed = [max(map(int, filter(None, found))) for found in EXECUTED.findall(ended.stderr)]
    covered = COVERED.findall(ended.stderr)
    line = {
        "target": name,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "seconds": round(seconds),
        "executions": max(executed, default=0),
        "coverage": int(covered[-1]) if covered else 0,
        "exit_code": ended.returncode,
    }
    print(json.dumps(line), flush=True)
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / "runs.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    if ended.returncode:
        print(ended.stderr[-4000:], file=sys.stderr)


if __name__ == "__main__":
    main()
