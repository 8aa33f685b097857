"""Streams of the fake platform against servers that end, hang, stumble, or are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from earhook.protocol.commands import Disconnect
from earhook.protocol.messages import DisconnectReason
from earhook.testing import Pace
from earhook.testing.genesys import CallStream, FakeGenesys, LifeCycle
from integration.genesys.world import BLOCK, Run, Until, World, entered

Enter = Callable[..., Any]
TAKE = 200


@pytest.fixture
def world(play: Any, until: Until, tmp_path: Path, certificate_authority: trustme.CA) -> Enter:
    return lambda: entered(play, until, tmp_path, certificate_authority)


@pytest.mark.parametrize(("reason", "code"), [("completed", None), ("error", "AUDIOHOOK-0003")])
def test_a_server_may_end_a_session(run: Run, world: Enter, reason: Any, code: str | None) -> None:
    async def story() -> None:
        async with world() as inside:
            assert isinstance(inside, World)
            _, queue_id = await inside.monitored()
            conversation = inside.fake.conversations.begin(queue_id, LifeCycle.CONNECTED)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.reached(stream, BLOCK)
            inside.gateway.command(
                stream.setup.session_id, Disconnect(DisconnectReason(reason), "no more")
            )
            await inside.until(lambda: stream.is_over)
            assert (stream.failure and stream.failure.code) == code
            assert [event.code for event in await inside.events()] == [code] * bool(code)
            assert conversation.state is LifeCycle.CONNECTED

    run(story())


def test_a_stream_has_an_end_of_its_own(run: Run, world: Enter) -> None:
    async def story() -> None:
        async with world() as inside:
            inside.fake.streams.way.longest_seconds = 0.5
            _, queue_id = await inside.monitored()
            conversation = inside.fake.conversations.begin(queue_id, LifeCycle.CONNECTED)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.until(lambda: stream.is_over)
            assert (stream.position, stream.failure) == (4000, None)
            await inside.ended(conversation, stream)

    run(story())


@dataclass
class Stumbling:
    """Takes blocks, and does something else instead as often as it is told to."""

    instead: list[int | bytes] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)
    ends: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if "Earhook-Sequence" not in request.headers:
            self.ends += 1
            return web.Response()
        if self.instead:
            deed = self.instead.pop(0)
            if deed == TAKE:
                return self._take(request, body)
            if isinstance(deed, int) and deed:
                headers = {"Content-Type": "application/json", "Retry-After": "0"}
                return web.Response(status=deed, body=b'{"error": "no-room"}', headers=headers)
            assert request.transport is not None
            if deed:
                request.transport.write(deed)
            else:
                request.transport.abort()
            await asyncio.Event().wait()
        return self._take(request, body)

    def _take(self, request: web.Request, body: bytes) -> web.Response:
        self.taken.append((request.headers["Earhook-Sequence"], len(body)))
        return web.Response()


@asynccontextmanager
async def streaming(fake: FakeGenesys, answer: Any) -> AsyncIterator[tuple[CallStream, Any]]:
    """A conversation that is bound to a server without TLS, which only a test can have."""
    application = web.Application()
    application.router.add_post("/in", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    fake.organization.audiohooks["h"] = {
        "id": "h",
        "name": "mine",
        "destinationUrl": url,
        "status": "ENABLED",
        "format": "PCMU",
    }
    fake.streams.way.pace = Pace(speed=10.0)
    conversation = fake.conversations.begin(state=LifeCycle.CONNECTED)
    destination = fake.audiohooks.destination("h")
    assert destination is not None
    try:
        yield fake.streams.begin(conversation, destination, lambda: None), conversation
    finally:
        await runner.cleanup()


def test_a_block_is_sent_again_until_it_is_taken(run: Run, until: Until) -> None:
    async def story() -> None:
        server = Stumbling([0, 503, TAKE, 429, 0, TAKE])
        async with FakeGenesys().served() as fake, streaming(fake, server.answer) as (stream, _):
            await until(lambda: len(server.taken) >= 4)
            stream.close()
            await until(lambda: stream.is_over)
            assert stream.failure is None
            numbers = [str(number) for number in range(len(server.taken))]
            assert server.taken == [(number, 2 * BLOCK) for number in numbers]
            assert stream.position == stream.record.samples_sent == BLOCK * len(numbers)
            assert server.ends == 1

    run(story())


@pytest.mark.parametrize(
    ("deeds", "reason"),
    [
        ([403], "403 no-room"),
        ([503, 503, 503], "503 no-room"),
        ([0, 0, 0], "lost"),
        ([b"SSH-2.0-none\r\n\r\n"], "cannot be read"),
    ],
)
def test_what_is_never_taken_is_told(
    run: Run, until: Until, deeds: list[int | bytes], reason: str
) -> None:
    async def story() -> None:
        server = Stumbling(deeds)
        async with FakeGenesys().served() as fake, streaming(fake, server.answer) as (stream, _):
            await until(lambda: stream.is_over)
            assert stream.failure is not None
            assert reason in stream.failure.reason
            (event,) = fake.organization.events
            assert event["conversation"]["id"] == stream.setup.conversation_id

    run(story())


def test_a_server_that_hangs_keeps_nobody_from_ending(run: Run, until: Until) -> None:
    came = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        came.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def story() -> None:
        async with asyncio.timeout(5.0):
            async with FakeGenesys().served() as fake, streaming(fake, hang) as (stream, _):
                await came.wait()
                await fake.streams.stop()
                assert stream.is_over

    run(story())
