"""A whole gateway on this machine, calls that come in, a consumer that listens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from earhook.app import Gateway
from earhook.client import connect
from earhook.client.stream import Stream
from earhook.config.schema import Configuration
from earhook.ops.logging import configure_logging
from earhook.ops.settings import LogSettings
from earhook.sinks.base import LiveCall
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import CallSetup, Pace, PeerCredential
from earhook.testing.sources import Source
from earhook.transport.dial import DialError

from . import CARD_NUMBER, speech
from .hearing import Audience
from .posted import PlacedCall, PostedCall

__all__ = ["Scene", "Stage", "staged"]

STAGGER_SECONDS: Final = 0.7
SHIFT_SAMPLES: Final = 42_400
"""Every call begins elsewhere in the dialogue (5.3 s further), so that no two are the same."""
SETTLE_SECONDS: Final = 10.0
"""What sinks and the consumer may take for the last samples, once all calls have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is to be played.

    Attributes:
        calls: How many come in over WebSocket. One more is posted.
        seconds: Length of the whole; None goes on until `Stage.hang_up`.
        recordings: Directory to be filled.
    """

    calls: int
    seconds: float | None
    recordings: Path

    @property
    def stagger_seconds(self) -> float:
        """From one call to the next; all of them begin within a third of the time."""
        third = (self.seconds or 30.0) / 3
        return min(STAGGER_SECONDS, third / (self.calls + 1))

    def length_samples(self, number: int) -> int | None:
        """How long a call is."""
        if self.seconds is None:
            return None
        left = self.seconds - number * self.stagger_seconds
        return round(left * 8000)


@dataclass(slots=True)
class Stage:
    """What goes on. `lives` are the gateway's own records of the calls, kept past their end."""

    scene: Scene
    gateway: Gateway
    url: str
    stream: str
    credential: PeerCredential
    post_url: str
    token: str
    peers: dict[str, PlacedCall] = field(default_factory=dict)
    lives: dict[str, LiveCall] = field(default_factory=dict)
    audience: Audience = field(init=False)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.audience = Audience(self.peers)

    @property
    def settled(self) -> bool:
        """Whether every sink and the consumer have everything they will ever get."""
        return self.audience.closed == len(self.peers) and all(
            live.outcome is not None and not live.unsettled for live in self.lives.values()
        )

    def hang_up(self) -> None:
        """End every call; a pause first, because `close` does not say how long it was."""
        for peer in self.peers.values():
            peer.secure_resume()
            peer.close()

    def look(self) -> None:
        """Take up the gateway's records of calls that have come in since."""
        for live in self.gateway.hub.snapshot().live:
            self.lives.setdefault(live.facts.session_id, live)

    async def play(self) -> None:
        """Place all calls, one after the other, and stay until the last has ended."""
        source = speech()
        async with asyncio.TaskGroup() as group:
            for number in range(self.scene.calls):
                group.create_task(self._place(number, source))
            group.create_task(self._post(self.scene.calls, source))

    async def _place(self, number: int, speech_source: Source) -> None:
        await asyncio.sleep(number * self.scene.stagger_seconds)
        source = Source(speech_source.codes, offset_samples=number * SHIFT_SAMPLES)
        limit = self.scene.length_samples(number)
        plan = CallPlan(
            source=source,
            setup=CallSetup(language="en-us"),
            credential=self.credential,
            pace=Pace(limit_samples=limit),
        )
        try:
            peer = await CallPeer.connect(self.url, plan)
        except DialError as error:
            self.faults.append(str(error))
            return
        self.peers[peer.setup.session_id] = peer
        with contextlib.suppress(ConnectionError):
            await peer.opened()
            self.look()
            if number == 0:
                await _read_out_a_card_number(peer, limit)
            await peer.finished()

    async def _post(self, number: int, speech_source: Source) -> None:
        """The one call that comes in by the other door."""
        await asyncio.sleep(number * self.scene.stagger_seconds)
        source = Source(speech_source.codes, offset_samples=number * SHIFT_SAMPLES)
        limit = self.scene.length_samples(number)
        call = PostedCall(self.post_url, self.token, source, limit)
        self.peers[call.setup.session_id] = call  # its audio may arrive before its first answer
        try:
            await call.begin()
        except (OSError, EOFError) as error:
            self.faults.append(f"{self.post_url}: {error}")
            return
        self.look()
        await call.finished()

    async def listen(self, stream: Stream) -> None:
        """Be the consumer, until cancelled."""
        async for item in stream:
            self.audience.take(item)

    async def settle(self) -> None:
        """Wait for the last samples to arrive everywhere; gives up after a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while not self.settled:  # noqa: ASYNC110 - the sinks tell the hub, not us
                    await asyncio.sleep(0.02)


async def _read_out_a_card_number(peer: CallPeer, limit: int | None) -> None:
    """Pause as an agent does, while the number is spoken; in a short call, in its middle."""
    begin, end = CARD_NUMBER
    if limit is not None and limit < end + 8000:
        begin, end = limit * 2 // 5, limit * 3 // 5
    await peer.reached(begin)
    peer.secure_pause()
    await peer.reached(end)
    peer.secure_resume()


@asynccontextmanager
async def staged(scene: Scene) -> AsyncIterator[Stage]:
    """A running gateway with fresh keys, its consumer listening; all gone after the block."""
    api_key = secrets.token_urlsafe(24)
    secret, token = os.urandom(32), secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="earhook-") as directory, _log_into(scene.recordings):
        stream = f"unix:{directory}/pcm.sock"
        configuration = _configuration(scene, stream, PeerCredential(api_key, secret), token)
        consumer = connect(stream, gaps=True, events=True, name="earhook demo")
        async with Gateway(configuration) as gateway, consumer:
            url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
            post_url = f"http://127.0.0.1:{gateway.ingest_port}/stream/v1/audiohook"
            credential = PeerCredential(api_key, secret)
            stage = Stage(scene, gateway, url, stream, credential, post_url, token)
            listening = asyncio.create_task(stage.listen(consumer))
            try:
                yield stage
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)


def _configuration(
    scene: Scene, stream: str, credential: PeerCredential, token: str
) -> Configuration:
    key = {
        "name": "demo",
        "api_key": credential.api_key,
        "secrets": [base64.b64encode(credential.secret or b"").decode("ascii")],
    }
    host = {"host": "127.0.0.1", "port": 0}
    tokens = [{"name": "demo-sender", "token": token}]
    return Configuration.model_validate(
        {
            "media": {**host, "max_calls": max(scene.calls, 100)},
            "ingest": {**host, "plaintext": True, "tokens": tokens},
            "admin": {"port": 0},
            "keys": [key],
            "sinks": [
                {"kind": "recording", "directory": scene.recordings},
                {"kind": "pcm-stream", "listen": stream},
            ],
        }
    )


@contextmanager
def _log_into(directory: Path) -> Iterator[None]:
    """The gateway's lines go to a file beside the recordings: the terminal shows the calls."""
    with (directory / "gateway.log").open("w", encoding="utf-8") as lines:
        configure_logging(LogSettings(format="json"), lines)
        yield
