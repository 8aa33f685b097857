"""Afterwards: do the books balance, and is every recording its source, sample for sample?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from earhook.media.wav import read_header
from earhook.sinks.base import SinkBooks

from .hearing import Hearing
from .posted import PlacedCall
from .stage import Stage

__all__ = ["BookRow", "Finding", "books", "findings", "recordings_of"]


STREAM: Final = "pcm-stream"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked."""

    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class BookRow:
    """The books of one call and one way out; `came_in` is what the socket brought.

    Attributes:
        consumers: How many of ours heard the call at that way out, each of them all of it. Others
            may have listened to the stream too: how they fared is their own affair.
    """

    call: int
    came_in: int
    sink: str
    books: SinkBooks
    consumers: int = 1

    @property
    def balances(self) -> bool:
        """Whether nothing is unaccounted for, and nothing of ours was dropped or left over."""
        own = self.books
        ours = self.came_in * self.consumers
        if self.sink == STREAM:
            return own.balances() and own.forwarded >= ours
        return own.balances() and own.forwarded == own.received == ours


def books(stage: Stage) -> Iterator[BookRow]:
    """Every call and every sink."""
    for number, session in enumerate(stage.peers, start=1):
        live = stage.lives.get(session)
        if live is not None and live.outcome is not None:
            for sink, own in sorted(live.settled.items()):
                heard = sink == STREAM and session.lower() in stage.story.sessions
                came_in = live.outcome.samples_in
                yield BookRow(number, came_in, sink, own, consumers=2 if heard else 1)


def findings(stage: Stage) -> Iterator[Finding]:
    """Everything that must hold, checked."""
    yield _placed(stage)
    yield _went_well(stage)
    yield _heard(stage)
    yield _quickly(stage)
    yield _recorded(stage)
    yield _paused(stage)
    yield _balanced(stage)
    if stage.scene.is_analysed:
        yield _analysed(stage)


def recordings_of(directory: Path, session_id: str) -> list[Path]:
    """The WAV files of a call, in order."""
    return sorted(directory.rglob(f"*{session_id}*.wav"))


def _placed(stage: Stage) -> Finding:
    opened = [peer.record.opened_seconds or 0.0 for peer in stage.peers.values()]
    text = (
        f"every `open`, and the first POST, was answered within {max(opened) * 1000:.1f} ms"
        if opened
        else "no call was let in"
    )
    again = stage.refusals - len(stage.faults)
    if again:
        text += f"; calls were refused {_times(again)} and placed again"
    if stage.faults:
        text = f"{_count(len(stage.faults), 'call')} could not be placed: {stage.faults[0]}"
    return Finding(not stage.faults, text)


def _went_well(stage: Stage) -> Finding:
    """What became of every call that there was to be."""
    failures = [
        f"call {number} {why}"
        for number, peer in enumerate(stage.peers.values(), start=1)
        if (why := _failure(peer))
    ]
    total = len(stage.peers) + len(stage.faults)
    good = len(stage.peers) - len(failures)
    text = f"{good} of {total} calls were opened, held and closed"
    return Finding(good == total, "; ".join([text, *failures]))


def _failure(peer: PlacedCall) -> str:
    """Why a call is none that went well; empty: it did."""
    record = peer.record
    if record.objections:
        return f"met with {'; '.join(record.objections[:2])}"
    if record.outcome == "completed":
        return ""
    told = record.disconnect_text or record.disconnect_reason
    return f"was {record.outcome or 'not ended'}" + (f" ({told})" if told else "")


def _balanced(stage: Stage) -> Finding:
    """The books of every call at every way out."""
    rows = list(books(stage))
    total = len(stage.gateway.sinks) * len(stage.peers)
    even = sum(row.balances for row in rows)
    parts = [f"{even} of {total} books balance"]
    dropped = Counter[str]()
    for row in rows:
        dropped.update(row.books.dropped)
    if even < len(rows) and dropped.total():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if count)
        parts.append(f"samples were dropped: {reasons}")
    elif even == total:
        parts[0] += ", none of ours dropped" if dropped.total() else ", none dropped"
    if len(rows) < total:
        numbers = sorted(set(range(1, len(stage.peers) + 1)) - {row.call for row in rows})
        calls = ", ".join(str(number) for number in numbers) or "?"
        parts.append(f"there are no settled ones of call {calls}")
    return Finding(even == total, "; ".join(parts))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _analysed(stage: Stage) -> Finding:
    """That there was an analysis. How much it understands is its own affair."""
    story = stage.story
    if story.failure:
        return Finding(holds=False, text=f"the analysis failed: {story.failure}")
    said, found = len(story.transcript), len(story.hits)
    text = (
        f"{_count(said, 'utterance')} {'was' if said == 1 else 'were'} understood, "
        f"rules found {_count(found, 'thing')}"
    )
    if story.unheard_seconds:
        text += f"; the recogniser had no time for {story.unheard_seconds:.0f} s"
    return Finding(holds=True, text=text)


def _heard(stage: Stage) -> Finding:
    """Every sample that was sent arrived at the consumer, at its position, and is right."""
    sent = sum(peer.record.samples_sent for peer in stage.peers.values())
    hearings = [
        (peer, stage.audience.hearings.get(session)) for session, peer in stage.peers.items()
    ]
    arrived = sum(min(hearing.arrived) for _, hearing in hearings if hearing is not None)
    wrong = sum(hearing.wrong for _, hearing in hearings if hearing is not None)
    holds = arrived == sent and all(
        hearing is not None and _is_complete(peer, hearing) for peer, hearing in hearings
    )
    text = f"{arrived:,} of {sent:,} samples a channel arrived at the consumer"
    if holds:
        return Finding(holds, f"{text}, all of them right")
    if wrong:
        return Finding(holds, f"{text}, {wrong:,} were not what was sent")
    return Finding(holds, text if arrived != sent else f"{text}, but the totals do not agree")


def _quickly(stage: Stage) -> Finding:
    """No limit is checked: a laptop under load is no fault."""
    lags = sorted(lag for hearing in stage.audience.hearings.values() for lag in hearing.lags)
    if not lags:
        return Finding(holds=True, text="no frame was timed")
    half, most = (lags[int((len(lags) - 1) * share)] * 1000 for share in (0.5, 0.99))
    return Finding(
        holds=True,
        text=f"half of the frames reached the consumer within {half:.1f} ms, "
        f"99 of 100 within {most:.1f} ms",
    )


def _is_complete(peer: PlacedCall, hearing: Hearing) -> bool:
    sent, withheld = peer.record.samples_sent, _told_pause(peer)
    return (
        hearing.arrived == [sent, sent]
        and hearing.wrong == 0
        and hearing.verified is True
        and all(sum(gaps.values()) == withheld for gaps in hearing.gaps)
    )


def _told_pause(peer: PlacedCall) -> int:
    """Samples withheld that the gateway can know of.

    A pause that lasts until the call ends is ended by nothing that says how long it was; one that
    is ended so that the call can be, is.
    """
    withheld = peer.record.withheld
    lasts = (
        bool(withheld)
        and not peer.session.flowing
        and withheld[-1].start + withheld[-1].samples >= peer.position
    )
    return peer.record.samples_withheld - (withheld[-1].samples if lasts else 0)


def _recorded(stage: Stage) -> Finding:
    equal = sum(
        _equals_source(recordings_of(stage.scene.recordings, session), peer)
        for session, peer in stage.peers.items()
    )
    text = f"{equal} of {len(stage.peers)} recordings equal their source, sample for sample"
    return Finding(equal == len(stage.peers), text)


def _equals_source(files: list[Path], peer: PlacedCall) -> bool:
    """Compare audio by position; where audio was withheld the recording must be silent."""
    recorded = b"".join(_stereo_pcm(path) for path in files)
    lanes = [np.frombuffer(peer.expected_pcm(channel), "<i2") for channel in (0, 1)]
    untold = peer.record.samples_withheld - _told_pause(peer)
    expected = np.stack(lanes, axis=1)[: peer.position - untold]
    return recorded == expected.tobytes()


def _stereo_pcm(path: Path) -> bytes:
    with path.open("rb") as file:
        header = read_header(file)
        if header.format.codec != "L16" or header.format.channels != 2:
            return b""
        file.seek(header.audio_offset)
        return file.read(header.audio_bytes_in(path.stat().st_size))


def _paused(stage: Stage) -> Finding:
    """The secure pause came out as a gap of exactly its length, and as nothing else."""
    paused = [
        (peer, stage.audience.hearings[session])
        for session, peer in stage.peers.items()
        if peer.record.withheld and session in stage.audience.hearings
    ]
    if not paused:
        return Finding(holds=True, text="no call was paused")
    holds = all(
        sum(hearing.gaps[channel].values()) == _told_pause(peer)
        and hearing.gaps[channel].keys() <= {"paused"}
        for peer, hearing in paused
        for channel in (0, 1)
    )
    seconds = sum(_told_pause(peer) for peer, _ in paused) / 8000
    text = f"the secure pause of {seconds:.1f} s is a gap, and silence in the file"
    if not holds:
        text = f"a secure pause of {seconds:.1f} s did not come out as a gap of that length"
    return Finding(holds, text)
