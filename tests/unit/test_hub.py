"""The hub: calls open and close, sinks are told in order, and the books come out."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from typing import Any

import pytest

from earhook.errors import (
    BudgetExhausted,
    CommandRefused,
    DuplicateSession,
    TooManyCalls,
    UnknownCall,
)
from earhook.hub.claims import live_name
from earhook.hub.hub import Hub
from earhook.hub.settings import RingSettings
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.feed import Feed
from earhook.media.format import MediaFormat
from earhook.media.signal import Level
from earhook.protocol.commands import Command, Pause
from earhook.sinks.base import CallEvent, CallFacts, CallOutcome, LiveCall, SinkBooks, SinkSnapshot
from earhook.testing.clock import ManualClock

SESSION = SessionId("0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40")


class NotingSink:
    """Reads what it is given at the end, and notes what it was told."""

    kind = "noting"

    def __init__(self, name: str = "noting", *, settles: bool = True) -> None:
        self.name = name
        self.settles = settles
        self.told: list[str] = []
        self.feed = Feed()

    async def start(self) -> None: ...

    def attach(self, call: LiveCall) -> None:
        self.told.append("attach")
        self.feed.attach(1, call.pipeline)

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        self.told.append(event.kind)

    def ended(self, call: LiveCall) -> None:
        self.told.append("ended")
        if self.settles:
            self.feed.drain(1 << 20)
            books = SinkBooks()
            final = self.feed.detach(1)
            books.merge(final)
            call.settle(self.name, books)

    def forget(self, call: LiveCall) -> None:
        self.told.append("forget")

    async def stop(self, deadline_seconds: float) -> None: ...

    def snapshot(self) -> SinkSnapshot:
        return SinkSnapshot(self.name, self.kind, True, "", SinkBooks(), 0)


class Door:
    """A session's door that notes commands."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def submit(self, command: Command) -> None:
        if self.commands:
            raise CommandRefused("one is enough")
        self.commands.append(command)


def facts(session: SessionId = SESSION) -> CallFacts:
    return CallFacts(
        session_id=session,
        organization_id=OrganizationId("6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"),
        conversation_id=ConversationId("3c9a4b1e-5d27-4c66-9f10-6f0f2b7c1a55"),
        correlation_id=CorrelationId("b7a9c1d2-3e4f-4051-8263-748596a7b8c9"),
        key_name=KeyName("test"),
        media=MediaFormat("PCMU", (0, 1)),
        opened_wall_seconds=1_767_225_600.0,
    )


def outcome(samples: int, *, written: int | None = None, reason: str = "end") -> CallOutcome:
    return CallOutcome(
        reason=reason,
        position=samples,
        samples_in=samples,
        written=samples if written is None else written,
        dropped={},
        frames=1,
        duration_seconds=0.2,
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "earhook")
    return caplog


def closing_lines(logs: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    lines = [record.msg for record in logs.records if isinstance(record.msg, dict)]
    return [line for line in lines if line["event"] == "call.closed"]


class Heard:
    """What a call sounded like, as its closing line needs it."""

    is_dead_air, one_way = False, None

    def levels(self) -> list[Level]:
        return []

    def summary(self) -> dict[str, Any]:
        lane = {"talk_seconds": 1.5, "rms_dbfs": -20.0}
        totals = {"talk_over_seconds": 0.5, "dead_air_seconds": 6.0, "one_way": "internal"}
        return {"channels": {"external": lane}, **totals}

    def envelope(self, _since: int) -> None:
        return None

    def as_json(self) -> dict[str, Any]:
        return {}


def test_the_closing_line_says_what_the_call_sounded_like(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    hub = Hub(RingSettings(), [], clock)
    call = hub.open(facts(), Door())
    call.signal = Heard()
    hub.close(call, outcome(0))
    (line,) = closing_lines(logs)
    assert line["talk_seconds"] == {"external": 1.5}
    assert (line["talk_over_seconds"], line["dead_air_seconds"]) == (0.5, 6.0)
    assert line["one_way"] == "internal"


def test_a_call_is_told_in_order_and_its_books_come_out_balanced(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    sink = NotingSink()
    hub = Hub(RingSettings(), [sink], clock)
    call = hub.open(facts(), Door())
    call.pipeline.push(bytes(3200))
    hub.publish(call, CallEvent("paused", 1600))
    hub.close(call, outcome(1600))
    assert sink.told == ["attach", "paused", "ended"]
    (line,) = closing_lines(logs)
    assert line["balanced"]
    assert line["sinks"]["noting"]["forwarded"] == 1600
    assert line["door"] == "media"
    assert "suspicion" not in line


def test_the_closing_line_tells_what_the_audio_probably_was(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    hub = Hub(RingSettings(), [NotingSink()], clock)
    call = hub.open(facts(), Door())
    call.suspicion = "PCMA"
    hub.close(call, outcome(0))
    (line,) = closing_lines(logs)
    assert line["suspicion"] == "PCMA"
    assert hub.snapshot().unbalanced_calls == 0
    assert hub.live_calls == 0


def test_samples_that_vanish_are_reported_as_unbalanced(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    hub = Hub(RingSettings(), [NotingSink()], clock)
    call = hub.open(facts(), Door())
    hub.close(call, outcome(1600, written=1599))
    assert not closing_lines(logs)[0]["balanced"]
    assert hub.snapshot().unbalanced_calls == 1


def test_a_second_live_session_of_the_same_id_is_refused_and_a_later_one_is_not(
    clock: ManualClock,
) -> None:
    hub = Hub(RingSettings(), [NotingSink()], clock)
    call = hub.open(facts(), Door())
    with pytest.raises(DuplicateSession):
        hub.open(facts(SessionId(SESSION.upper())), Door())
    hub.close(call, outcome(0))
    assert hub.open(facts(), Door()) is not call


def test_a_call_without_room_for_its_ring_is_refused_and_leaves_nothing(clock: ManualClock) -> None:
    hub = Hub(RingSettings(seconds=600, budget_mib=1), [NotingSink()], clock)
    with pytest.raises(BudgetExhausted):
        hub.open(facts(), Door())
    assert hub.live_calls == 0
    assert hub.snapshot().ring_bytes == 0


def test_a_sink_that_never_settles_is_named_in_the_closing_line(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    hub = Hub(RingSettings(), [NotingSink(), NotingSink("stuck", settles=False)], clock)
    hub.close(hub.open(facts(), Door()), outcome(0))
    hub.sweep()
    assert not closing_lines(logs)
    clock.advance(5.0)
    hub.sweep()
    hub.sweep()
    (line,) = closing_lines(logs)
    assert line["unsettled"] == ["stuck"]
    assert not line["balanced"]


def test_an_ended_call_can_be_resumed_for_as_long_as_its_ring_lasts(clock: ManualClock) -> None:
    sink = NotingSink()
    hub = Hub(RingSettings(seconds=2.0), [sink], clock)
    hub.close(hub.open(facts(), Door()), outcome(0))
    clock.advance(1.9)
    hub.sweep()
    assert "forget" not in sink.told
    clock.advance(0.2)
    hub.sweep()
    assert sink.told[-1] == "forget"
    assert hub.snapshot().lingering_calls == 0


def test_closing_twice_counts_once(clock: ManualClock) -> None:
    hub = Hub(RingSettings(), [NotingSink()], clock)
    call = hub.open(facts(), Door())
    hub.close(call, outcome(10))
    hub.close(call, outcome(10))
    assert hub.snapshot().closed_calls == {"end": 1}
    assert hub.snapshot().samples_in == 10


def test_commands_reach_the_session_through_its_door(clock: ManualClock) -> None:
    hub = Hub(RingSettings(), [NotingSink()], clock)
    door = Door()
    hub.open(facts(), door)
    hub.command(SESSION.upper(), Pause())
    assert door.commands == [Pause()]
    with pytest.raises(CommandRefused):
        hub.command(SESSION, Pause())
    with pytest.raises(UnknownCall):
        hub.command("00000000-0000-0000-0000-000000000000", Pause())


@pytest.mark.parametrize(
    ("dropped", "written", "level"),
    [
        ({}, 1600, "info"),
        ({"detached": 10}, 1600, "info"),
        ({"io_error": 10}, 1600, "warning"),
        ({"overrun": 10, "detached": 1}, 1600, "warning"),
        ({}, 1599, "error"),
    ],
)
def test_lost_audio_makes_the_closing_line_louder(
    dropped: dict[str, int],
    written: int,
    level: str,
    clock: ManualClock,
    logs: pytest.LogCaptureFixture,
) -> None:
    hub = Hub(RingSettings(), [NotingSink(settles=False)], clock)
    call = hub.open(facts(), Door())
    hub.close(call, outcome(1600, written=written))
    lost = sum(dropped.values())
    call.settle("noting", SinkBooks(received=1600, forwarded=1600 - lost, dropped=dropped))
    (line,) = closing_lines(logs)
    assert line["level"] == level


def written(logs: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.msg for record in logs.records if isinstance(record.msg, dict)]


def test_a_storm_of_calls_is_no_storm_of_lines_and_closings_come_first(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    hub = Hub(RingSettings(seconds=0.2), [], clock)
    per_second: Counter[int] = Counter()
    for number in range(600 * 10):
        seen = len(logs.records)
        call = hub.open(facts(SessionId(str(uuid.UUID(int=number)))), Door())
        call.pipeline.push(bytes(3200))
        hub.close(call, outcome(1600))
        per_second[number // 600] += len(logs.records) - seen
        clock.advance(1 / 600)
        if number % 600 == 599:
            hub.sweep()  # as the gateway does once a second
    lines = written(logs)
    told = Counter(line["event"] for line in lines)
    assert max(per_second.values()) <= 53
    assert told["call.closed"] >= 17 * 9
    assert told["call.opened"] <= 20
    counted = [line for line in lines if line["event"] == "log.suppressed"]
    assert len(counted) == 10
    assert sum(line["lines"] for line in counted) == hub.suppressed_lines
    assert told["call.opened"] + told["call.closed"] + hub.suppressed_lines == 12_000
    assert hub.snapshot().closed_calls == {"end": 6000}, "what is counted is not limited"


def test_books_that_do_not_balance_are_told_of_in_the_storm(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    hub = Hub(RingSettings(seconds=0.2), [], clock)
    wrong = range(50, 6000, 100)  # six a second
    for number in range(6000):
        call = hub.open(facts(SessionId(str(uuid.UUID(int=number)))), Door())
        call.pipeline.push(bytes(3200))
        hub.close(call, outcome(1600, written=1500 if number in wrong else 1600))
        clock.advance(1 / 600)
        hub.sweep()
    errors = [line for line in closing_lines(logs) if not line["balanced"]]
    assert len(errors) == len(wrong) == hub.snapshot().unbalanced_calls


def test_an_ordinary_day_has_all_its_lines(
    clock: ManualClock, logs: pytest.LogCaptureFixture
) -> None:
    hub = Hub(RingSettings(), [], clock)
    for number in range(300):
        call = hub.open(facts(SessionId(str(uuid.UUID(int=number)))), Door())
        hub.close(call, outcome(0))
        clock.advance(0.125)
    hub.sweep()
    assert Counter(line["event"] for line in written(logs)) == {
        "call.opened": 300,
        "call.closed": 300,
    }


class Claims:
    """What another process has, and what this one has told."""

    def __init__(self) -> None:
        self.others: dict[bytes, int] = {}
        self.ours: set[bytes] = set()
        self.is_full = False

    def take(self, name: bytes) -> int | None:
        if self.is_full:
            raise TooManyCalls("full")
        if name not in self.others:
            self.ours.add(name)
        return self.others.get(name)

    def owner(self, name: bytes) -> int | None:
        return self.others.get(name)

    def give_back(self, name: bytes) -> None:
        self.ours.remove(name)


def test_a_session_that_is_live_in_another_process_is_refused_until_it_has_ended(
    clock: ManualClock,
) -> None:
    claims = Claims()
    sink = NotingSink()
    hub = Hub(RingSettings(), [sink], clock, claims)
    claims.others[live_name(SESSION.upper())] = 7
    with pytest.raises(DuplicateSession, match="another process"):
        hub.open(facts(), Door())
    assert (hub.live_calls, hub.snapshot().ring_bytes, sink.told) == (0, 0, [])
    claims.others.clear()
    call = hub.open(facts(), Door())
    assert claims.ours == {live_name(SESSION)}
    with pytest.raises(DuplicateSession):
        hub.open(facts(), Door())
    hub.close(call, outcome(0))
    hub.close(call, outcome(0))
    assert claims.ours == set()


def test_a_call_that_nobody_else_could_be_told_of_is_not_opened(clock: ManualClock) -> None:
    claims = Claims()
    hub = Hub(RingSettings(), [NotingSink()], clock, claims)
    claims.is_full = True
    with pytest.raises(TooManyCalls):
        hub.open(facts(), Door())
    assert (hub.live_calls, hub.snapshot().ring_bytes) == (0, 0)
    claims.is_full = False
    hub.open(facts(), Door())
