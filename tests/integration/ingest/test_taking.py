"""How far and how fast a body is taken: too much audio, a sender that leaves, a call that ends."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from earhook.ingest.call import IngestCall
from earhook.ingest.exchange import BodyCut
from earhook.ingest.reply import Reply
from earhook.ingest.settings import IngestLimits, IngestSettings
from earhook.media.g711 import decode_g711
from earhook.media.intake import EncryptionKeys
from earhook.protocol import commands
from earhook.testing.payload_key import PayloadKey

from .asking import PCMU, SESSION, AskedExchange, House
from .test_opus_calls import FILES, framed, packets_of, sent

BODYLESS = bytes([3 << 3 | 1])
"""Two frames of 60 ms without content (RFC 6716 §3.2.3): with its length, three bytes."""
BOMB = framed([BODYLESS]) * 1000
"""Two minutes in three thousand bytes."""
OPUS = {"content-type": "audio/opus", "audiohook-session-id": SESSION}
OGG = OPUS | {"content-type": "audio/ogg;codecs=opus"}
END = {"audiohook-session-id": SESSION, "earhook-end": "true"}
RATE = 8000
STEP_SAMPLES = (0.25 + 0.12) * RATE
"""What is decoded at once of Opus: a quarter of a second, and the packet that goes beyond it."""
KEY = PayloadKey(b"k", b"0123456789abcdef")


def numbered(headers: dict[str, str], number: int) -> dict[str, str]:
    return headers | {"earhook-sequence": str(number)}


def house_of(block_seconds: float = 3.0, ring_seconds: float = 30.0, **more: Any) -> House:
    limits = IngestLimits(block_seconds=block_seconds)
    return House(IngestSettings(plaintext=True, limits=limits), ring_seconds, **more)


def live(house: House) -> IngestCall:
    call = house.calls.find(SESSION)
    assert isinstance(call, IngestCall)
    return call


@asynccontextmanager
async def held_back(house: House, exchange: AskedExchange, until: Any) -> AsyncIterator[Any]:
    """Send a request that is faster than it may be, and go on while it waits."""
    answer: asyncio.Task[Reply] = asyncio.create_task(house.door.answer(exchange))
    await until(lambda: house.hub.live_calls and live(house).heard_samples >= RATE)
    yield answer
    if not answer.done():
        answer.cancel()


# Too much in one block.


def test_the_rest_of_a_block_of_too_much_audio_is_not_taken_and_can_be_sent_behind_it(
    run: Any,
) -> None:
    async def story() -> None:
        house = house_of()
        reply, told = await house.ask(numbered(OPUS, 7), BOMB)
        assert (reply.status, told["error"]) == (413, "too-much-audio")
        assert 3 * RATE <= told["accepted_samples"] <= 3 * RATE + STEP_SAMPLES
        assert (told["gap_samples"], told["ended"]) == (0, False)
        assert told["position"] == told["total_samples"] == told["accepted_samples"]
        assert house.calls.buffered_bytes == 0
        # It is never counted twice, and whoever repeats it is not told that all is well.
        reply, again = await house.ask(numbered(OPUS, 7), BOMB)
        assert (reply.status, again["error"]) == (413, "too-much-audio")
        assert (again["duplicate"], again["accepted_samples"]) == (True, 0)
        assert again["position"] == told["position"]
        # The next number goes on where it was left: nothing is missing in between.
        reply, rest = await house.ask(numbered(OPUS, 8), framed([BODYLESS]))
        assert (reply.status, rest["gap_samples"], rest["accepted_samples"]) == (200, 0, 960)
        await house.ask(END)
        assert house.call.gaps == []
        reply, fields = await house.ask(numbered(OPUS, 7), BOMB)
        assert (reply.status, fields["error"]) == (410, "ended")
        reply, fields = await house.ask(numbered(OPUS, 8), framed([BODYLESS]))
        assert (reply.status, fields["duplicate"]) == (200, True)
        house.assert_balanced()

    run(story())


@pytest.mark.parametrize(("extra", "status"), [(0, 200), (RATE, 413)])
@pytest.mark.parametrize("sealed", [False, True])
def test_a_block_may_be_exactly_as_long_as_it_may(
    run: Any, sealed: bool, extra: int, status: int
) -> None:
    async def story() -> None:
        house = house_of(keys=EncryptionKeys({KEY.key_id: KEY.key}))
        body = b"\xff" * (3 * RATE + extra)
        headers = PCMU | ({"content-encoding": "aes128gcm"} if sealed else {})
        reply, told = await house.ask(numbered(headers, 0), KEY.seal(body) if sealed else body)
        assert (reply.status, told["ended"]) == (status, False)
        assert 3 * RATE <= told["accepted_samples"] <= 3 * RATE + extra // 2

    run(story())


def test_a_stream_may_be_as_long_as_it_likes(run: Any) -> None:
    async def story() -> None:
        house = house_of(block_seconds=1.0)
        exchange = AskedExchange(PCMU, None)
        for piece in (b"\xff" * 4 * RATE, b""):
            exchange.send(piece)
        reply, told = house.read(await house.door.answer(exchange))
        assert (reply.status, told["accepted_samples"]) == (200, 4 * RATE)

    run(story())


# A sender that leaves.


def test_a_block_that_is_too_fast_is_not_taken_on_when_its_sender_has_gone(
    run: Any, until: Callable[..., Any]
) -> None:
    async def story() -> None:
        house = house_of(150.0, ring_seconds=2.0)
        exchange = AskedExchange(numbered(OPUS, 0), BOMB)
        async with held_back(house, exchange, until) as answer:
            exchange.is_gone = True
            async with asyncio.timeout(2.0):
                reply, told = house.read(await answer)
        assert (reply.status, told["error"]) == (409, "cut")
        assert 0 < told["accepted_samples"] < 5 * RATE
        assert (house.calls.buffered_bytes, live(house).is_busy) == (0, False)
        # It comes again on another connection: what was taken is told, not taken again.
        house.clock.advance(10)
        reply, again = await house.ask(numbered(OPUS, 0), BOMB)
        assert (reply.status, again["error"], again["duplicate"]) == (409, "cut", True)
        assert (again["accepted_samples"], again["position"]) == (0, told["position"])
        reply, rest = await house.ask(numbered(OPUS, 1), framed([BODYLESS]))
        assert (reply.status, rest["gap_samples"], rest["accepted_samples"]) == (200, 0, 960)
        assert house.call.gaps == []

    run(story())


def test_a_block_of_which_nothing_was_taken_can_be_sent_again(run: Any, until: Any) -> None:
    async def story() -> None:
        house = house_of(ring_seconds=2.0)
        await house.block(b"\xff" * RATE, 0)  # all that may come at once
        exchange = AskedExchange(numbered(PCMU, 1), b"\xff" * RATE)
        exchange.is_gone = True
        reply, told = house.read(await house.door.answer(exchange))
        assert (reply.status, told["accepted_samples"]) == (409, 0)
        house.clock.advance(10)
        assert (await house.block(b"\xff" * RATE, 1))["accepted_samples"] == RATE
        house.calls.sweep()
        house.clock.advance(100)
        house.calls.sweep()
        house.assert_balanced()

    run(story())


def test_a_sender_that_is_not_too_fast_may_leave_without_waiting_for_the_answer(run: Any) -> None:
    async def story() -> None:
        house = house_of(ring_seconds=2.0)
        for number in range(5):
            exchange = AskedExchange(numbered(PCMU, number), b"\xff" * RATE)
            exchange.is_gone = True
            reply, told = house.read(await house.door.answer(exchange))
            assert (reply.status, told["accepted_samples"]) == (200, RATE)
            house.clock.advance(1.0)

    run(story())


def test_a_sender_that_leaves_in_a_block_and_stays_away_is_lost(run: Any, until: Any) -> None:
    async def story() -> None:
        house = house_of(150.0, ring_seconds=2.0)
        exchange = AskedExchange(numbered(OPUS, 0), BOMB)
        async with held_back(house, exchange, until) as answer:
            exchange.is_gone = True
            await answer
        house.clock.advance(31)
        house.calls.sweep()
        assert house.hub.snapshot().closed_calls == {"lost": 1}
        house.assert_balanced()

    run(story())


def test_of_a_stream_that_broke_off_only_so_much_is_taken_as_of_a_block(run: Any) -> None:
    async def story() -> None:
        house = house_of()
        exchange = AskedExchange(OPUS, None)
        exchange.send(BOMB)
        exchange.is_gone = True
        with pytest.raises(BodyCut):
            await house.door.answer(exchange)
        position = live(house).position
        assert 3 * RATE <= position <= 3 * RATE + STEP_SAMPLES
        resumed = AskedExchange(OPUS | {"earhook-position": str(position * 6)}, None)
        for piece in (framed([BODYLESS]), b""):
            resumed.send(piece)
        reply, told = house.read(await house.door.answer(resumed))
        assert (reply.status, told["gap_samples"], told["accepted_samples"]) == (200, 0, 960)
        assert house.call.gaps == []
        house.assert_balanced()

    run(story())


def test_what_was_taken_of_a_stream_before_its_fault_is_no_gap_to_the_next_one(run: Any) -> None:
    async def story() -> None:
        house = house_of()
        sealed = bytearray(KEY.seal(b"\xff" * 2 * RATE))
        sealed[-1] ^= 1
        house.keys = EncryptionKeys({KEY.key_id: KEY.key})
        headers = PCMU | {"content-encoding": "aes128gcm"}
        exchange = AskedExchange(headers, None)
        for piece in (bytes(sealed), b""):
            exchange.send(piece)
        reply, told = house.read(await house.door.answer(exchange))
        assert (reply.status, told["error"]) == (400, "encryption")
        assert told["position"] > RATE
        resumed = AskedExchange(headers | {"earhook-position": str(told["position"])}, None)
        for piece in (KEY.seal(b"\xff" * 160), b""):
            resumed.send(piece)
        reply, told = house.read(await house.door.answer(resumed))
        assert (reply.status, told["gap_samples"], told["accepted_samples"]) == (200, 0, 160)
        assert house.call.gaps == []

    run(story())


# A call that ends meanwhile.


def test_a_block_whose_call_ends_while_it_is_held_back_is_told_so(run: Any, until: Any) -> None:
    async def story() -> None:
        house = house_of(150.0, ring_seconds=2.0)
        exchange = AskedExchange(numbered(OPUS, 0), BOMB)
        async with held_back(house, exchange, until) as answer:
            waiting = asyncio.create_task(house.ask(numbered(OPUS, 1), framed([BODYLESS])))
            await until(lambda: live(house).turns.present == 2)
            live(house).submit(commands.Disconnect())
            began = asyncio.get_running_loop().time()
            for reply, told in (house.read(await answer), await waiting):
                assert (reply.status, told["error"]) == (410, "ended")
            assert asyncio.get_running_loop().time() - began < 2.0
        # What was behind is not decoded when nobody is to hear it any more.
        assert house.call.position < 5 * RATE
        house.assert_balanced()

    run(story())


# A little at a time.


def as_packets(packets: list[bytes]) -> tuple[dict[str, str], bytes]:
    return OPUS, framed(packets)


def as_sealed_packets(packets: list[bytes]) -> tuple[dict[str, str], bytes]:
    key = PayloadKey(KEY.key_id, KEY.key, record_bytes=65_536)
    return OPUS | {"content-encoding": "aes128gcm"}, key.seal(framed(packets))


def as_ogg(packets: list[bytes]) -> tuple[dict[str, str], bytes]:
    return OGG, ogg_of(packets, packets_per_page=len(packets))


@pytest.mark.parametrize("form", [as_packets, as_sealed_packets, as_ogg])
def test_others_have_their_turn_after_each_quarter_of_a_second_of_opus(run: Any, form: Any) -> None:
    async def story() -> None:
        house = house_of(150.0, keys=EncryptionKeys({KEY.key_id: KEY.key}))
        headers, body = form([BODYLESS] * 100)
        answer = asyncio.create_task(house.ask(numbered(headers, 0), body))
        steps, position = [0], 0
        while not answer.done():
            await Turn()
            if house.hub.live_calls:
                steps.append(live(house).position - position)
                position = live(house).position
        reply, told = await answer
        assert (reply.status, told["accepted_samples"]) == (200, 12 * RATE)
        assert max(steps) <= STEP_SAMPLES

    run(story())


@pytest.mark.parametrize("ring_seconds", [1.0, 2.0, 30.0])
def test_raw_audio_is_decoded_a_quarter_of_a_ring_at_once_and_half_a_second_at_most(
    run: Any, ring_seconds: float
) -> None:
    async def story() -> None:
        house = house_of(ring_seconds=ring_seconds)
        body = bytes(range(256)) * 125
        answer = asyncio.create_task(house.ask(numbered(PCMU, 0), body))
        steps, position = [0], 0
        async with running(house):
            while not answer.done():
                await Turn()
                if house.hub.live_calls:
                    steps.append(live(house).position - position)
                    position = live(house).position
        reply, told = await answer
        assert (reply.status, told["accepted_samples"]) == (413, 3 * RATE)
        assert 0 < max(steps) <= min(0.5, ring_seconds / 4) * RATE
        assert house.call.channel(0) == decode_g711(body[: 3 * RATE], "PCMU")
        assert house.call.gaps == []

    run(story())


@pytest.mark.parametrize("as_block", [False, True])
def test_pages_that_are_longer_than_the_ring_lose_nothing(run: Any, as_block: bool) -> None:
    async def story() -> None:
        packets = packets_of((FILES / "mono.opus").read_bytes()) * 10
        half = len(packets) // 2
        length = sum(map(samples_of, packets))
        assert length > 2 * 4.5 * 48_000, "a page is to be longer than two rings"
        short, page = ogg_of(packets, packets_per_page=10), ogg_of(packets, packets_per_page=half)
        house = house_of(150.0, ring_seconds=2.0)
        exchange = AskedExchange(numbered(OGG, 0) if as_block else OGG, page if as_block else None)
        if not as_block:
            for at in range(0, len(page), 10_000):
                exchange.send(page[at : at + 10_000])
            exchange.send(b"")
        async with running(house):
            reply, told = house.read(await house.door.answer(exchange))
        assert (reply.status, told["gap_samples"]) == (200, 0)
        if as_block:
            await house.ask(END)
        reference = await sent(OGG["content-type"], [short], RATE, as_blocks=False)
        assert house.call.gaps == reference.call.gaps == []
        assert len(house.call.channel(0)) == 2 * length // 6
        assert house.call.audio == reference.call.audio
        house.assert_balanced()

    run(story())


@asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    """Let the clock run as fast as real time does, and the sink read every few milliseconds."""

    async def run_on() -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await tick(0.005)
            now = loop.time()
            house.clock.advance(now - last)
            last = now
            house.sink.collect()

    task = asyncio.create_task(run_on())
    try:
        yield
    finally:
        task.cancel()


class Turn:
    """`await Turn()`: exactly one turn of the loop for everybody else."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def tick(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.call_later(seconds, gone.set)
    await gone.wait()


# Under strain.


@pytest.mark.parametrize(("is_strained", "times"), [(False, 8.0), (True, 1.5)])
def test_a_file_is_held_back_more_while_there_is_strain(
    run: Any, is_strained: bool, times: float
) -> None:
    async def story() -> None:
        house = house_of(ring_seconds=2.0)
        house.calls.is_strained = lambda: is_strained
        exchange = AskedExchange(PCMU, None)
        for piece in (b"\xff" * int(1.5 * RATE), b""):
            exchange.send(piece)
        reply, _ = house.read(await house.door.answer(exchange))
        assert reply.status == 200
        # Half a ring comes at once; for the half second behind it there is no room yet, and for
        # the end of the body as little.
        assert exchange.held_back_seconds == pytest.approx((0.5 + 1.0) / times)

    run(story())


def test_who_speaks_notices_nothing_of_strain(run: Any) -> None:
    async def story() -> None:
        house = house_of(ring_seconds=2.0)
        house.calls.is_strained = lambda: True
        exchange = AskedExchange(PCMU, None)
        answer = asyncio.create_task(house.door.answer(exchange))
        for _ in range(50):
            exchange.send(b"\xff" * (RATE // 5))
            for _ in range(5):
                await Turn()
            house.clock.advance(0.2)
        exchange.send(b"")
        assert (await answer).status == 200
        assert exchange.held_back_seconds == 0

    run(story())


# Ogg, as this test writes it.


def ogg_of(packets: list[bytes], packets_per_page: int) -> bytes:
    """Opus in Ogg without pre-skip: a page of each header, then pages of so many packets."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [page_of([head], 0, 0, 2), page_of([tags], 1, 0, 0)]
    for at in range(0, len(packets), packets_per_page):
        on_page = packets[at : at + packets_per_page]
        is_last = at + packets_per_page >= len(packets)
        granule = sum(map(samples_of, packets[: at + len(on_page)]))
        pages.append(page_of(on_page, len(pages), granule, 4 if is_last else 0))
    return b"".join(pages)


def samples_of(packet: bytes) -> int:
    """At 48 kHz (RFC 6716 §3.1)."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config % 4]
    else:
        frame = (480, 960)[config % 2] if config < 16 else (120, 240, 480, 960)[config % 4]
    return frame * (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[code]


def page_of(packets: list[bytes], number: int, granule: int, flags: int) -> bytes:
    """One page (RFC 3533 §6)."""
    laces = b"".join(b"\xff" * (len(each) // 255) + bytes([len(each) % 255]) for each in packets)
    assert len(laces) <= 255
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, 1, number, 0)
    page = bytearray(head + bytes([len(laces)]) + laces + b"".join(packets))
    page[22:26] = struct.pack("<I", checksum(bytes(page)))
    return bytes(page)


def checksum(page: bytes) -> int:
    """CRC-32 with the polynomial 0x04c11db7, not reflected, from 0 (RFC 3533 §6)."""
    crc = 0
    for octet in page:
        crc ^= octet << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x8000_0000 else 0)) & 0xFFFF_FFFF
    return crc
