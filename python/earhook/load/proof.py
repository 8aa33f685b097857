"""Is what a receiver holds what was sent? Sample by sample, for one call. Pure.

Each sample that was sent ends in one of these: right (the same, at its place), repeated or
reordered (audio of the call, at a place that is not its own), wrong (something else), lost (it
never came), cut off (it was on its way when the connection broke off).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple

import numpy as np

from earhook.testing.peer_record import Span

from .lanes import Lane, Pcm
from .surroundings import First

__all__ = ["CallProof", "Samples"]

SEARCHES: Final = 50
"""Blocks of a call that are looked for elsewhere; what is wrong all the time is wrong."""
RATE: Final = 8000


@dataclass(slots=True)
class Samples:
    """What became of samples, of all channels together. `late` ones are right ones too."""

    sent: int = 0
    right: int = 0
    lost: int = 0
    repeated: int = 0
    reordered: int = 0
    wrong: int = 0
    late: int = 0
    cut_off: int = 0

    def add(self, other: Samples) -> None:
        """Add each counter."""
        for own in fields(self):
            setattr(self, own.name, getattr(self, own.name) + getattr(other, own.name))

    @property
    def is_proved(self) -> bool:
        """Whether every sample came, once, in order and unchanged."""
        return not (self.lost or self.repeated or self.reordered or self.wrong)


class _Block(NamedTuple):
    position: int
    pcm: Pcm
    age: float


@dataclass(slots=True)
class _Heard:
    """What came on one channel.

    Attributes:
        newest: Not looked at before the next one comes, or the end is known, where that matters.
        reached: Behind the last place at which audio came.
        unheard: Places before it at which it did not, or something else did; the first of them.
        strays: Where audio belongs that came at another place.
    """

    lane: Lane
    reached: int = 0
    unheard: list[Span] = field(default_factory=list)
    strays: set[int] = field(default_factory=set)
    newest: _Block | None = None

    def has_heard(self, position: int, samples: int) -> bool:
        """Whether this audio of the call has come before, at its place or elsewhere."""
        end = position + samples
        if position in self.strays:
            return True
        return end <= self.reached and not any(
            hole.start < end and position < hole.start + hole.samples for hole in self.unheard
        )

    def misses(self, position: int, samples: int) -> None:
        """What belongs there has not come, or not there."""
        if samples > 0 and len(self.unheard) < SEARCHES:
            self.unheard.append(Span(position, samples))


@dataclass(slots=True)
class CallProof:
    """One call.

    Attributes:
        number: Of the call.
        first: Its first frame.
        frame_samples: Of each frame.
        late_seconds: What takes longer is late.
        lanes: What it says, by channel.
        closed: The receiver knows that it is over.
        books_agree: The gateway's own books say the same; None while it is open.
    """

    number: int
    first: First
    frame_samples: int
    late_seconds: float
    lanes: dict[int, Lane]
    samples: Samples = field(default_factory=Samples)
    closed: bool = False
    books_agree: bool | None = None
    _heard: dict[int, _Heard] = field(default_factory=dict)
    _shifts: list[tuple[Span, float]] = field(default_factory=list)
    _ended: tuple[Sequence[Span], bool] | None = None
    _searches: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether both ends have said all.

        Of a call that broke off, the far end may say nothing for long: it could be resumed.
        """
        if self._ended is None:
            return False
        sent, broken_off = self._ended
        return self.closed or (broken_off and not any(self._not_heard(span) for span in sent))

    def shift(self, span: Span, due: float) -> None:
        """These positions are due at `due` instead."""
        self._shifts.append((span, due))

    def end(self, sent: Sequence[Span], *, broken_off: bool) -> None:
        """The sender has sent this and nothing else."""
        self._ended = sent, broken_off

    def due_of(self, position: int) -> float:
        """When the frame that holds this position was due."""
        for span, due in self._shifts:
            if span.start <= position < span.start + span.samples:
                return due
        frames = (position - self.first.position) // self.frame_samples
        return self.first.due + frames * self.frame_samples / RATE

    def hear(self, channel: int, position: int, pcm: Pcm, now: float) -> float:
        """Audio has come; how old its first sample was."""
        heard = self._heard.get(channel)
        if heard is None:
            heard = self._heard[channel] = _Heard(self.lanes[channel])
        age = now - self.due_of(position)
        block: _Block | None = _Block(position, pcm, age)
        if heard.lane.knows_its_end:
            heard.newest, block = block, heard.newest
        if block is not None:
            self._compare(heard, block)
        return age

    def _compare(self, heard: _Heard, block: _Block) -> None:
        position, pcm, age = block
        samples = len(pcm)
        wanted = heard.lane.wanted(position, samples)
        heard.misses(heard.reached, position - heard.reached)
        if np.array_equal(wanted, pcm):
            self.samples.right += samples
            self.samples.late += samples if age > self.late_seconds else 0
        else:
            self._judge(heard, pcm, wanted)
            heard.misses(position, samples)
        heard.reached = max(heard.reached, position + samples)

    def settle(self) -> Samples:
        """Everything is said: what did not come?"""
        sent, broken_off = self._ended or ((), True)
        for heard in self._heard.values():
            if heard.newest is not None:
                heard.lane.end(max((span.start + span.samples for span in sent), default=0))
                self._compare(heard, heard.newest)
        channels = self.first.channels
        for channel in channels:
            own_heard = self._heard.get(channel)
            reached = 0 if own_heard is None else own_heard.reached
            self.samples.sent += sum(span.samples for span in sent)
            if broken_off:
                self.samples.cut_off += sum(_beyond(span, reached) for span in sent)
        own = self.samples
        came = own.right + own.repeated + own.reordered + own.wrong
        own.lost = max(own.sent - came - own.cut_off, 0)
        return own

    def _not_heard(self, span: Span) -> bool:
        end = span.start + span.samples
        reached = (heard.reached for heard in self._heard.values())
        return len(self._heard) < len(self.first.channels) or any(own < end for own in reached)

    def _judge(self, heard: _Heard, pcm: Pcm, wanted: Pcm) -> None:
        """Something else than what must lie there: is it at least audio of the call?"""
        self._searches += 1
        place = heard.lane.find(pcm) if self._searches <= SEARCHES else None
        if place is None:
            differing = int(np.count_nonzero(wanted != pcm))
            self.samples.wrong += differing
            self.samples.right += len(pcm) - differing
        elif heard.has_heard(place, len(pcm)):
            self.samples.repeated += len(pcm)
        else:
            self.samples.reordered += len(pcm)
            heard.strays.add(place)


def _beyond(span: Span, reached: int) -> int:
    return max(span.start + span.samples - max(span.start, reached), 0)
