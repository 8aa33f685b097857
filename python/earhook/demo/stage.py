"""A whole gateway on this machine, calls that come in, a consumer that listens."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from earhook.app import Gateway
from earhook.client import connect
from earhook.client.stream import Stream
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
from .configuration import demo_configuration, fresh_credential
from .hearing import Audience
from .posted import PlacedCall, PostedCall, PostRefused
from .story import Story

__all__ = ["Scene", "Stage", "staged"]

STAGGER_SECONDS: Final = 0.7
SHIFT_SAMPLES: Final = 42_400
"""Every call begins elsewhere in the dialogue (5.3 s further), so that no two are the same."""
BETWEEN_COMPLAINTS_SECONDS: Final = 4.0
AGAIN_SECONDS: Final = 2.0
"""From a refusal until the call is placed again."""
PATIENCE_SECONDS: Final = 10.0
"""A demo that is to end does not place a call again for longer than this."""
BUSY: Final = frozenset({429, 503})
"""How a gateway answers that has no time or no room for another call."""
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
    """What goes on.

    Attributes:
        lives: The gateway's own records of the calls, kept past their end.
        faults: Why calls never came about, each.
        refusals: How often a call was refused, also of those that were let in later.
        trouble: What keeps a call from being placed now; empty: nothing.
    """

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
    refusals: int = 0
    trouble: str = ""
    _hung_up: asyncio.Event = field(default_factory=asyncio.Event)

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
        """End every call, and place none that has not been placed; `play` then returns.

        A pause ends first, because `close` does not say how long it was. A call that is being
        placed is ended as soon as it is open: what was begun shall be in the books.
        """
        self._hung_up.set()
        for peer in self.peers.values():
            if peer.record.opened_seconds is not None:
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
        if await self._hung_up_within(number * self.scene.stagger_seconds):
            return
        source = Source(speech_source.codes, offset_samples=number * SHIFT_SAMPLES)
        limit = self.scene.length_samples(number)
        plan = CallPlan(
            source=source,
            setup=CallSetup(language="en-us"),
            credential=self.credential,
            pace=Pace(limit_samples=limit),
        )
        await self._call(plan, card_number_within=limit if number == 0 else 0)

    async def _complain(self) -> None:
        """The call that is analysed; one after the other, where there is no end."""
        limit = None if self.scene.seconds is None else round(self.scene.seconds * 8000)
        while not self._hung_up.is_set():
            setup = CallSetup(language="en-us", ani="tel:+15550142", ani_name="R. Miller")
            plan = CallPlan(
                source=complaint(),
                setup=setup,
                credential=self.complaint_credential,
                pace=Pace(limit_samples=limit),
            )
            self.story.begin(setup.session_id)
            await self._call(plan)
            if self.scene.seconds is not None:
                return
            await self._hung_up_within(BETWEEN_COMPLAINTS_SECONDS)

    async def _call(self, plan: CallPlan, card_number_within: int | None = 0) -> None:
        """One call from dialling to its end.

        Args:
            plan: The call.
            card_number_within: Length of the call, if a card number is read out in it: None is
                without end, 0 that there is none.
        """
        peer = await self._dialled(plan)
        if peer is None:
            return
        self.peers[peer.setup.session_id] = peer
        with contextlib.suppress(ConnectionError):
            await peer.opened()
            self.look()
            if self._hung_up.is_set():
                peer.close()
            elif card_number_within != 0:
                await _read_out_a_card_number(peer, card_number_within)
            await peer.finished()

    async def _dialled(self, plan: CallPlan) -> CallPeer | None:
        """The call, once it is let in; None: it is not, or not wanted any more."""
        give_up_at = self._give_up_at()
        while not self._hung_up.is_set():
            try:
                peer = await CallPeer.connect(self.url, plan)
            except DialError as error:
                if not await self._is_placed_again(str(error), error.status, give_up_at):
                    return None
            else:
                self.trouble = ""
                return peer
        return None

    async def _post(self, number: int, speech_source: Source) -> None:
        """The one call that comes in by the other door."""
        if await self._hung_up_within(number * self.scene.stagger_seconds):
            return
        source = Source(speech_source.codes, offset_samples=number * SHIFT_SAMPLES)
        limit, give_up_at = self.scene.length_samples(number), self._give_up_at()
        while not self._hung_up.is_set():
            call = PostedCall(self.post_url, self.token, source, limit)
            self.peers[call.setup.session_id] = call  # audio may arrive before its first answer
            try:
                await call.begin()
            except (OSError, EOFError) as error:
                del self.peers[call.setup.session_id]
                status = error.status if isinstance(error, PostRefused) else None
                text = f"{self.post_url}: {error}"
                if not await self._is_placed_again(text, status, give_up_at):
                    return
                continue
            self.trouble = ""
            self.look()
            if self._hung_up.is_set():
                call.close()
            await call.finished()
            return

    def _give_up_at(self) -> float | None:
        if self.scene.seconds is None:
            return None
        return asyncio.get_running_loop().time() + PATIENCE_SECONDS

    async def _is_placed_again(
        self, why: str, status: int | None, give_up_at: float | None
    ) -> bool:
        """A call was not let in: wait for a moment; or keep in mind why there was none."""
        self.refusals += 1
        now = asyncio.get_running_loop().time()
        if give_up_at is not None and now >= give_up_at:
            self.faults.append(why)
            self.trouble = ""
            return False
        cause = f"the gateway was busy and refused a call ({status})" if status in BUSY else why
        self.trouble = f"{cause}; it is placed again in {AGAIN_SECONDS:g} s"
        return not await self._hung_up_within(AGAIN_SECONDS)

    async def _hung_up_within(self, seconds: float) -> bool:
        """Wait for so long, or until all calls are to end: whether they are."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hung_up.wait()
        return self._hung_up.is_set()

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
    credential, complaint_credential = fresh_credential(), fresh_credential()
    token = secrets.token_urlsafe(24)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="earhook-"))
        stack.enter_context(_log_into(scene.recordings))
        stream = f"unix:{directory}/pcm.sock"
        keys = {"demo": credential, COMPLAINT_KEY: complaint_credential}
        calls = scene.calls + scene.is_analysed
        gateway = Gateway(demo_configuration(calls, scene.recordings, stream, keys, token))
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


@contextmanager
def _log_into(directory: Path) -> Iterator[None]:
    """The gateway's lines go to a file beside the recordings: the terminal shows the calls."""
    with (directory / "gateway.log").open("w", encoding="utf-8") as lines:
        configure_logging(LogSettings(format="json"), lines)
        yield
