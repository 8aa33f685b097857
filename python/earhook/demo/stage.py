"""A whole gateway on this machine, calls that come in, a consumer that listens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
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
from .analysis import READY_SECONDS, Analysis, analysing
from .complaint import COMPLAINT_KEY, complaint
from .hearing import Audience
from .posted import PlacedCall, PostedCall
from .story import Story

__all__ = ["Scene", "Stage", "staged"]

STAGGER_SECONDS: Final = 0.7
SHIFT_SAMPLES: Final = 42_400
"""Every call begins elsewhere in the dialogue (5.3 s further), so that no two are the same."""
BETWEEN_COMPLAINTS_SECONDS: Final = 4.0
USUAL_ADMIN_PORT: Final = 9090
"""Where `earhook top` and `earhook tail` look by themselves."""
SETTLE_SECONDS: Final = 10.0
"""What sinks and the consumer may take for the last samples, once all calls have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is to be played.

    Attributes:
        calls: How many come in over WebSocket. One more is posted.
        seconds: Length of the whole; None goes on until `Stage.hang_up`.
        recordings: Directory to be filled.
        rules: With these an analysis runs, and one call more: the complaint.
    """

    calls: int
    seconds: float | None
    recordings: Path
    rules: tuple[Path, ...] = ()

    @property
    def is_analysed(self) -> bool:
        """Whether there is a complaint, and somebody who understands it."""
        return bool(self.rules)

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
    complaint_credential: PeerCredential
    story: Story = field(default_factory=Story)
    analysis: Analysis | None = None
    peers: dict[str, PlacedCall] = field(default_factory=dict)
    lives: dict[str, LiveCall] = field(default_factory=dict)
    audience: Audience = field(init=False)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.audience = Audience(self.peers)

    @property
    def console(self) -> str:
        """Where a browser sees all of it."""
        return f"http://127.0.0.1:{self.gateway.admin_port}/"

    @property
    def settled(self) -> bool:
        """Whether every sink and the consumer have everything they will ever get."""
        if self.analysis is not None and not (self.analysis.has_ended or self.story.is_heard_out):
            return False
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
            if self.scene.is_analysed:
                group.create_task(self._complain())
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

    async def _complain(self) -> None:
        """The call that is analysed; one after the other, where there is no end."""
        limit = None if self.scene.seconds is None else round(self.scene.seconds * 8000)
        while True:
            setup = CallSetup(language="en-us", ani="tel:+15550142", ani_name="R. Miller")
            plan = CallPlan(
                source=complaint(),
                setup=setup,
                credential=self.complaint_credential,
                pace=Pace(limit_samples=limit),
            )
            self.story.begin(setup.session_id)
            try:
                peer = await CallPeer.connect(self.url, plan)
            except DialError as error:
                self.faults.append(str(error))
                return
            self.peers[setup.session_id] = peer
            with contextlib.suppress(ConnectionError):
                await peer.opened()
                self.look()
                await peer.finished()
            if self.scene.seconds is not None:
                return
            await asyncio.sleep(BETWEEN_COMPLAINTS_SECONDS)

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
            self.story.take(item)

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
    credential, complaint_credential = _fresh_credential(), _fresh_credential()
    token = secrets.token_urlsafe(24)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="earhook-"))
        stack.enter_context(_log_into(scene.recordings))
        stream = f"unix:{directory}/pcm.sock"
        keys = {"demo": credential, COMPLAINT_KEY: complaint_credential}
        gateway = Gateway(_configuration(scene, stream, keys, token))
        await stack.enter_async_context(gateway)
        consumer = connect(stream, gaps=True, events=True, name="earhook demo")
        await stack.enter_async_context(consumer)
        url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
        post_url = f"http://127.0.0.1:{gateway.ingest_port}/stream/v1/audiohook"
        stage = Stage(
            scene, gateway, url, stream, credential, post_url, token, complaint_credential
        )
        if scene.is_analysed:
            log = scene.recordings / "analyze.log"
            entering = analysing(stream, scene.rules, stage.story, log)
            stage.analysis = await stack.enter_async_context(entering)
            await _until_heard(stage)
        listening = asyncio.create_task(stage.listen(consumer))
        try:
            yield stage
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _until_heard(stage: Stage) -> None:
    """Wait until the analysis is a consumer: it shall hear the first word."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            while not (stage.story.failure or _has_analysis(stage.gateway)):  # noqa: ASYNC110 - the sink is told, not we
                await asyncio.sleep(0.05)


def _has_analysis(gateway: Gateway) -> bool:
    return any(
        str(subscriber.get("consumer", "")).startswith("earhook analyze")
        for sink in gateway.sinks
        for subscriber in sink.snapshot().subscribers
    )


def _fresh_credential() -> PeerCredential:
    return PeerCredential(secrets.token_urlsafe(24), os.urandom(32))


def _configuration(
    scene: Scene, stream: str, keys: dict[str, PeerCredential], token: str
) -> Configuration:
    tables = [
        {
            "name": name,
            "api_key": credential.api_key,
            "secrets": [base64.b64encode(credential.secret or b"").decode("ascii")],
        }
        for name, credential in keys.items()
    ]
    host = {"host": "127.0.0.1", "port": 0}
    tokens = [{"name": "demo-sender", "token": token}]
    return Configuration.model_validate(
        {
            "media": {**host, "max_calls": max(scene.calls + 1, 100)},
            "ingest": {**host, "plaintext": True, "tokens": tokens},
            "admin": {"port": _admin_port()},
            # Nobody's voice: whoever uses this machine may hear it.
            "console": {"recordings": True},
            "keys": tables,
            "sinks": [
                {"kind": "recording", "directory": scene.recordings},
                {"kind": "pcm-stream", "listen": stream},
            ],
        }
    )


def _admin_port() -> int:
    """The usual one, so that `earhook top` finds it; any, where somebody has that."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_ADMIN_PORT))
        except OSError:
            return 0
    return USUAL_ADMIN_PORT


@contextmanager
def _log_into(directory: Path) -> Iterator[None]:
    """The gateway's lines go to a file beside the recordings: the terminal shows the calls."""
    with (directory / "gateway.log").open("w", encoding="utf-8") as lines:
        configure_logging(LogSettings(format="json"), lines)
        yield
