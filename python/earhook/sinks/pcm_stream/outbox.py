"""What one consumer is sent, and in which order. No sockets, no clock.

The order within a call: `open`, then audio and gaps, each `event` after all audio before its
position, then `close`. Calls wait for their `open` in line and are attached when it is written,
so that a consumer of thousands of calls costs no more memory than what is under way to it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from earhook.media.feed import Books, Feed
from earhook.media.stream import ALL_CHANNELS, FrameKind, GapReason, encode_frame
from earhook.sinks.base import LiveCall

from .messages import call_close_frame, open_frame
from .subscription import Beginning

__all__ = ["Enrolment", "Outbox"]


@dataclass(slots=True, eq=False)
class Enrolment:
    """One call as one consumer knows it."""

    number: int
    call: LiveCall
    channels: tuple[int, ...]
    beginning: Beginning
    is_open: bool = False
    held: deque[tuple[int, bytes]] = field(default_factory=deque)
    """Events that wait for audio before their position."""
    acked_position: int | None = None

    @property
    def session(self) -> str:
        """The session id in lower case."""
        return self.call.facts.session_id.lower()


class Outbox:
    """Collects frames until the consumer takes them.

    Args:
        on_ready: Called when there is something to take that was not there after the last `take`;
            possibly once too often.
        on_left: Called once for each call, when it is closed for the consumer or abandoned, with
            the last books of its reader; None if the call was still in line.
    """

    def __init__(
        self, on_ready: Callable[[], None], on_left: Callable[[Enrolment, Books | None], None]
    ) -> None:
        self._on_ready = on_ready
        self._on_left = on_left
        self._feed = Feed(on_ready)
        self._enrolments: dict[int, Enrolment] = {}
        self._closed: dict[str, LiveCall] = {}
        self._line: deque[Enrolment | bytes] = deque()
        self._control: list[bytes] = []
        self._holding: dict[int, Enrolment] = {}
        self._backlog_bytes = 0
        self._last_number = 0

    @property
    def enrolments(self) -> Mapping[int, Enrolment]:
        """The calls of this consumer by their numbers."""
        return self._enrolments

    @property
    def closed(self) -> Mapping[str, LiveCall]:
        """By session id in lower case, the calls that were closed here and not forgotten yet."""
        return self._closed

    @property
    def backlog_bytes(self) -> int:
        """Bytes of frames other than audio that wait. Calls in line cost none of them."""
        return self._backlog_bytes

    @property
    def has_news(self) -> bool:
        """Whether a `take` would find something to look at."""
        return bool(self._control or self._line) or self._feed.pending

    def enrol(self, call: LiveCall, channels: tuple[int, ...], beginning: Beginning) -> Enrolment:
        """Put a call in line; it gets the next number."""
        self._last_number += 1
        enrolment = Enrolment(self._last_number, call, channels, beginning)
        self._enrolments[enrolment.number] = enrolment
        self._line.append(enrolment)
        self._on_ready()
        return enrolment

    def say(self, frame: bytes) -> None:
        """Send a frame ahead of whatever waits."""
        self._control.append(frame)
        self._backlog_bytes += len(frame)
        self._on_ready()

    def say_in_line(self, frame: bytes) -> None:
        """Send a frame once all calls that are in line now have been opened."""
        self._line.append(frame)
        self._on_ready()

    def say_at(self, enrolment: Enrolment, position: int, body: bytes) -> None:
        """Send an `event` of a call after all of its audio before `position`."""
        frame = encode_frame(FrameKind.EVENT, enrolment.number, body)
        enrolment.held.append((position, frame))
        self._holding[enrolment.number] = enrolment
        self._backlog_bytes += len(frame)
        self._on_ready()

    def books(self, enrolment: Enrolment) -> Books | None:
        """The books of a call's reader now; None while the call is in line."""
        return self._feed.books(enrolment.number) if enrolment.is_open else None

    def unacked_samples(self) -> int:
        """Samples sent of all calls that the consumer has not acked; of calls it acks at all."""
        unacked = 0
        for enrolment in self._enrolments.values():
            if enrolment.is_open and enrolment.acked_position is not None:
                sent = self._feed.books(enrolment.number).position
                unacked += max(0, sent - enrolment.acked_position)
        return unacked

    def take(self, max_bytes: int) -> list[bytes]:
        """Everything that may go out next, in order; about `max_bytes`, unless events abound.

        Raises:
            CoreFault: A defect in the native core.
        """
        parts = self._control
        self._control = []
        taken_bytes = sum(map(len, parts))
        self._backlog_bytes -= taken_bytes
        while self._line and taken_bytes < max_bytes:
            parts.append(self._announce(self._line.popleft()))
            taken_bytes += len(parts[-1])
        if taken_bytes < max_bytes and (audio := self._feed.drain(max_bytes - taken_bytes)):
            parts.append(audio)
        if self._holding:
            parts += self._due_events()
        for number in self._feed.finished():
            parts += self._finish(self._enrolments[number])
        return parts

    def give_up(self, enrolment: Enrolment) -> None:
        """End a call for this consumer now: what it has not had becomes a gap."""
        if not enrolment.is_open:
            self._line.remove(enrolment)
            self.say(self._announce(enrolment))
        begin, end = self._feed.books(enrolment.number).position, enrolment.call.pipeline.position
        owed = max(begin, enrolment.beginning.owed_from or 0)
        for first, last, reason in (
            (begin, owed, GapReason.LATE),
            (owed, end, GapReason.OVERRUN),
        ):
            if first < last:
                self.say(_gap_frame(enrolment.number, first, last - first, reason))
        for frame in self._finish(enrolment):
            self.say(frame)

    def forget(self, call: LiveCall) -> None:
        """Nothing more can be said of an ended call."""
        self._closed.pop(call.facts.session_id.lower(), None)

    def abandon(self) -> None:
        """Leave all calls; nothing is sent any more, and nobody is called.

        What we hold of who holds us is let go, and with it the memory that audio was packed in:
        the collector would leave both for long.
        """
        for enrolment in list(self._enrolments.values()):
            if enrolment.is_open:
                self._leave(enrolment)
            else:
                self._on_left(enrolment, None)
        self._enrolments.clear()
        self._closed.clear()
        self._line.clear()
        self._control.clear()
        self._holding.clear()
        self._backlog_bytes = 0
        self._on_ready, self._on_left = _nobody, _nobody
        self._feed = Feed()

    def _announce(self, waiting: Enrolment | bytes) -> bytes:
        """Attach a call, and only then say where it begins."""
        if isinstance(waiting, bytes):
            return waiting
        number, call, beginning = waiting.number, waiting.call, waiting.beginning
        self._feed.attach(
            number,
            call.pipeline,
            channels=waiting.channels,
            position=beginning.position,
            owed_from=beginning.owed_from,
        )
        waiting.is_open = True
        position = self._feed.books(number).position
        return open_frame(number, call, waiting.channels, position)

    def _due_events(self) -> Iterator[bytes]:
        for number, enrolment in list(self._holding.items()):
            if not enrolment.is_open:
                continue
            reached = self._feed.books(number).position
            while enrolment.held and enrolment.held[0][0] <= reached:
                yield self._release(enrolment)
            if not enrolment.held:
                del self._holding[number]

    def _release(self, enrolment: Enrolment) -> bytes:
        frame = enrolment.held.popleft()[1]
        self._backlog_bytes -= len(frame)
        return frame

    def _finish(self, enrolment: Enrolment) -> list[bytes]:
        """The last frames of a call that is read to its end or given up."""
        frames = [self._release(enrolment) for _ in range(len(enrolment.held))]
        call, number = enrolment.call, enrolment.number
        books = self._leave(enrolment)
        self._closed[enrolment.session] = call
        frames.append(call_close_frame(number, call, books, call.pipeline.position))
        return frames

    def _leave(self, enrolment: Enrolment) -> Books:
        books = self._feed.detach(enrolment.number)
        del self._enrolments[enrolment.number]
        self._holding.pop(enrolment.number, None)
        self._on_left(enrolment, books)
        return books


def _gap_frame(number: int, position: int, samples: int, reason: GapReason) -> bytes:
    """A gap as the native core writes it; needed for audio that is given up without a drain."""
    return _GAP.pack(
        _GAP.size - 4,
        FrameKind.GAP,
        ALL_CHANNELS,
        0,
        number,
        reason,
        position,
        samples,
    )


_GAP: Final = struct.Struct("<IBBHIIQQ")


def _nobody(*_: object) -> None:
    """Is called instead of who has gone."""
