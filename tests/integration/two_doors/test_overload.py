"""Too much to do, and consumers that do not keep up: live calls of both doors notice neither."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earhook.control.pressure import Sample
from earhook.control.pressure_watch import Machine
from earhook.media.g711 import decode_g711
from earhook.media.stream import FrameKind, encode_frame
from earhook.testing.http_sender import HttpSender
from earhook.testing.peer_setup import CallSetup
from earhook.transport.dial import DialError

from .house import BLOCK, House

SENDERS = 4
BLOCKS = 50
BLOCK_SECONDS = 0.04
"""Five times as fast as speech."""


class Burden:
    """What the machine has to bear, as a test says."""

    share = 0.1

    def sample(self, _machine: Machine, _lag_seconds: float) -> Sample:
        return Sample(0.0, 0.0, 1.0, 0.0, round(1000 * self.share), 1000, 10, 1000)


@pytest.fixture
def burden(monkeypatch: pytest.MonkeyPatch) -> Burden:
    made = Burden()
    monkeypatch.setattr(Machine, "sample", lambda *about: made.sample(*about))
    return made


def test_under_strain_both_doors_turn_new_calls_away_and_nothing_else(
    run: Any, house: House, until: Any, burden: Burden
) -> None:
    house.change("shedding", enabled=True, retry_after_seconds=7, probes="answer")

    async def turned_away(late: HttpSender) -> None:
        refused = await late.block(BLOCK, sequence=0)
        assert (refused.status, refused.headers["retry-after"]) == (429, "7")
        with pytest.raises(DialError) as caught:
            # One is let in as far as its `open`, in case it is a probe.
            await house.dial("late")
        assert caught.value.status == 503

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
            lane = [await house.dial("in the lane") for _ in range(_LANE)]
            await turned_away(late)
            assert time.monotonic() - began < 0.5 + 0.1 * _LANE
            for caller in lane:
                await caller.finished()
            for method in ("GET", "HEAD", "POST"):
                assert (await late.check(method)).status == 200
            probe = await house.dial("probe", setup=CallSetup.probe())
            await probe.opened()
            probe.close()
            assert (await probe.finished()).outcome == "completed"
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


_LANE = 1


@contextmanager
def consumer_that_never_reads(address: Path) -> Iterator[None]:
    """It takes part in every call, and then does nothing."""
    with socket.socket(socket.AF_UNIX) as consumer:
        consumer.connect(str(address))
        greeting = {"stream": "earhook-pcm", "version": 1, "role": "consumer", "name": "never"}
        hello = encode_frame(FrameKind.HELLO, 0, json.dumps(greeting).encode())
        consumer.sendall(hello + encode_frame(FrameKind.SUBSCRIBE, 0, b"{}"))
        yield


async def send_at_pace(sender: HttpSender, codes: bytes) -> list[float]:
    """Send a block every `BLOCK_SECONDS`; how long each answer took."""
    took, due = [], time.monotonic()
    for number in range(BLOCKS):
        block = codes[number * len(BLOCK) : (number + 1) * len(BLOCK)]
        began = time.monotonic()
        reply = await sender.block(block, end=number == BLOCKS - 1)
        took.append(time.monotonic() - began)
        assert reply.status == 200
        assert reply.json()["accepted_samples"] == len(BLOCK)
        due += BLOCK_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return took


def test_a_consumer_that_does_not_read_delays_no_answer(run: Any, house: House, until: Any) -> None:
    house.change("ring", seconds=1.0)
    codes = np.random.default_rng(7).integers(0, 256, len(BLOCK) * BLOCKS, dtype="u1").tobytes()

    async def story() -> None:
        async with house.open() as gateway:
            with consumer_that_never_reads(house.directory / "pcm.sock"):
                stream = gateway.sinks[0]
                await until(lambda: stream.snapshot().subscribers == 2)
                senders = [house.sender() for _ in range(SENDERS)]
                for sender in senders:
                    await sender.connect()
                took = await asyncio.gather(*(send_at_pace(each, codes) for each in senders))
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
