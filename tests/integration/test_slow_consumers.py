"""One consumer never reads and one reads a trickle: nobody else notices, and their drops count."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

from earhook.app import Gateway
from earhook.client import Block, CallClosed, Gap, connect
from earhook.config.schema import Configuration
from earhook.media.gaps import GapReason
from earhook.media.stream import FrameDecoder, FrameKind, encode_frame
from earhook.testing import CallPeer, CallPlan, CallSetup, Pace, Source
from earhook.testing.peer_setup import PeerCredential

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]

CALLS = 8
SAMPLES = 96_000  # 12 s, played four times as fast: well beyond the ring and the socket buffers
TRICKLE_BYTES = 100
TRICKLE_SECONDS = 0.1


class RawConsumer:
    """A subscriber that reads only what it is told to."""

    def __init__(self, path: Path, name: str) -> None:
        self.frames: list[tuple[Any, ...]] = []
        self._decoder = FrameDecoder()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        self._path, self._name = path, name
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        greeting = {"stream": "earhook-pcm", "version": 1, "role": "consumer", "name": self._name}
        await loop.sock_connect(self._socket, str(self._path))
        await loop.sock_sendall(
            self._socket,
            encode_frame(FrameKind.HELLO, 0, json.dumps(greeting).encode())
            + encode_frame(FrameKind.SUBSCRIBE, 0, b"{}"),
        )

    def trickle(self) -> None:
        """Read a little now, and again in a moment, until `read_all` takes over."""
        try:
            self.frames += self._decoder.feed(self._socket.recv(TRICKLE_BYTES))
        except BlockingIOError:
            pass
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TRICKLE_SECONDS, self.trickle)

    async def read_all(self, calls: int) -> None:
        """Read on at full speed until so many calls have closed."""
        assert self._timer is not None
        self._timer.cancel()
        loop = asyncio.get_running_loop()
        while sum(frame[0] == FrameKind.CLOSE for frame in self.frames) < calls:
            self.frames += self._decoder.feed(await loop.sock_recv(self._socket, 1 << 16))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()


def test_slow_consumers_lose_their_own_audio_only(run: Run, until: Until, tmp_path: Path) -> None:
    key, secret = secrets.token_urlsafe(16), secrets.token_bytes(32)
    address = tmp_path / "pcm.sock"
    configuration = Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "keys": [{"api_key": key, "secrets": [base64.b64encode(secret).decode()]}],
            "sinks": [{"kind": "pcm-stream", "listen": f"unix:{address}"}],
        }
    )

    async def scenario() -> None:
        async with Gateway(configuration) as gateway:
            with RawConsumer(address, "never") as never, RawConsumer(address, "slow") as slow:
                await never.start()
                await slow.start()
                slow.trickle()
                async with connect(f"unix:{address}", gaps=True, events=True) as healthy:
                    peers = await _call(gateway, PeerCredential(key, secret))
                    await _check_healthy(healthy, peers)
                for peer in peers:
                    record = await peer.finished()
                    assert record.outcome == "completed"
                    assert record.objections == []
                await slow.read_all(CALLS)
                _check_slow(slow)
                _check_never(gateway)
            await until(lambda: not gateway.sinks[0].snapshot().subscribers)
            books = gateway.sinks[0].snapshot().books
            assert books.balances()
            assert books.buffered == 0
            assert books.received == 3 * CALLS * SAMPLES

    run(scenario())


async def _call(gateway: Gateway, credential: PeerCredential) -> list[CallPeer]:
    url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
    plans = []
    for _ in range(CALLS):
        setup = CallSetup()
        source = Source.random(setup.session_id).limited(SAMPLES)
        pace = Pace(speed=4.0)
        plans.append(CallPlan(source=source, setup=setup, credential=credential, pace=pace))
    return list(await asyncio.gather(*(CallPeer.connect(url, plan) for plan in plans)))


async def _check_healthy(healthy: Any, peers: list[CallPeer]) -> None:
    """The consumer that reads gets every sample, without a gap."""
    heard: dict[tuple[str, str], bytearray] = defaultdict(bytearray)
    closed = 0
    async for item in healthy:
        assert not isinstance(item, Gap)
        if isinstance(item, Block):
            heard[item.call.session_id, item.channel] += item.samples.tobytes()
        elif isinstance(item, CallClosed):
            assert item.totals.verified
            closed += 1
            if closed == len(peers):
                break
    for peer in peers:
        for channel, word in enumerate(("external", "internal")):
            assert heard[peer.setup.session_id, word] == peer.expected_pcm(channel)


def _check_slow(slow: RawConsumer) -> None:
    """What it got and what it lost add up, call by call, to what was there."""
    delivered: Counter[int] = Counter()
    lost: Counter[int] = Counter()
    for kind, call, channel, _position, samples, reason, body in slow.frames:
        if kind == FrameKind.AUDIO and channel == 0:
            delivered[call] += samples
        elif kind == FrameKind.GAP:
            assert reason == GapReason.OVERRUN
            lost[call] += samples
        elif kind == FrameKind.CLOSE:
            books = json.loads(body)["books"]
            assert books["forwarded"] == delivered[call]
            assert books["dropped"] == {"overrun": lost[call]}
            assert delivered[call] + lost[call] == books["received"] == SAMPLES
    assert sum(lost.values()) > 0, "it was not slow enough to lose anything"


def _check_never(gateway: Gateway) -> None:
    """The one that never reads has lost what neither the socket nor the ring could hold."""
    (never,) = [
        one for one in gateway.sinks[0].snapshot().subscribers if one["consumer"] == "never"
    ]
    dropped = sum(never["dropped"].values())
    assert dropped > 0
    assert never["received"] == never["forwarded"] + never["buffered"] + dropped
    assert never["received"] == CALLS * SAMPLES
