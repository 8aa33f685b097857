"""Strain: a figure above its limit is seen at once, and forgotten only well below it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.control.pressure import Pressure, Sample, Strain
from earhook.control.pressure_watch import memory_limit_bytes
from earhook.control.settings import SheddingSettings

TICK = 0.1
CALM = Sample(
    loop_cpu_seconds=0.0,
    process_cpu_seconds=0.0,
    cores=2.0,
    loop_lag_seconds=0.0,
    memory_bytes=10,
    memory_limit_bytes=1000,
    open_files=10,
    open_files_limit=1000,
)


class Story:
    """A process whose figures and time are moved by hand, ten samples a second."""

    def __init__(self, settings: SheddingSettings | None = None) -> None:
        self.pressure = Pressure(settings or SheddingSettings())
        self.now = 50.0
        self.sample = CALM
        self.pressure.observe(self.sample, self.now)

    def turn(self, seconds: float, *, loop: float = 0.0, process: float = 0.0) -> None:
        """Let time pass in which the loop and the process use that part of a core each."""
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self.sample = self.sample._replace(
                loop_cpu_seconds=self.sample.loop_cpu_seconds + TICK * loop,
                process_cpu_seconds=self.sample.process_cpu_seconds + TICK * process,
            )
            self.pressure.observe(self.sample, self.now)

    def turn_until(self, condition: Callable[[], object], *, loop: float) -> float:
        """Seconds until it is so."""
        began = self.now
        while not condition():
            assert self.now - began < 60
            self.turn(TICK, loop=loop)
        return self.now - began

    def set(self, **figures: float) -> None:
        self.sample = self.sample._replace(**figures)  # type: ignore[arg-type]


def test_a_calm_process_is_under_no_strain() -> None:
    story = Story()
    story.turn(10, loop=0.84, process=1.6)
    assert story.pressure.strains == ()


@pytest.mark.parametrize(
    ("strain", "above", "held", "below"),
    [
        (Strain.LOOP_LAG, 0.101, 0.081, 0.079),
        (Strain.MEMORY, 851, 681, 679),
        (Strain.OPEN_FILES, 801, 641, 639),
    ],
)
def test_a_figure_above_its_limit_counts_at_once_and_until_it_is_well_below(
    strain: Strain, above: float, held: float, below: float
) -> None:
    names = {
        Strain.LOOP_LAG: "loop_lag_seconds",
        Strain.MEMORY: "memory_bytes",
        Strain.OPEN_FILES: "open_files",
    }
    story = Story()
    story.set(**{names[strain]: above})
    story.turn(TICK)
    assert story.pressure.strains == (strain,)
    story.set(**{names[strain]: held})
    story.turn(5)
    assert story.pressure.strains == (strain,)
    story.set(**{names[strain]: below})
    story.turn(TICK)
    assert story.pressure.strains == ()
    story.set(**{names[strain]: held})
    story.turn(5)
    assert story.pressure.strains == ()


@pytest.mark.parametrize("part", ["loop", "process"])
def test_a_busy_second_is_strain_within_half_a_second_of_crossing(part: str) -> None:
    story = Story()
    story.turn(3)
    busy = {"loop": {"loop": 1.0}, "process": {"process": 2.0}}[part]
    story.turn(0.8, **busy)
    assert story.pressure.strains == ()
    story.turn(0.1 + TICK, **busy)
    assert story.pressure.strains == (Strain.CPU,)
    assert story.turn_until(lambda: not story.pressure.strains, loop=0.0) <= 1.0


def test_a_process_that_starts_is_busy_by_nature() -> None:
    story = Story(SheddingSettings(cpu_seconds=2.0))
    story.turn(1.9, loop=1.0)
    assert story.pressure.strains == ()
    story.turn(0.1, loop=1.0)
    assert story.pressure.strains == (Strain.CPU,)


@pytest.mark.parametrize(
    ("figures", "is_busy"),
    [({}, False), ({"loop_lag_seconds": 0.2}, True), ({"memory_bytes": 999}, False)],
)
def test_only_what_is_short_of_time_is_busy(figures: dict[str, float], is_busy: bool) -> None:
    story = Story()
    story.set(**figures)
    story.turn(TICK)
    assert story.pressure.is_busy is is_busy


def test_cpu_is_an_average_over_the_configured_time() -> None:
    story = Story(SheddingSettings(cpu_seconds=4.0))
    story.turn(8)
    seconds = story.turn_until(lambda: story.pressure.strains, loop=1.0)
    assert seconds == pytest.approx(3.5)


def test_cpu_between_release_and_limit_keeps_what_was() -> None:
    story = Story()
    story.turn(5, loop=0.80)
    assert story.pressure.strains == ()
    story.turn(2, loop=0.9)
    assert story.pressure.strains == (Strain.CPU,)
    story.turn(5, loop=0.70)
    assert story.pressure.strains == (Strain.CPU,)
    story.turn(2, loop=0.66)
    assert story.pressure.strains == ()


def test_a_loop_so_late_that_samples_are_rare_is_still_measured() -> None:
    story = Story()
    story.now += 5.0
    story.set(loop_cpu_seconds=5.0)
    story.pressure.observe(story.sample, story.now)
    assert story.pressure.strains == (Strain.CPU,)


def test_what_nothing_limits_is_never_short() -> None:
    story = Story()
    story.set(memory_limit_bytes=0, open_files_limit=0, memory_bytes=1 << 40, open_files=1 << 20)
    story.turn(1)
    assert story.pressure.strains == ()


def test_switched_off_it_measures_and_judges_nothing() -> None:
    story = Story(SheddingSettings(enabled=False))
    story.set(memory_bytes=999)
    story.turn(1)
    assert story.pressure.strains == ()
    assert story.pressure.levels[Strain.MEMORY].value == pytest.approx(0.999)


def test_other_limits_hold_from_the_next_sample_on() -> None:
    story = Story()
    story.set(memory_bytes=500)
    story.turn(1)
    story.pressure.replace(SheddingSettings(memory_percent=40))
    story.turn(TICK)
    assert story.pressure.strains == (Strain.MEMORY,)
    story.pressure.replace(SheddingSettings(enabled=False))
    story.turn(TICK)
    assert story.pressure.strains == ()


@given(st.lists(st.floats(0, 1), min_size=20, max_size=120))
def test_strain_never_lies_about_cpu(parts: list[float]) -> None:
    """Above the limit over the last second: strain. Below the release: none."""
    story = Story()
    for part in parts:
        story.turn(TICK, loop=part)
    share = sum(parts[-10:]) / 10
    if share > 0.8501:
        assert story.pressure.strains == (Strain.CPU,)
    if share < 0.6799:
        assert story.pressure.strains == ()


def groups(root: Path, text: str, limits: dict[str, str]) -> Path:
    """A file system with control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text)
    for path, limit in limits.items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit)
    return root


@pytest.mark.parametrize(
    ("text", "limits", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "4096\n"}, 4096),
        ("0::/\n", {"memory.max": "8192\n"}, 8192),
        (
            "4:cpu,memory:/a\n0::/\n",
            {"memory/a/memory.limit_in_bytes": "5\n", "memory/memory.limit_in_bytes": "9\n"},
            5,
        ),
        ("4:cpu:/a\n", {"memory/a/memory.limit_in_bytes": "5\n"}, None),
        ("0::/../outside\n", {}, None),
    ],
)
def test_the_least_of_all_control_groups_and_the_machine_is_the_limit(
    text: str, limits: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    found = memory_limit_bytes(groups(tmp_path, text, limits))
    machine = memory_limit_bytes(tmp_path / "no such root")
    assert found == (machine if expected is None else expected)
    assert machine > 1 << 26
