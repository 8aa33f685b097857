"""Figures of several processes: counters never go backwards, and one is what it is."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from earhook.ops.histogram import Histogram
from earhook.ops.metrics import MAX_SERIES, METRICS
from earhook.ops.readings import Readings
from earhook.workers.totals import Figures, Totals

Series = dict[tuple[str, tuple[str, ...]], float]

COUNTERS = [metric for metric in METRICS if metric.kind == "counter"]
GAUGES = [metric for metric in METRICS if metric.kind == "gauge"]
HISTOGRAMS = [metric for metric in METRICS if metric.kind == "histogram"]


def exported(readings: Readings) -> Series:
    """Every sample of a scrape."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in readings.families()
        for sample in family.samples
    }


def counted(readings: Readings) -> Series:
    """Those samples that may only grow."""
    growing = {metric.name for metric in METRICS if metric.kind != "gauge"}
    growing |= {
        f"{metric.name}_{end}" for metric in HISTOGRAMS for end in ("bucket", "sum", "count")
    }
    return {key: value for key, value in exported(readings).items() if key[0] in growing}


def sent(readings: Readings) -> Figures:
    return Figures.of(orjson.loads(orjson.dumps(readings.as_json())))


def total(totals: Totals, *heard: str) -> Readings:
    readings = Readings()
    totals.put(readings, heard)
    return readings


@st.composite
def readings_of_one(draw: st.DrawFn) -> Readings:
    readings = Readings()
    texts = st.sampled_from(["a", "b", "c"])
    numbers = st.floats(min_value=0, max_value=1e9)
    for metric in draw(st.lists(st.sampled_from([*COUNTERS, *GAUGES]), max_size=12)):
        labels = {label: draw(texts) for label in metric.labels}
        readings.put(metric.name, draw(numbers), **labels)
    for metric in draw(st.lists(st.sampled_from(HISTOGRAMS), max_size=2)):
        histogram = Histogram()
        for value in draw(st.lists(st.floats(min_value=0, max_value=20), max_size=5)):
            histogram.observe(value)
        readings.put_histogram(metric.name, histogram)
    return readings


@given(readings_of_one())
def test_the_sum_of_one_is_that_one(readings: Readings) -> None:
    totals = Totals()
    totals.take("1", sent(readings))
    assert exported(total(totals, "1")) == exported(readings)


@given(st.lists(readings_of_one(), min_size=2, max_size=4))
def test_counters_add_up_and_gauges_are_as_declared(of_each: list[Readings]) -> None:
    totals = Totals()
    for number, readings in enumerate(of_each):
        totals.take(str(number), sent(readings))
    together = exported(total(totals, *map(str, range(len(of_each)))))
    found: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for readings in of_each:
        for key, value in exported(readings).items():
            found.setdefault(key, []).append(value)
    rules = {metric.name: {"max": max, "min": min}.get(metric.together or "") for metric in METRICS}
    assert together.keys() == found.keys()
    for key, values in found.items():
        expected = (rules.get(key[0]) or sum)(values)
        assert abs(together[key] - expected) <= 1e-6 * max(1.0, expected)


class Crew(RuleBasedStateMachine):
    """Workers count, die, are replaced, and are heard or not."""

    def __init__(self) -> None:
        super().__init__()
        self.totals = Totals()
        self.next_key = 0
        self.living: dict[str, dict[tuple[int, str], float]] = {}
        self.latency: dict[str, Histogram] = {}
        self.before: Series = {}

    @precondition(lambda self: len(self.living) < 5)
    @rule()
    def start(self) -> None:
        key = str(self.next_key)
        self.next_key += 1
        self.living[key] = {}
        self.latency[key] = Histogram()

    @precondition(lambda self: self.living)
    @rule(
        choice=st.randoms(use_true_random=False),
        which=st.integers(0, len(COUNTERS) - 1),
        label=st.integers(0, 2 * MAX_SERIES).map(str),
        more=st.floats(min_value=0, max_value=1e6),
    )
    def count(self, choice: object, which: int, label: str, more: float) -> None:
        key = choice.choice(sorted(self.living))  # type: ignore[attr-defined]
        own = self.living[key]
        own[which, label] = own.get((which, label), 0.0) + more
        self.latency[key].observe(more)

    @rule(data=st.data())
    def scrape(self, data: st.DataObject) -> None:
        keys = sorted(self.living)
        heard = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
        for key in heard:
            self.totals.take(key, sent(self.read(key)))
        self.totals.keep_only(self.living)

    @precondition(lambda self: self.living)
    @rule(data=st.data(), says_goodbye=st.booleans())
    def end(self, data: st.DataObject, *, says_goodbye: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.living)))
        if says_goodbye:
            self.totals.take(key, sent(self.read(key)))
        del self.living[key]

    @rule()
    def hand_over(self) -> None:
        """The parent is replaced."""
        values = orjson.loads(orjson.dumps(self.totals.as_json()))
        self.totals = Totals()
        self.totals.restore(values)
        self.before = {}  # which series there are is decided anew; see below

    @invariant()
    def nothing_goes_backwards(self) -> None:
        now = counted(total(self.totals, *self.living))
        for key, value in self.before.items():
            assert now.get(key, -1.0) >= value
        self.before = now

    def read(self, key: str) -> Readings:
        readings = Readings()
        for (which, label), value in self.living[key].items():
            metric = COUNTERS[which]
            readings.put(metric.name, value, **dict.fromkeys(metric.labels, label))
        readings.put_histogram("earhook_loop_lag_seconds", self.latency[key])
        return readings


TestCrew = Crew.TestCase
TestCrew.settings = settings(max_examples=50)


def test_a_handed_over_sum_goes_on_where_it_was() -> None:
    totals = Totals()
    for key in ("1", "2", "3"):
        readings = Readings()
        readings.put("earhook_calls_opened_total", 10)
        readings.put("earhook_calls", 4)
        totals.take(key, sent(readings))
    totals.keep_only(("2", "3"))
    successor = Totals()
    successor.restore(orjson.loads(orjson.dumps(totals.as_json())))
    assert exported(total(successor)) == {("earhook_calls_opened_total", ()): 30}
    readings = Readings()
    readings.put("earhook_calls_opened_total", 12)
    successor.take("2", sent(readings))
    successor.keep_only(("2",))
    assert exported(total(successor, "2")) == {("earhook_calls_opened_total", ()): 32}


def test_who_knows_better_is_believed() -> None:
    totals = Totals()
    for key, subscribers in (("1", 3), ("2", 3), ("relay", 1)):
        readings = Readings()
        readings.put("earhook_sink_subscribers", subscribers, sink="pcm-stream")
        if key != "relay":
            readings.put("earhook_sink_subscribers", 5, sink="dialled")
        totals.take(key, sent(readings))
    readings = Readings()
    totals.put(readings, ("1", "2", "relay"), above=("relay",))
    assert exported(readings) == {
        ("earhook_sink_subscribers", ("pcm-stream",)): 1,
        ("earhook_sink_subscribers", ("dialled",)): 10,
    }


def test_what_another_version_declares_is_left_out() -> None:
    figures = Figures.of(
        {
            "numbers": {
                "earhook_from_tomorrow_total": [[[], 5]],
                "earhook_calls_opened_total": [[["surplus"], 5], [[], 6]],
            },
            "histograms": {"earhook_calls": [[1.0], [1, 2], 3.0]},
        }
    )
    totals = Totals()
    totals.take("1", figures)
    assert exported(total(totals, "1")) == {("earhook_calls_opened_total", ()): 6}


def test_every_gauge_and_nothing_else_has_a_rule() -> None:
    for metric in METRICS:
        assert (metric.together is not None) is (metric.kind == "gauge"), metric.name
