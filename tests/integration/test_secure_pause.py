"""A canary played only between `paused` and `resumed` is found nowhere."""

from __future__ import annotations

import asyncio
import base64
import io
import secrets
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.media.g711 import decode_g711, encode_g711
from earhook.media.stream import FrameDecoder, FrameKind, encode_frame
from earhook.ops.logging import configure_logging
from earhook.ops.settings import LogSettings
from earhook.testing import CallPeer, CallPlan, Pace, Source
from earhook.testing.peer_setup import PeerCredential

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]

CARD = bytes(range(0x10, 0x70)) * 34  # 3,264 codes that no other source holds in this order
SILENT = Source.silence()
PROBE_CODES = 16


def traces() -> list[bytes]:
    """The canary in every form that it could take: codes, PCM, one channel of either."""
    forms = [CARD, CARD[0::2], CARD[1::2]]
    forms += [decode_g711(form, "PCMU") for form in forms]
    forms += [encode_g711(form, "PCMA") for form in forms[3:]]
    return [form[:PROBE_CODES] for form in forms]


def hello(name: str) -> bytes:
    greeting = b'{"stream":"earhook-pcm","version":1,"role":"consumer","name":"%s"}' % name.encode()
    return encode_frame(FrameKind.HELLO, 0, greeting) + encode_frame(FrameKind.SUBSCRIBE, 0, b"{}")


class Listener:
    """A raw subscriber that keeps every byte; or one that never reads."""

    def __init__(self, path: Path, *, reads: bool) -> None:
        self.heard = bytearray()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        self._path, self._reads = path, reads

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._reads:
            self._task.cancel()
        self._socket.close()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, str(self._path))
        await loop.sock_sendall(self._socket, hello("canary"))
        if self._reads:
            self._task = asyncio.create_task(self.read_all())

    async def read_all(self) -> None:
        loop = asyncio.get_running_loop()
        while chunk := await loop.sock_recv(self._socket, 1 << 16):
            self.heard += chunk


@pytest.mark.parametrize("by", ["peer", "gateway"])
def test_paused_audio_is_found_nowhere(run: Run, until: Until, tmp_path: Path, by: str) -> None:
    key, secret = secrets.token_urlsafe(16), secrets.token_bytes(32)
    log = io.StringIO()
    configure_logging(LogSettings(level="debug", format="json"), log)
    configuration = Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "keys": [{"api_key": key, "secrets": [base64.b64encode(secret).decode()]}],
            "sinks": [
                {"kind": "pcm-stream", "listen": f"unix:{tmp_path}/pcm.sock"},
                {"kind": "recording", "directory": str(tmp_path / "recordings")},
            ],
        }
    )

    async def scenario() -> tuple[bytes, str]:
        address = tmp_path / "pcm.sock"
        async with Gateway(configuration) as gateway:
            with (
                Listener(address, reads=True) as listener,
                Listener(address, reads=False) as stalled,
            ):
                await listener.start()
                await stalled.start()
                plan = CallPlan(
                    source=SILENT.limited(64_000),
                    credential=PeerCredential(key, secret),
                    pace=Pace(speed=4.0),
                )
                url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
                async with CallPeer.dial(url, plan) as peer:
                    await peer.reached(8_000)
                    await pause(gateway, peer)
                    for _ in range(5):
                        assert peer._socket is not None
                        peer._socket.send_audio(CARD)
                    await peer.reached(24_000)
                    await resume(gateway, peer)
                    figures = await scrape(gateway.admin_port)
                    await peer.finished()
                await until(lambda: gateway.hub.unreported_calls == 0)
                figures += await scrape(gateway.admin_port)
                snapshot = gateway.hub.snapshot()
                # The canary came in: it was counted and dropped, not merely never sent.
                assert snapshot.samples_dropped["paused"] == 5 * len(CARD) // 2
                assert snapshot.unbalanced_calls == 0
                return bytes(listener.heard), figures

    async def pause(gateway: Gateway, peer: CallPeer) -> None:
        if by == "peer":
            peer.secure_pause()
        else:
            from earhook.protocol.commands import Pause

            gateway.command(peer.setup.session_id, Pause())
            await peer.until(lambda: not peer.session.flowing)

    async def resume(gateway: Gateway, peer: CallPeer) -> None:
        if by == "peer":
            peer.secure_resume()
        else:
            from earhook.protocol.commands import Resume

            gateway.command(peer.setup.session_id, Resume())
            await peer.until(lambda: peer.session.flowing)

    streamed, figures = run(scenario())
    kinds = {frame[0] for frame in FrameDecoder().feed(streamed)}
    assert {FrameKind.AUDIO, FrameKind.GAP, FrameKind.CLOSE} <= kinds
    wav = [path for path in (tmp_path / "recordings").rglob("*") if path.is_file()]
    assert any(path.suffix == ".wav" and path.stat().st_size > 100_000 for path in wav)
    outputs = {str(path): path.read_bytes() for path in wav}
    outputs |= {"stream": streamed, "figures": figures.encode(), "log": log.getvalue().encode()}
    for name, content in outputs.items():
        for trace in traces():
            assert trace not in content, f"paused audio in {name}"
            assert trace.hex().encode() not in content, f"paused audio, as hex, in {name}"


async def scrape(port: int) -> str:
    async with aiohttp.ClientSession() as client:
        parts = []
        for path in ("/metrics", "/api/v1/calls", "/api/v1/sinks", "/readyz?verbose"):
            async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                parts.append(await answer.text())
        return "".join(parts)


def test_the_search_finds_a_canary_that_is_not_paused() -> None:
    """The traces are those that a leak would leave: codes as PCM in a recording's layout."""
    leaked = decode_g711(CARD, "PCMU")
    assert any(trace in leaked for trace in traces())
