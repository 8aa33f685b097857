"""Every sink keeps the laws of sinks; and the laws notice one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, LiveCall, Sink, SinkBooks, SinkSnapshot
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink
from earhook.sinks.signal.settings import SignalSettings
from earhook.sinks.signal.sink import SignalSink
from earhook.testing import sink_suite
from earhook.testing.sink_suite import SINK_LAWS, SinkLaw
from earhook.testing.sinks import CollectingSink, StallingSink

Maker = Callable[[Path], Sink]
sockets = count()


def recording(place: Path) -> Sink:
    return RecordingSink(RecordingSettings(directory=place / "recordings"))


def mu_law_recording(place: Path) -> Sink:
    fields = {"directory": place / "recordings", "codec": "PCMU", "sync": "never"}
    return RecordingSink(RecordingSettings.model_validate(fields))


def signal(_place: Path) -> Sink:
    return SignalSink(SignalSettings(), lambda _call, _event: None)


def pcm_stream(place: Path) -> Sink:
    def refuse(session_id: str, command: Command) -> None:
        pytest.fail(f"a command without a consumer: {session_id} {command}")

    listen = f"unix:{place}/{next(sockets)}.sock"
    return PcmStreamSink(PcmStreamSettings(listen=listen), refuse)


def collecting(_place: Path) -> Sink:
    return CollectingSink()


@pytest.mark.parametrize("law", SINK_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize(
    "make",
    [recording, mu_law_recording, signal, pcm_stream, collecting],
    ids=lambda make: make.__name__,
)
def test_every_sink_keeps_every_law(law: SinkLaw, make: Maker, tmp_path: Path, run: Any) -> None:
    async def keep() -> None:
        await law(lambda: make(tmp_path))

    run(keep())


class Twice(CollectingSink):
    """Settles every call twice."""

    def ended(self, call: LiveCall) -> None:
        super().ended(call)
        call.settle(self.name, SinkBooks())


class Slow(CollectingSink):
    """Takes its time."""

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        due = time.monotonic() + 0.11
        while time.monotonic() < due:
            pass


class Forgetful(CollectingSink):
    """Loses some samples from its books."""

    def snapshot(self) -> SinkSnapshot:
        snapshot = super().snapshot()
        snapshot.books.received += 1
        return snapshot


class Holding(CollectingSink):
    """Never lets go of a call."""

    held: list[LiveCall]

    def attach(self, call: LiveCall) -> None:
        self.held = [*getattr(self, "held", []), call]
        super().attach(call)


class Raising(CollectingSink):
    """Raises when it hears of a call that it does not know."""

    def ended(self, call: LiveCall) -> None:
        if call.settled or not self.snapshot().calls:
            raise KeyError(call.facts.session_id)
        super().ended(call)


@pytest.mark.parametrize(
    ("law", "make"),
    [
        (sink_suite.calls_are_settled_once_and_books_balance, Twice),
        (sink_suite.calls_are_settled_once_and_books_balance, StallingSink),
        (sink_suite.being_told_takes_no_time, Slow),
        (sink_suite.books_balance_at_any_moment, Forgetful),
        (sink_suite.nothing_is_held_of_a_call_that_is_forgotten, Holding),
        (sink_suite.stop_flushes_within_its_deadline, Raising),
    ],
    ids=lambda value: value.__name__,
)
def test_a_law_notices_who_breaks_it(
    law: SinkLaw, make: Callable[[], Sink], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_suite, "PATIENCE_SECONDS", 0.2)

    async def keep() -> None:
        await law(make)

    with pytest.raises((AssertionError, KeyError)):
        run(keep())


def test_the_collecting_sink_collects(run: Any) -> None:
    async def collect() -> None:
        sink = CollectingSink()
        stage = sink_suite.Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.push(b"\x00\x80" * 100)
            call.gap(50)
            call.push(b"\x00\x80" * 100)
            sink.collect()
            collected = sink.calls[call.live.facts.session_id]
            assert collected.channel(0) == b"\x84\x82" * 200
            assert collected.channel(1) == b"\x7c\x7d" * 200
            assert [(gap.position, gap.samples) for gap in collected.gaps] == [(100, 50)]
            assert collected.position == 250
            assert [event.kind for event in collected.events] == ["paused"]

    run(collect())
