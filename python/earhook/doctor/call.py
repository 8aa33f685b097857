"""The session itself: the connection probe, and a test call whose audio is looked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import orjson

from earhook.clock import SystemClock
from earhook.testing.http_sender import HttpConnection
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_record import PeerRecord
from earhook.testing.peer_setup import CallSetup, MediaChoice, Pace, PeerManners
from earhook.testing.sources import Source, Track
from earhook.transport.dial import DialError, dial

from .approach import Approach, Door, Knock
from .errand import Limits
from .finding import Finding, Step, doubtful, fine, shown, wrong

__all__ = ["Placed", "judge_probe", "place_call"]

RATE: Final = 8000
FRAME_SAMPLES: Final = 1600
DOUBT_SHARE: Final = 0.2
_CLOCK: Final = SystemClock()
_POSTED: Final = MediaChoice()


@dataclass(frozen=True, slots=True)
class Placed:
    """A call that was placed.

    Attributes:
        finding: The step `test call`.
        source: What was said.
        sent_samples: Per channel.
        channels: Canonical numbers of the channels that were sent.
    """

    finding: Finding
    source: Source
    sent_samples: int = 0
    channels: tuple[int, ...] = field(default=())


def judge_probe(knock: Knock, limits: Limits) -> Finding:
    """What came of a connection probe."""
    record = knock.record
    if record is None:
        return wrong(Step.PROBE, knock.words, "see the server's log")
    times = {
        "opened_seconds": record.opened_seconds,
        "closed_seconds": record.closed_seconds,
        "opened_limit_seconds": limits.opened_seconds,
        "closed_limit_seconds": limits.closed_seconds,
    }
    evidence = _probe_words(record, limits)
    if record.objections:
        evidence += f"; rules broken: {shown('; '.join(record.objections))}"
    if record.opened_seconds is None:
        cure = "answer `open` at once, from memory: nothing may be waited for before `opened`"
        return wrong(Step.PROBE, evidence, cure, **times)
    if record.objections or record.outcome != "completed" or record.closed_seconds is None:
        cure = "Genesys Cloud shows this to the administrator and does not switch on"
        return wrong(Step.PROBE, evidence, cure, **times)
    if record.opened_seconds > limits.opened_seconds * DOUBT_SHARE:
        cure = "under load this becomes calls that are never heard: answer from memory"
        return doubtful(Step.PROBE, evidence, cure, **times)
    return fine(Step.PROBE, evidence, **times)


async def place_call(door: Door, approach: Approach, setup: CallSetup) -> Placed:
    """Place one call as long as the errand says, in real time."""
    if door.errand.target.is_ingest:
        return await _post_call(door, approach, setup)
    return await _hold_call(door, approach, setup)


async def _hold_call(door: Door, approach: Approach, setup: CallSetup) -> Placed:
    errand = door.errand
    limits, source = errand.limits, Source.random(setup.session_id)
    plan = CallPlan(
        source=source,
        setup=setup,
        pace=Pace(limit_samples=round(errand.call_seconds * RATE)),
        manners=PeerManners(
            open_seconds=limits.opened_seconds, close_seconds=limits.closed_seconds
        ),
    )
    peer = CallPeer(plan)
    patience = errand.call_seconds + limits.patience_seconds + limits.closed_seconds
    try:
        async with asyncio.timeout(patience):
            headers = list(door.headers(approach, setup).items())
            await dial(errand.target.url, headers, peer, door.context())
            await peer.finished()
    except DialError as error:
        what = str(error).removeprefix(f"{errand.target.url}: ")
        return Placed(wrong(Step.CALL, what, "it worked just now: try again"), source)
    except TimeoutError:
        return Placed(wrong(Step.CALL, "it has no end", "see the server's log"), source)
    finally:
        peer.abort()
    media = peer.session.media
    channels = () if media is None else media.channels
    finding = _judge_call(peer.record, media, peer.position / RATE)
    return Placed(finding, source, peer.record.samples_sent, channels)


def _judge_call(record: PeerRecord, media: MediaChoice | None, seconds: float) -> Finding:
    trips = [trip * 1000 for trip in record.round_trips]
    figures = {
        "seconds": seconds,
        "samples_sent": record.samples_sent,
        "opened_seconds": record.opened_seconds,
        "slowest_pong_seconds": max(record.round_trips, default=None),
    }
    evidence = f"{seconds:.1f} s, {record.samples_sent:,} samples a channel"
    if trips:
        evidence += f", {len(trips)} pings, the slowest answered in {max(trips):.1f} ms"
    if record.objections:
        evidence += f"; rules broken: {shown('; '.join(record.objections))}"
    if record.outcome != "completed" or record.objections:
        reason = f" {record.disconnect_reason}" if record.disconnect_reason else ""
        evidence += f"; ended: {record.outcome}{reason}"
        return wrong(Step.CALL, evidence, "see the server's log of this session", **figures)
    if media is None:
        cure = "the server wants no audio: check which channels and codecs it takes"
        return doubtful(Step.CALL, f"{evidence}; no media was chosen", cure, **figures)
    if record.limit_breaches:
        evidence += f"; {record.limit_breaches} messages faster than Genesys Cloud allows"
        return doubtful(Step.CALL, evidence, "send less: it ends such sessions", **figures)
    return fine(Step.CALL, evidence, **figures)


async def _post_call(door: Door, approach: Approach, setup: CallSetup) -> Placed:
    errand = door.errand
    source = Source.random(setup.session_id).limited(round(errand.call_seconds * RATE))
    headers = door.headers(approach, setup)
    headers |= {"Content-Type": "audio/PCMU;rate=8000;channels=2"}
    headers |= {"Audiohook-Conversation-Id": setup.conversation_id}
    del headers["Host"]  # the connection adds it, from the same place
    patience = errand.call_seconds + errand.limits.patience_seconds
    try:
        async with asyncio.timeout(patience), _connected(door, door.context()) as connection:
            stream = await connection.begin(errand.target.request_target, headers)
            sent = 0
            async for piece in _in_real_time(source.track(_POSTED)):
                await stream.send(piece)
                sent += len(piece) // _POSTED.group_bytes
            reply = await stream.finish()
    except TimeoutError:
        return Placed(wrong(Step.CALL, "it has no end", "see the server's log"), source)
    except (OSError, EOFError, ValueError) as error:
        what = f"broken off: {type(error).__name__}"
        return Placed(wrong(Step.CALL, what, "see the server's log"), source)
    figures = {"seconds": sent / RATE, "samples_sent": sent, "status": reply.status}
    evidence = f"{sent / RATE:.1f} s, {sent:,} samples a channel, answered {reply.status}"
    accepted = _accepted_samples(reply.body)
    if reply.status != 200 or accepted not in {None, sent}:
        evidence += "" if accepted is None else f" with {accepted:,} samples accepted"
        return Placed(wrong(Step.CALL, evidence, "see the server's log", **figures), source)
    return Placed(fine(Step.CALL, evidence, **figures), source, sent, _POSTED.channels)


@asynccontextmanager
async def _connected(door: Door, context: ssl.SSLContext | None) -> AsyncIterator[HttpConnection]:
    connection = await HttpConnection.open(door.errand.target.url, context)
    try:
        yield connection
    finally:
        connection.abort()


async def _in_real_time(track: Track) -> AsyncIterator[bytes]:
    """Give 200 ms of audio every 200 ms, counted from the first piece."""
    began, position = _CLOCK.monotonic_seconds(), 0
    while samples := track.left(position, FRAME_SAMPLES):
        yield track.read(position, samples)
        position += samples
        await asyncio.sleep(max(0.0, began + position / RATE - _CLOCK.monotonic_seconds()))


def _accepted_samples(body: bytes) -> int | None:
    """What our own kind of ingest says that it took; None where it says nothing."""
    try:
        accepted = orjson.loads(body).get("accepted_samples")
    except (ValueError, AttributeError):
        return None
    return accepted if isinstance(accepted, int) else None


def _probe_words(record: PeerRecord, limits: Limits) -> str:
    if record.opened_seconds is None:
        if record.disconnect_reason:
            return f"`open` was answered with disconnect: {record.disconnect_reason}"
        if record.outcome == "lost":
            return "the connection was lost before `opened`"
        return f"no `opened` within {limits.opened_seconds:g} s"
    words = f"opened in {record.opened_seconds * 1000:.1f} ms of {limits.opened_seconds:g} s"
    if record.closed_seconds is None and record.outcome == "lost":
        return f"{words}, then the connection was lost"
    if record.closed_seconds is None:
        return f"{words}, no `closed` within {limits.closed_seconds:g} s"
    closed = f"{record.closed_seconds * 1000:.1f} ms of {limits.closed_seconds:g} s"
    return f"{words}, closed in {closed}"
