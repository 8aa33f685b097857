"""What fuzzing begins with, and what it has found, through the parsers of Python once more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
sys.path.insert(0, str(FUZZ / "python"))

from seeds import SEEDS  # noqa: E402
from targets import TARGETS  # noqa: E402


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_findings_break_no_law(target: str) -> None:
    findings = sorted((FUZZ / "findings" / target).glob("*"))
    inputs = [*SEEDS[target], *(path.read_bytes() for path in findings)]
    assert inputs
    for sent in inputs:
        TARGETS[target](sent)
