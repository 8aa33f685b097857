"""Who is let in: only while serving, and never more than the configured number."""

from __future__ import annotations

import pytest

from earhook.control.admission import Admissions
from earhook.control.lifecycle import Stage


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.SERVING])
def test_nobody_is_admitted_unless_serving(stage: Stage) -> None:
    admissions = Admissions(max_calls=10)
    verdict = admissions.judge(stage, connections=0)
    assert not verdict.admitted
    assert verdict.retry_after_seconds >= 1
    assert admissions.refused == {str(stage): 1}


@pytest.mark.parametrize(
    ("connections", "admitted"), [(0, True), (1, True), (2, False), (3, False)]
)
def test_the_number_of_calls_is_kept(connections: int, admitted: bool) -> None:
    admissions = Admissions(max_calls=2)
    assert admissions.judge(Stage.SERVING, connections).admitted is admitted
    assert admissions.refused["max-calls"] == (0 if admitted else 1)
