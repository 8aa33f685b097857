"""Opus by the door: blocks and streams give the same sound, losses are gaps or are made up for."""

from __future__ import annotations

import asyncio
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earhook.ingest.settings import IngestSettings

from .asking import SESSION, AskedExchange, House

FILES = Path(__file__).parents[3] / "rust" / "earhook-audio" / "tests" / "data"


def packets_of(ogg: bytes) -> list[bytes]:
    """The packets of an Ogg file (RFC 3533 §6), headers left out."""
    packets, at, open_packet = [], 0, b""
    while at < len(ogg):
        segments = ogg[at + 27 : at + 27 + ogg[at + 26]]
        at += 27 + len(segments)
        for length in segments:
            open_packet += ogg[at : at + length]
            at += length
            if length < 255:
                packets.append(open_packet)
                open_packet = b""
    return packets[2:]


def framed(packets: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def house(rate: int) -> House:
    return House(IngestSettings(plaintext=True, rate=rate), ring_seconds=30.0)


async def sent(
    kind: str, pieces: list[bytes], rate: int, *, as_blocks: bool, numbers: list[int] | None = None
) -> House:
    place = house(rate)
    headers = {"content-type": kind, "audiohook-session-id": SESSION}
    if as_blocks:
        for number, piece in zip(numbers or range(len(pieces)), pieces, strict=True):
            reply, fields = await place.ask(headers | {"earhook-sequence": str(number)}, piece)
            assert reply.status == 200, fields
        reply, fields = await place.ask({"audiohook-session-id": SESSION, "earhook-end": "true"})
    else:
        exchange = AskedExchange(headers, None)
        for piece in [*pieces, b""]:
            exchange.send(piece)
        reply, fields = place.read(await place.door.answer(exchange))
    assert reply.status == 200, fields
    assert fields["position"] == place.call.position
    place.assert_balanced()
    return place


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize(("name", "channels"), [("mono", 1), ("stereo", 2)])
def test_packets_in_blocks_sound_as_in_a_stream_however_it_is_cut(
    run: Any, name: str, channels: int, rate: int
) -> None:
    async def story() -> None:
        packets = packets_of((FILES / f"{name}.opus").read_bytes())
        kind = f"audio/opus;channels={channels}"
        body, dice = framed(packets), random.Random(1)
        cuts = sorted(dice.sample(range(1, len(body)), 60))
        cut = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        blocks = [framed(packets[at : at + 3]) for at in range(0, len(packets), 3)]
        stream = await sent(kind, cut, rate, as_blocks=False)
        in_blocks = await sent(kind, blocks, rate, as_blocks=True)
        assert stream.call.audio == in_blocks.call.audio
        assert stream.call.gaps == in_blocks.call.gaps == []
        heard = np.frombuffer(bytes(stream.call.audio), np.int16)
        assert heard.std() > 100

    run(story())


@pytest.mark.parametrize(("name", "channels"), [("mono", 1), ("stereo", 2)])
def test_ogg_gives_its_packets_without_what_is_to_be_skipped(
    run: Any, name: str, channels: int
) -> None:
    async def story() -> None:
        file = (FILES / f"{name}.opus").read_bytes()
        skipped = struct.unpack_from("<H", file, 28 + 10)[0]
        pieces = [file[at : at + 100] for at in range(0, len(file), 100)]
        ogg = await sent(
            f"audio/ogg;codecs=opus;channels={channels}", pieces, 16000, as_blocks=False
        )
        packets = framed(packets_of(file))
        plain = await sent(f"audio/opus;channels={channels}", [packets], 16000, as_blocks=False)
        assert skipped % 3 == 0
        lane = np.frombuffer(ogg.call.channel(0), np.int16)
        other = np.frombuffer(plain.call.channel(0), np.int16)[skipped // 3 :]
        # At both ends the filter has heard other things.
        inner = slice(200, len(lane) - 200)
        assert np.array_equal(lane[inner], other[: len(lane)][inner])
        assert lane.std() > 100

    run(story())


def test_a_lost_block_is_a_gap_and_a_packet_marked_as_lost_is_made_up_for(run: Any) -> None:
    async def story() -> None:
        packets = packets_of((FILES / "mono.opus").read_bytes())[:12]
        blocks = [framed([packet]) for packet in packets]
        whole = await sent("audio/opus", blocks, 16000, as_blocks=True)
        one = len(whole.call.channel(0)) // 2 // 12
        numbers = [number for number in range(12) if number != 5]
        lossy = await sent(
            "audio/opus", [blocks[n] for n in numbers], 16000, as_blocks=True, numbers=numbers
        )
        assert [gap.samples for gap in lossy.call.gaps] == [one]
        assert [gap.position for gap in lossy.call.gaps] == [5 * one]
        assert lossy.call.position == whole.call.position
        marked = [b"\0\0" if number == 5 else block for number, block in enumerate(blocks)]
        made_up = await sent("audio/opus", marked, 16000, as_blocks=True)
        assert made_up.call.gaps == []
        assert made_up.call.position == whole.call.position

    run(story())


def test_a_few_bytes_that_are_hours_hold_up_nobody(run: Any, until: Any) -> None:
    async def story() -> None:
        place = House(IngestSettings(plaintext=True))
        # Two frames of 60 ms without content (RFC 6716 §3.2.3): three bytes are 120 ms.
        bomb = framed([bytes([3 << 3 | 1])]) * 100_000
        exchange = AskedExchange(
            {"content-type": "audio/opus", "audiohook-session-id": SESSION}, None
        )
        exchange.send(bomb)
        answer = asyncio.create_task(place.door.answer(exchange))
        await until(lambda: place.hub.live_calls)
        assert await answered_within(place, 1.0)
        bombing = place.sink.calls[SESSION]
        assert bombing.position < 60 * 8000
        place.calls.disconnect()
        assert (await answer).status == 410
        place.assert_balanced()

    run(story())


async def answered_within(place: House, seconds: float) -> bool:
    async with asyncio.timeout(seconds):
        reply, _ = await place.ask({"content-type": "audio/PCMU"}, bytes(160))
    return reply.status == 200
