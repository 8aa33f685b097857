"""The simulated Genesys side on real sockets, against a server that does what a test tells it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import trustme
from picows import (
    WSListener,
    WSMsgType,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from earhook.testing import CallPeer, CallPlan, CallSetup, MediaChoice, Pace, PeerManners, Source
from earhook.testing.peer_setup import PeerCredential
from earhook.transport.dial import DialError

Run = Callable[[Coroutine[Any, Any, Any]], Any]
FAST = Pace(speed=20.0)


@dataclass
class Heard:
    """What one connection brought."""

    headers: dict[str, str] = field(default_factory=dict)
    texts: list[dict[str, Any]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)

    @property
    def audio(self) -> bytes:
        return b"".join(self.frames)


class Server(WSListener):
    """Answers as a good server does; `answers` replaces single answers, None is silence."""

    def __init__(self, heard: Heard, answers: dict[str, Any]) -> None:
        self.heard = heard
        self.answers = answers
        self.seq = 0

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.heard.frames.append(frame.get_payload_as_bytes())
            self.heard.arrived.append(time.monotonic())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send(WSMsgType.CLOSE, b"")
            transport.disconnect()
        else:
            self.answer(transport, orjson.loads(frame.get_payload_as_bytes()))

    def answer(self, transport: Any, message: dict[str, Any]) -> None:
        self.heard.texts.append(message)
        kind = message["type"]
        usual = {
            "open": ("opened", {"media": message["parameters"].get("media", [])[:1]}),
            "ping": ("pong", {}),
            "close": ("closed", {}),
        }
        answer = self.answers.get(kind, usual.get(kind))
        if answer is None:
            return
        self.seq += 1
        reply = {
            "version": "2",
            "id": message["id"],
            "type": answer[0],
            "seq": self.seq,
            "clientseq": message["seq"],
            "parameters": answer[1],
        }
        text = orjson.dumps(reply)
        if self.answers.get("fragments"):
            transport.send(WSMsgType.TEXT, text[:9], fin=False)
            transport.send(WSMsgType.CONTINUATION, text[9:50], fin=False)
            transport.send(WSMsgType.CONTINUATION, text[50:])
        else:
            transport.send(WSMsgType.TEXT, text)


@asynccontextmanager
async def served(
    authority: trustme.CA | None = None, status: int = 101, **answers: Any
) -> AsyncIterator[tuple[str, list[Heard]]]:
    """A server of its own; gives its URL and what each connection brought."""
    connections: list[Heard] = []

    def accept(request: Any) -> Any:
        connections.append(Heard(dict(request.headers)))
        if status != 101:
            response = WSUpgradeResponse.create_error_response(status)
            return WSUpgradeResponseWithListener(response, None)
        return Server(connections[-1], answers)

    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
    server = await ws_create_server(
        accept, "localhost", 0, ssl=context, use_aiofastnet=False, websocket_handshake_timeout=0.5
    )
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'ws' if context is None else 'wss'}://localhost:{port}/audiohook", connections
    finally:
        server.close()
        await server.wait_closed()


def test_every_sample_of_the_source_arrives_over_tls(
    run: Run, certificate_authority: trustme.CA
) -> None:
    trusting = ssl.create_default_context()
    certificate_authority.configure_trust(trusting)
    source = Source.random("tls").limited(40_001)

    async def scenario() -> None:
        plan = CallPlan(source=source, credential=PeerCredential("key", b"s" * 32), pace=FAST)
        async with served(certificate_authority) as (url, connections):
            async with CallPeer.dial(url, plan, trusting) as peer:
                await peer.finished()
            assert connections[0].audio == source.track(MediaChoice()).read(0, 40_001)
            assert connections[0].headers["User-Agent"] == "GenesysCloud-AudioHook-Client"
            assert connections[0].headers["Signature"].startswith("sig1=:")
        assert peer.record.outcome == "completed"
        assert peer.record.samples_sent == peer.position == 40_001
        assert peer.record.objections == []
        assert 0 < (peer.record.opened_seconds or 0) < (peer.record.connect_seconds or 0)

    run(scenario())


def test_frames_leave_on_a_clock_that_does_not_drift(run: Run) -> None:
    async def scenario() -> None:
        plan = CallPlan(source=Source.ramp().limited(1600 * 40), pace=FAST)
        async with served() as (url, connections):
            async with CallPeer.dial(url, plan) as peer:
                await peer.finished()
        arrived = connections[0].arrived
        # The first leaves at once and each has its place since then; none can be early, and no
        # delay of one adds to the next: with 40 frames a drift of 1 ms each would show.
        places = [at - arrived[0] - number * 0.01 for number, at in enumerate(arrived)]
        assert len(places) == 40
        assert min(places) > -0.005
        assert sorted(places)[20] < 0.02

    run(scenario())


def test_as_fast_as_the_socket_takes_it(run: Run) -> None:
    source = Source.random("fast").limited(8000 * 60)

    async def scenario() -> None:
        async with served() as (url, connections):
            plan = CallPlan(source=source, pace=Pace(speed=float("inf")))
            async with CallPeer.dial(url, plan) as peer:
                await peer.finished()
        assert connections[0].audio == source.track(MediaChoice()).read(0, 8000 * 60)

    run(scenario())


@pytest.mark.parametrize(("samples", "burst"), [(160, 1), (1601, 1), (1600, 5)])
def test_other_frame_sizes_and_bursts(run: Run, samples: int, burst: int) -> None:
    source = Source.random("sizes").limited(16_000)

    async def scenario() -> None:
        async with served() as (url, connections):
            pace = Pace(frame_samples=samples, speed=20.0, burst_frames=burst)
            async with CallPeer.dial(url, CallPlan(source=source, pace=pace)) as peer:
                await peer.finished()
        assert {len(frame) for frame in connections[0].frames[:-1]} == {2 * samples}
        assert connections[0].audio == source.track(MediaChoice()).read(0, 16_000)

    run(scenario())


def test_a_call_that_begins_paused_sends_nothing_until_it_is_resumed(run: Run) -> None:
    source = Source.random("begins paused").limited(16_000)

    async def scenario() -> None:
        async with served() as (url, connections):
            plan = CallPlan(source=source, pace=FAST, begins_paused=True)
            async with CallPeer.dial(url, plan) as peer:
                await peer.reached(4800)
                assert connections[0].frames == []
                peer.secure_resume()
                await peer.finished()
        kinds = [message["type"] for message in connections[0].texts]
        assert kinds[:3] == ["open", "paused", "resumed"]
        (withheld,) = peer.record.withheld
        assert withheld.start == 0
        left = 16_000 - withheld.samples
        assert connections[0].audio == source.track(MediaChoice()).read(withheld.samples, left)

    run(scenario())


def test_a_secure_pause_withholds_exactly_what_it_says(run: Run) -> None:
    source = Source.random("pause").limited(16_000)

    async def scenario() -> None:
        async with served() as (url, connections):
            async with CallPeer.dial(url, CallPlan(source=source, pace=FAST)) as peer:
                await peer.reached(3200)
                peer.secure_pause()
                await peer.reached(8000)
                peer.secure_resume()
                await peer.finished()
        (resumed,) = [m for m in connections[0].texts if m["type"] == "resumed"]
        start, end = (
            round(float(text[2:-1]) * 8000)
            for text in (resumed["parameters"]["start"], resumed["position"])
        )
        track = source.track(MediaChoice())
        assert start >= 3200
        assert end >= 8000
        assert connections[0].audio == track.read(0, start) + track.read(end, 16_000 - end)
        assert len(peer.expected_pcm(0)) == 2 * 16_000
        silence = bytes(2 * (end - start))
        heard = peer.sent_pcm(1)
        assert peer.expected_pcm(1) == heard[: 2 * start] + silence + heard[2 * start :]

    run(scenario())


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"open": ("disconnect", {"reason": "unauthorized"})}, "disconnected"),
        ({"open": ("opened", {"media": [], "extra": 1})}, "error"),
        ({"ping": None}, "error"),
        ({"open": None}, "error"),
        ({"close": None}, "error"),
    ],
)
def test_servers_that_go_wrong(run: Run, answers: dict[str, Any], outcome: str) -> None:
    async def scenario() -> None:
        manners = PeerManners(
            open_seconds=0.2, first_ping_seconds=0.05, ping_seconds=0.2, close_seconds=0.2
        )
        plan = CallPlan(source=Source.silence().limited(8000), manners=manners)
        async with served(**answers) as (url, _), CallPeer.dial(url, plan) as peer:
            await peer.finished()
        assert peer.record.outcome == outcome

    run(scenario())


@pytest.mark.parametrize("way", ["abort", "reset"])
def test_dropping_the_connection(run: Run, way: str) -> None:
    async def scenario() -> None:
        async with served() as (url, connections):
            async with CallPeer.dial(url, CallPlan(source=Source.silence())) as peer:
                await peer.reached(1600)
                getattr(peer, way)()
                await peer.finished()
            assert [message["type"] for message in connections[0].texts] == ["open"]
        assert peer.record.outcome == "lost"
        with pytest.raises(ConnectionError, match="lost"):
            await peer.reached(10**9)

    run(scenario())


def test_fragmented_answers_are_joined(run: Run) -> None:
    async def scenario() -> None:
        plan = CallPlan(source=Source.silence().limited(1600), pace=FAST)
        async with served(fragments=True) as (url, _), CallPeer.dial(url, plan) as peer:
            await peer.finished()
        assert peer.record.outcome == "completed"
        assert peer.record.objections == []

    run(scenario())


def test_a_probe_leaves_no_audio(run: Run) -> None:
    async def scenario() -> None:
        plan = CallPlan(source=Source.silence(), setup=CallSetup.probe())
        async with served() as (url, connections), CallPeer.dial(url, plan) as peer:
            await peer.finished()
        assert [message["type"] for message in connections[0].texts] == ["open", "close"]
        assert connections[0].frames == []
        assert peer.record.outcome == "completed"

    run(scenario())


@pytest.mark.parametrize(
    ("status", "words"), [(401, "API key"), (404, "path"), (503, "later"), (418, "upgrade")]
)
def test_refusals_say_what_to_do(run: Run, status: int, words: str) -> None:
    async def scenario() -> None:
        async with served(status=status) as (url, _):
            with pytest.raises(DialError, match=words) as refusal:
                await CallPeer.connect(url, CallPlan(source=Source.silence()))
        assert (refusal.value.fault, refusal.value.status) == ("http", status)

    run(scenario())


def test_what_cannot_be_dialled_is_explained(run: Run, certificate_authority: trustme.CA) -> None:
    async def fault(url: str) -> str:
        with pytest.raises(DialError) as refusal:
            await CallPeer.connect(url, CallPlan(source=Source.silence()))
        assert url in str(refusal.value)
        return refusal.value.fault

    async def scenario() -> None:
        async with served(certificate_authority) as (url, _):
            assert await fault(url) == "tls"
            assert await fault(url.replace("wss:", "ws:")) == "http"
        assert await fault(url) == "connect", "nobody listens there any more"
        async with served() as (url, _):
            assert await fault(url.replace("ws:", "wss:")) == "tls"
        assert await fault("http://localhost/") == "url"
        assert await fault("ws://host.invalid/") == "name"

    run(scenario())


def test_many_peers_need_no_task_each(run: Run) -> None:
    async def scenario() -> None:
        async with served() as (url, _):
            plans = [
                CallPlan(source=Source.random(str(n)).limited(4800), pace=FAST) for n in range(50)
            ]
            peers = await asyncio.gather(*(CallPeer.connect(url, plan) for plan in plans))
            assert len(asyncio.all_tasks()) == 1
            for peer in peers:
                await peer.finished()
        assert {peer.record.outcome for peer in peers} == {"completed"}

    run(scenario())
