"""Who is let in: only while serving, while nothing is short, and never more than configured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.control.admission import FULL, Admissions
from earhook.control.lifecycle import Stage
from earhook.control.pressure import Pressure, Sample, Strain
from earhook.control.settings import SheddingSettings

CALM = Sample(0.0, 0.0, 1.0, 0.0, 10, 1000, 10, 1000)


def admissions_of(
    max_calls: int, settings: SheddingSettings | None = None
) -> tuple[Admissions, Pressure]:
    chosen = settings or SheddingSettings()
    pressure = Pressure(chosen)
    return Admissions(max_calls, chosen, pressure), pressure


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.SERVING])
def test_nobody_is_admitted_unless_serving(stage: Stage) -> None:
    admissions, _ = admissions_of(10, SheddingSettings(probes="answer"))
    verdict = admissions.judge(stage, connections=0)
    assert not verdict.admitted
    assert verdict.retry_after_seconds >= 1
    assert admissions.refused == {str(stage): 1}


@pytest.mark.parametrize(
    ("connections", "admitted"), [(0, True), (1, True), (2, False), (3, False)]
)
def test_the_number_of_calls_is_kept(connections: int, admitted: bool) -> None:
    admissions, _ = admissions_of(2)
    assert admissions.judge(Stage.SERVING, connections).admitted is admitted
    assert admissions.refused["max-calls"] == (0 if admitted else 1)


def test_a_full_gateway_is_full_until_a_part_of_the_calls_has_ended() -> None:
    admissions, _ = admissions_of(100)
    assert admissions.judge(Stage.SERVING, 99).admitted
    verdicts = [
        admissions.judge(Stage.SERVING, connections).admitted
        for connections in (100, 99, 95, 94, 95, 99, 100, 99)
    ]
    assert verdicts == [False, False, False, True, True, True, False, False]


@given(st.integers(1, 200), st.integers(10, 100), st.lists(st.integers(0, 250), max_size=50))
def test_never_beyond_the_number_and_never_shut_for_good(
    max_calls: int, release_percent: int, connections: list[int]
) -> None:
    settings = SheddingSettings(release_calls_percent=release_percent)
    admissions, _ = admissions_of(max_calls, settings)
    for count in connections:
        assert not (admissions.judge(Stage.SERVING, count).admitted and count >= max_calls)
    assert admissions.judge(Stage.SERVING, 0).admitted


@pytest.mark.parametrize(
    ("figures", "strain"),
    [
        ({"loop_lag_seconds": 0.2}, Strain.LOOP_LAG),
        ({"memory_bytes": 900}, Strain.MEMORY),
        ({"open_files": 900}, Strain.OPEN_FILES),
        ({"memory_bytes": 900, "open_files": 900}, Strain.MEMORY),
    ],
)
def test_whatever_is_short_is_the_reason_and_its_end_the_end(
    figures: dict[str, float], strain: Strain
) -> None:
    settings = SheddingSettings(retry_after_seconds=7)
    admissions, pressure = admissions_of(10, settings)
    pressure.observe(CALM._replace(**figures), 1.0)  # type: ignore[arg-type]
    verdict = admissions.judge(Stage.SERVING, 0)
    assert (verdict.admitted, verdict.retry_after_seconds) == (False, 7)
    assert admissions.refused == {str(strain): 1}
    pressure.observe(CALM, 1.1)
    assert admissions.judge(Stage.SERVING, 0).admitted


def test_probes_have_a_lane_of_their_own_where_it_is_configured() -> None:
    settings = SheddingSettings(probes="answer", probe_sessions=2)
    admissions, pressure = admissions_of(1, settings)
    assert not admissions.judge(Stage.SERVING, 0, probing=0).probe_only
    assert admissions.judge(Stage.SERVING, 1, probing=0).probe_only
    assert admissions.judge(Stage.SERVING, 1, probing=1).probe_only
    assert not admissions.judge(Stage.SERVING, 1, probing=2).admitted
    assert admissions.refused == {FULL: 1}
    assert not admissions.judge(Stage.SERVING, 1).admitted
    pressure.observe(CALM._replace(memory_bytes=999), 1.0)
    assert admissions.judge(Stage.SERVING, 0, probing=0).probe_only


def test_asking_why_changes_nothing() -> None:
    admissions, _ = admissions_of(100)
    assert admissions.reason(100) == FULL
    assert admissions.reason(99) is None
    assert admissions.refused == {}


def test_other_limits_hold_from_the_next_call_on() -> None:
    admissions, _ = admissions_of(10)
    admissions.replace(2, SheddingSettings(retry_after_seconds=33))
    assert admissions.judge(Stage.SERVING, 5).retry_after_seconds == 33
    admissions.replace(10, SheddingSettings())
    assert admissions.judge(Stage.SERVING, 5).admitted
