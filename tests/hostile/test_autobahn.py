"""The Autobahn suite against the listener of calls, with the limits of calls.

It wants Python 2.7 and, the first time, PyPI. Where these cannot be had, `test_frames.py` asks the
same questions in raw bytes; the whole suite, with large messages and TLS, is `just autobahn`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RUNNER = Path(__file__).parents[1] / "autobahn" / "run.py"


@pytest.fixture(scope="module")
def autobahn() -> ModuleType:
    """The program `tests/autobahn/run.py`, as a module."""
    spec = importlib.util.spec_from_file_location("autobahn_run", RUNNER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(400)
def test_the_suite_finds_nothing(run: Any, autobahn: ModuleType, record_property: Any) -> None:
    python2 = autobahn.find_python2()
    if python2 is None or not autobahn.install(python2):
        record_property("autobahn", "not to be had here")
        return
    plan = autobahn.PLANS["calls"]
    basics = dataclasses.replace(plan, cases=autobahn.BASICS, expected_failures=frozenset())
    counts, surprises = run(autobahn.run_plan(basics, python2))
    assert surprises == []
    assert sum(counts.values()) == 247


def test_the_list_of_expected_failures_is_strict_both_ways(autobahn: ModuleType) -> None:
    def result(behavior: str) -> dict[str, str]:
        return {"behavior": behavior, "behaviorClose": "OK"}

    results = {"1.1.1": result("OK"), "2.1": result("FAILED"), "12.1.1": result("UNIMPLEMENTED")}
    assert autobahn.judge(results, frozenset({"2.1"})) == []
    assert len(autobahn.judge(results, frozenset())) == 1
    assert len(autobahn.judge(results, frozenset({"1.1.1", "2.1"}))) == 1
    assert len(autobahn.judge(results, frozenset({"2.1", "99.9"}))) == 1
    assert len(autobahn.judge({"12.1.1": result("OK")}, frozenset())) == 1
