"""Calls whose every sample is known, and the subscriber that checks each one as it comes.

Audio is pseudo-random by session id, so that each sample has one right value at one right place:
loss, repetition, swapped channels and mixed-up calls are all seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from earhook.client import Block, CallClosed, Gap, connect
from earhook.testing import CallPeer, CallPlan, Source

CHANNELS = ("external", "internal")
RATE = 8000


class TimedPeer(CallPeer):
    """A peer that notes when each frame was handed to the socket, and each pong arrived."""

    def __init__(self, plan: CallPlan) -> None:
        super().__init__(plan)
        self.handed: list[tuple[int, float]] = []
        self.pongs: list[tuple[float, float]] = []

    def on_text(self, payload: bytes) -> None:
        """Note a pong: when its ping was sent, and how long it took."""
        trips = self.record.round_trips
        before = len(trips)
        super().on_text(payload)
        if len(trips) > before:
            self.pongs.append((time.monotonic() - trips[-1], trips[-1]))

    def _send_frame(self, now: float) -> None:
        before, at = self.position, time.monotonic()
        super()._send_frame(now)
        if self.position > before:
            self.handed.append((self.position, at))


@dataclass
class Heard:
    """What one subscriber got. Samples are counted per channel.

    Attributes:
        faults: When samples were wrong or missing, and how many.
        arrivals: By session, when audio up to a position was there on both channels.
    """

    right: int = 0
    wrong: int = 0
    misplaced: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    closed: int = 0
    verified: int = 0
    faults: list[tuple[float, int]] = field(default_factory=list)
    arrivals: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


async def hear(address: str, sessions: Iterable[str]) -> Heard:
    """Subscribe to everything; check the calls of `sessions` until all of them are closed."""
    heard = Heard()
    due: dict[tuple[str, str], int] = {}
    sources = {session: Source.random(session) for session in sessions}
    async with connect(address, gaps=True, events=True) as stream:
        async for item in stream:
            if item.call.session_id not in sources:
                continue
            if isinstance(item, Block):
                _check(item, heard, due, sources)
            elif isinstance(item, Gap):
                due[item.call.session_id, item.channel] = item.position + item.samples
                heard.missing[item.reason] = heard.missing.get(item.reason, 0) + item.samples
                heard.faults.append((time.monotonic(), item.samples))
            elif isinstance(item, CallClosed):
                heard.closed += 1
                heard.verified += item.totals.verified
                if heard.closed == len(sources):
                    break
    return heard


def _check(
    block: Block, heard: Heard, due: dict[tuple[str, str], int], sources: dict[str, Source]
) -> None:
    session, samples = block.call.session_id, len(block.samples)
    place = session, block.channel
    heard.misplaced += block.position != due.get(place, 0)
    due[place] = block.position + samples
    wanted = sources[session].pcm(CHANNELS.index(block.channel), block.position, samples)
    if block.samples.tobytes() == wanted:
        heard.right += samples
    else:
        heard.wrong += samples
        heard.faults.append((time.monotonic(), samples))
    if block.channel == "internal":  # the second of the two: now the frame is complete
        heard.arrivals.setdefault(session, []).append((due[place], time.monotonic()))


def added_latency(
    handed: dict[str, list[tuple[int, float]]], heard: Heard
) -> Iterator[tuple[float, float]]:
    """When each frame was handed over, and how long until the block that completes it."""
    for session, frames in handed.items():
        arrivals = iter(heard.arrivals.get(session, []))
        end, at = next(arrivals, (0, 0.0))
        for position, sent_at in frames:
            while end < position:
                end, at = next(arrivals, (1 << 62, 0.0))
            if at:
                yield sent_at, at - sent_at
