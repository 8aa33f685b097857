"""Too much to do, and consumers that do not keep up: live calls of both doors notice neither."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earhook.control.pressure import Sample
from earhook.control.pressure_watch import Machine
from earhook.media.g711 import decode_g711
from earhook.media.stream import FrameKind, encode_frame
from earhook.testing.http_sender import HttpSender
from earhook.testing.peer import CallPeer
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup, Pace, PeerCredential
from earhook.transport.dial import DialError

from .house import API_KEY, BLOCK, SECRET, House

SENDERS = 4
BLOCKS = 50


class Burden:
    """What the machine has to bear, as a test says."""

    share = 0.1

    def sample(self) -> Sample:
        return Sample(0.0, 0.0, 1.0, 0.0, round(1000 * self.share), 1000, 10, 1000)


@pytest.fixture
def burden(monkeypatch: pytest.MonkeyPatch) -> Burden:
    made = Burden()
    monkeypatch.setattr(Machine, "sample", lambda _machine, _lag_seconds: made.sample())
    return made


@asynccontextmanager
async def undecided(house: House) -> AsyncIterator[None]:
    """Somebody who got in and has not said yet whether it is a probe."""
    setup, url = CallSetup(), f"wss://127.0.0.1:{house.ports['media']}/audiohook"
    credential = PeerCredential(API_KEY, SECRET)
    headers = upgrade_headers(url, setup, credential, time.time(), secrets.token_urlsafe(18))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", house.ports["media"], ssl=house.trust
    )
    lines = [f"{name}: {value}" for name, value in headers]
    lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    writer.write("\r\n".join(["GET /audiohook HTTP/1.1", *lines, "", ""]).encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")
    yield
    writer.transport.abort()


def test_under_strain_both_doors_turn_new_calls_away_and_nothing_else(
    run: Any, house: House, until: Any, burden: Burden
) -> None:
    house.change("shedding", enabled=True, retry_after_seconds=7, probes="answer", probe_sessions=1)

    async def story() -> None:
        async with (
            house.open() as gateway,
            house.sender() as blocks,
            house.sender() as late,
            house.sender() as long,
            long.streaming() as stream,
        ):
            peer = await house.dial("live")
            await stream.send(BLOCK)
            assert (await blocks.block(BLOCK)).status == 200
            await until(lambda: gateway.hub.live_calls == 3)
            burden.share = 0.9
            began = time.monotonic()
            await until(lambda: gateway.view.pressure.strains)
            refused = await late.block(BLOCK, sequence=0)
            assert (refused.status, refused.headers["retry-after"]) == (429, "7")
            assert time.monotonic() - began < 0.5
            for method in ("GET", "HEAD", "POST"):
                assert (await late.check(method)).status == 200
            probe = await house.dial("probe", setup=CallSetup.probe())
            assert (await probe.finished()).outcome == "completed"
            await until(lambda: not gateway.media.probe_connections)
            async with undecided(house):
                with pytest.raises(DialError) as caught:
                    await house.dial("late")
            assert caught.value.status == 503
            assert await house.admin("/readyz") == (503, "not ready: memory\n")
            assert (await house.admin("/livez"))[0] == 200
            _, text = await house.admin("/metrics")
            assert '\nearhook_calls_refused_total{door="ingest",reason="memory"} 1.0\n' in text
            assert '\nearhook_calls_refused_total{door="media",reason="memory"} 1.0\n' in text
            # Live ones go on, while the figure falls below the limit but not far enough, too.
            burden.share = 0.8
            for _ in range(3):
                await stream.send(BLOCK)
                assert (await blocks.block(BLOCK)).status == 200
            await peer.reached(peer.position + 1600)
            assert gateway.view.pressure.strains
            burden.share = 0.6
            await until(lambda: not gateway.view.pressure.strains)
            assert (await late.block(BLOCK, sequence=0, end=True)).status == 200
            welcome = await house.dial("welcome")
            await welcome.opened()
            for each in (welcome, peer):
                each.close()
                assert (await each.finished()).outcome == "completed"
            assert (await stream.finish()).json()["total_samples"] == 4 * len(BLOCK)
            assert (await blocks.block(BLOCK, end=True)).json()["position"] == 5 * len(BLOCK)
        house.check_books()
        assert house.recorded(peer.setup.session_id)[0] == peer.expected_pcm(0)

    run(story())


@contextmanager
def consumer_that_never_reads(address: Path) -> Iterator[None]:
    """It takes part in every call, and then does nothing."""
    with socket.socket(socket.AF_UNIX) as consumer:
        consumer.connect(str(address))
        greeting = {"stream": "earhook-pcm", "version": 1, "role": "consumer", "name": "never"}
        hello = encode_frame(FrameKind.HELLO, 0, json.dumps(greeting).encode())
        consumer.sendall(hello + encode_frame(FrameKind.SUBSCRIBE, 0, b"{}"))
        yield


async def send_at_pace(sender: HttpSender, codes: bytes, metronome: CallPeer) -> list[float]:
    """Send a block for each frame of a call at the other door; how long each answer took."""
    took = []
    for number in range(BLOCKS):
        start = number * len(BLOCK)
        await metronome.reached(start)
        began = time.monotonic()
        reply = await sender.block(codes[start : start + len(BLOCK)], end=number == BLOCKS - 1)
        took.append(time.monotonic() - began)
        assert reply.status == 200
        assert reply.json()["accepted_samples"] == len(BLOCK)
    return took


async def stream_at_pace(sender: HttpSender, codes: bytes, metronome: CallPeer) -> None:
    """The same in one request."""
    async with sender.streaming() as stream:
        for start in range(0, len(codes), len(BLOCK)):
            await metronome.reached(start)
            await stream.send(codes[start : start + len(BLOCK)])
        assert (await stream.finish()).json()["total_samples"] == len(codes)


def test_a_consumer_that_does_not_read_delays_no_answer(run: Any, house: House, until: Any) -> None:
    house.change("ring", seconds=1.0)
    codes = np.random.default_rng(7).integers(0, 256, len(BLOCK) * BLOCKS, dtype="u1").tobytes()

    async def story() -> None:
        async with house.open() as gateway:
            with consumer_that_never_reads(house.directory / "pcm.sock"):
                stream = gateway.sinks[0]
                await until(lambda: len(stream.snapshot().subscribers) == 2)
                senders = [house.sender() for _ in range(SENDERS + 1)]
                for sender in senders:
                    await sender.connect()
                peer = await house.dial("metronome", pace=Pace(speed=5.0))
                sending = (send_at_pace(sender, codes, peer) for sender in senders[1:])
                _, *took = await asyncio.gather(stream_at_pace(senders[0], codes, peer), *sending)
                peer.close()
                assert (await peer.finished()).outcome == "completed"
                for sender in senders:
                    await sender.close()
                # It is behind by more than the ring and its socket hold.
                await until(lambda: stream.snapshot().books.dropped.get("overrun", 0) > 8000)
                answers = sorted(seconds for each in took for seconds in each)
                assert answers[int(len(answers) * 0.99)] < 0.25
                assert gateway.ways_in.https is not None
                snapshot = gateway.ways_in.https.server.snapshot()
                assert snapshot.read_pause_max_seconds < 0.25
                _, text = await house.admin("/metrics")
                assert "\nearhook_ingest_read_pause_max_seconds " in text
        house.check_books()
        for sender in senders:
            assert house.recorded(sender.session_id)[0] == decode_g711(codes, "PCMU")

    run(story())
