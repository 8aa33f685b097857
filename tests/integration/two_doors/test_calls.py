"""Calls of both doors at once, in every format, held against what was sent, sample by sample."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from earhook.media.feed import Feed
from earhook.media.format import MediaFormat
from earhook.media.g711 import decode_g711
from earhook.media.intake import StreamFormat, open_intake
from earhook.media.pipeline import Budget, open_pipeline
from earhook.testing.http_sender import HttpSender
from earhook.testing.peer_setup import Pace

from .house import PAYLOAD_KEY, House

SPEECH = Path(__file__).parents[3] / "rust/earhook-audio/tests/data/stereo.opus"
FAST = Pace(speed=10.0, limit_samples=24_003)
SAMPLES = 24_003
"""Of every call: three seconds, and a rest that fills no block, frame or record."""


def noise(seed: int, channels: int = 1, samples: int = SAMPLES) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-32768, 32768, (samples, channels), dtype="<i2")


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def straight(stream: StreamFormat, body: bytes, rate: int) -> tuple[bytes, ...]:
    """What the core makes of a body that comes in one piece, by channel."""
    channels = tuple(range(stream.channels))
    media = MediaFormat(stream.codec, channels, rate)
    pipeline = open_pipeline(Budget(1 << 26), media, ring_seconds=60.0)
    feed = Feed()
    feed.attach(1, pipeline)
    intake = open_intake(pipeline, stream, media)
    intake.begin()
    intake.push(body)
    intake.end()
    intake.finish()
    heard = b""
    while blocks := feed.drain_blocks(1 << 24):
        heard += b"".join(audio for *_, audio in blocks)
    feed.detach(1)
    lanes = np.frombuffer(heard, "<i2").reshape(-1, 2)
    return tuple(lanes[:, channel].tobytes() for channel in channels)


def packets_of(file: bytes) -> list[bytes]:
    """The Opus packets of an Ogg file of one stream (RFC 3533 §6), its two headers left out."""
    packets, rest = [b""], file
    while rest:
        lengths = rest[27 : 27 + rest[26]]
        rest = rest[27 + rest[26] :]
        for length in lengths:
            packets[-1] += rest[:length]
            rest = rest[length:]
            if length < 255:
                packets.append(b"")
    return packets[2:-1]


def spoken(rate: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Speech as Opus packets behind their lengths, and what it decodes to."""
    packets = packets_of(SPEECH.read_bytes())
    body = b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)
    return body, straight(StreamFormat("OPUS", 2, 48_000), body, rate)


async def send_stream(sender: HttpSender, parts: Iterable[bytes]) -> dict[str, Any]:
    async with sender:
        reply = await sender.stream(parts)
    assert reply.status == 200, reply.body
    return reply.json()


async def send_blocks(sender: HttpSender, blocks: list[bytes]) -> dict[str, Any]:
    """Send numbered blocks, every third one twice and the second never; the last says so."""
    async with sender:
        for number, block in enumerate(blocks):
            if number == 1:
                continue
            is_last = number == len(blocks) - 1
            reply = await sender.block(block, sequence=number, end=is_last)
            assert reply.status == 200, reply.body
            if number % 3 == 0:
                again = await sender.block(block, sequence=number)
                assert (again.status, again.json()["duplicate"]) == (200, True)
    return reply.json()


def heard(house: House, session: str) -> tuple[bytes, bytes]:
    return house.ear.pcm(session), house.ear.pcm(session, "internal")


def check(house: House, session: str, lanes: tuple[bytes, ...], rate: int = 8000) -> None:
    """Consumer and recording have exactly that."""
    assert house.ear.rate(session) == rate
    assert heard(house, session)[: len(lanes)] == lanes
    silence = bytes(len(lanes[0]))
    assert house.recorded(session, rate) == (*lanes, silence)[:2]
    assert house.sidecar(session)["state"] == "complete"
    closed = house.ear.closed(session)
    assert closed is not None
    assert closed.totals.verified


def test_calls_of_both_doors_at_once_arrive_sample_for_sample(
    run: Any, house: House, until: Any
) -> None:
    mu, a, sealed = noise(1, 2), noise(2), noise(3, 2)
    mu_codes = mu.astype(np.uint8).tobytes()
    a_codes = a.astype(np.uint8).tobytes()
    big_endian = sealed.astype(">i2").tobytes()
    packets, opus_lanes = spoken(8000)

    async def story() -> None:
        async with house.open():
            stream = house.sender(content_type="audio/PCMU;channels=2")
            blocks = house.sender(
                content_type="audio/PCMA", headers={"Audiohook-Channel": "external"}
            )
            encrypted = house.sender(content_type="audio/L16;rate=8000;channels=2", key=PAYLOAD_KEY)
            opus = house.sender(content_type="audio/opus;sprop-stereo=1")
            ogg = house.sender(content_type="audio/ogg; codecs=opus; channels=2")
            peers = [await house.dial(str(number), pace=FAST) for number in range(3)]
            answers = await asyncio.gather(
                send_stream(stream, pieces(mu_codes, 321)),
                send_blocks(blocks, pieces(a_codes, 1600)),
                send_stream(encrypted, pieces(big_endian, 3333)),
                send_stream(opus, pieces(packets, 700)),
                send_stream(ogg, pieces(SPEECH.read_bytes(), 700)),
            )
            for peer in peers:
                await peer.finished()
            sessions = [each.session_id for each in (stream, blocks, encrypted, opus, ogg)]
            all_sessions = sessions + [peer.setup.session_id for peer in peers]
            await until(lambda: all(house.ear.closed(session) for session in all_sessions))
        house.check_books()
        assert [answer["position"] for answer in answers[:3]] == [SAMPLES] * 3
        pcm = np.frombuffer(decode_g711(mu_codes, "PCMU"), "<i2").reshape(-1, 2)
        check(house, sessions[0], (pcm[:, 0].tobytes(), pcm[:, 1].tobytes()))
        whole = bytearray(decode_g711(a_codes, "PCMA"))
        whole[3200:6400] = bytes(3200)
        check(house, sessions[1], (bytes(whole),))
        assert house.ear.gaps(sessions[1]) == [(1600, 1600, "missing")]
        check(house, sessions[2], (sealed[:, 0].tobytes(), sealed[:, 1].tobytes()))
        check(house, sessions[3], opus_lanes)
        assert answers[3]["total_samples"] == len(opus_lanes[0]) // 2
        assert len(set(opus_lanes[1])) > 100, "it is no silence"
        check(
            house, sessions[4], straight(StreamFormat("OGG", 2, 48_000), SPEECH.read_bytes(), 8000)
        )
        for peer in peers:
            assert peer.record.outcome == "completed"
            lanes = peer.expected_pcm(0), peer.expected_pcm(1)
            check(house, peer.setup.session_id, lanes)

    run(story())


def test_at_16_khz_beside_a_call_of_8_khz(run: Any, house: House, until: Any) -> None:
    wide, narrow = noise(4, 2, 32_007), noise(5).astype(np.uint8).tobytes()
    packets, opus_lanes = spoken(16_000)
    house.change("ingest", rate=16_000)

    async def story() -> None:
        async with house.open():
            stream = house.sender(content_type="audio/L16;rate=16000;channels=2")
            raised = house.sender(content_type="audio/PCMU;rate=8000")
            opus = house.sender(content_type="audio/opus;channels=2", key=PAYLOAD_KEY)
            peer = await house.dial("beside", pace=FAST)
            await asyncio.gather(
                send_stream(stream, pieces(wide.astype(">i2").tobytes(), 6399)),
                send_stream(raised, pieces(narrow, 160)),
                send_stream(opus, pieces(packets, 333)),
            )
            await peer.finished()
            sessions = [each.session_id for each in (stream, raised, opus)]
            sessions.append(peer.setup.session_id)
            await until(lambda: all(house.ear.closed(session) for session in sessions))
        house.check_books()
        check(house, sessions[0], (wide[:, 0].tobytes(), wide[:, 1].tobytes()), 16_000)
        check(house, sessions[1], straight(StreamFormat("PCMU", 1, 8000), narrow, 16_000), 16_000)
        check(house, sessions[2], opus_lanes, 16_000)
        check(house, sessions[3], (peer.expected_pcm(0), peer.expected_pcm(1)))

    run(story())
