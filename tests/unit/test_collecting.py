"""The collector and the heap of a gateway that serves."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from earhook.control.process import collect_rarely
runs = []
gc.callbacks.append(lambda phase, facts: runs.append(facts["generation"]))
collect_rarely()
assert gc.isenabled() and gc.get_freeze_count() > 10_000, gc.get_freeze_count()
del runs[:]
kept = [[] for _ in range(250_000)]
assert 2 not in runs, "five thousand calls bring no collection of everything"
assert 0 in runs and 1 in runs
kept += [[] for _ in range(1_500_000)]
assert 2 in runs, "a leak does"
"""


def test_a_full_collection_comes_with_a_million_objects_and_not_with_calls() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()
