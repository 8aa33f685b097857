"""Calls over real connections: what a sender sends is what a sink gets, sample for sample."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme

from earhook.clock import SystemClock
from earhook.edge.arrival import EdgeRules
from earhook.edge.settings import ConnectionLimits, TlsSettings
from earhook.edge.tls import ServerCertificate
from earhook.ingest.server import IngestServer
from earhook.ingest.settings import IngestSettings
from earhook.media.g711 import decode_g711, encode_g711
from earhook.media.intake import EncryptionKeys
from earhook.testing.http_sender import HttpSender
from earhook.testing.payload_key import PayloadKey

from .asking import PATH, House

KEY = PayloadKey(b"2026-01", bytes(range(32)))


@asynccontextmanager
async def served(
    house: House, certificate: ServerCertificate | None = None
) -> AsyncIterator[tuple[IngestServer, str]]:
    rules = EdgeRules(ConnectionLimits())
    server = IngestServer(house.settings, rules, house.door.answer, certificate=certificate)
    await server.start()
    scheme = "http" if certificate is None else "https"
    try:
        yield server, f"{scheme}://localhost:{server.port}{PATH}"
    finally:
        house.calls.disconnect()
        await server.stop()


def house(**settings: Any) -> House:
    return House(IngestSettings(plaintext=True, host="127.0.0.1", port=0, **settings))


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray[Any, np.dtype[np.int16]]:
    times = np.arange(round(seconds * rate)) / rate
    return (12_000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
@pytest.mark.parametrize("way", ["blocks", "stream"])
@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_a_stereo_call_in_either_law(run: Any, law: str, way: str, sealed: bool) -> None:
    async def story() -> None:
        place = house()
        place.keys = EncryptionKeys({KEY.key_id: KEY.key})
        codes = random.Random(law).randbytes(2 * 8000)
        pieces = [codes[at : at + 641] for at in range(0, len(codes), 641)]
        async with served(place) as (_, url):
            kind = f"audio/{law};rate=8000;channels=2"
            key = KEY if sealed else None
            async with HttpSender(url=url, content_type=kind, key=key) as sender:
                if way == "stream":
                    reply = await sender.stream(pieces)
                else:
                    whole = [codes[at : at + 640] for at in range(0, len(codes), 640)]
                    for piece in whole:
                        reply = await sender.block(piece, end=piece is whole[-1])
                assert reply.status == 200
                assert reply.json()["ended"] is True
                assert reply.json()["total_samples"] == 8000
        lanes = np.frombuffer(decode_g711(codes, law), np.int16)
        assert bytes(place.call.audio) == lanes.tobytes()
        assert place.call.gaps == []
        place.assert_balanced()

    run(story())


@pytest.mark.parametrize("rate", [8000, 16000])
def test_linear_audio_of_any_rate_comes_out_at_ours(run: Any, rate: int) -> None:
    async def story() -> None:
        for wire_rate in (8000, 16000, 44100, 48000):
            place = house(rate=rate)
            wave = tone(0.5, wire_rate).astype(">i2").tobytes()
            async with served(place) as (_, url):
                kind = f"audio/L16;rate={wire_rate}"
                async with HttpSender(url=url, content_type=kind) as sender:
                    step = wire_rate // 25
                    replies = [
                        await sender.block(wave[at : at + step]) for at in range(0, len(wave), step)
                    ]
                    replies.append(await sender.end())
            heard = np.frombuffer(place.call.channel(0), np.int16)
            assert len(heard) == rate // 2
            assert sum(reply.json()["accepted_samples"] for reply in replies) == rate // 2
            assert replies[-1].json()["position"] == rate // 2
            if wire_rate == rate:
                assert heard.tobytes() == tone(0.5, rate).tobytes()
            else:
                inner = slice(rate // 20, -rate // 20)
                error = heard[inner].astype(float) - tone(0.5, rate)[inner]
                noise_db = 20 * np.log10(12_000 / np.sqrt(2) / np.sqrt((error**2).mean()))
                assert noise_db > 60
            place.assert_balanced()

    run(story())


def test_lost_and_repeated_blocks_with_positions_in_the_senders_clock(run: Any) -> None:
    async def story() -> None:
        place = house(rate=16000)
        wave = tone(1.0, 48000).astype(">i2").tobytes()
        blocks = [wave[at : at + 9600] for at in range(0, len(wave), 9600)]
        async with served(place) as (_, url):
            async with HttpSender(url=url, content_type="audio/L16;rate=48000") as sender:
                for number in (0, 1, 1, 4, 3, 5, 9):
                    position = str(number * 4800)
                    reply = await sender.block(
                        blocks[number], sequence=number, earhook_position=position
                    )
                    assert reply.status == 200
                assert (await sender.end()).json()["position"] == 16000
        heard = [(gap.position, gap.samples, gap.reason.word) for gap in place.call.gaps]
        assert heard == [(3200, 3200, "missing"), (9600, 4800, "missing")]
        assert len(place.call.channel(0)) == 2 * (16000 - 8000)
        assert place.hub.snapshot().samples_dropped == {"late": 1600}
        place.assert_balanced()

    run(story())


def test_a_tampered_block_is_never_heard_and_can_be_sent_again(run: Any) -> None:
    async def story() -> None:
        place = house()
        place.keys = EncryptionKeys({KEY.key_id: KEY.key})
        codes = encode_g711(tone(0.1, 8000).tobytes(), "PCMU")
        async with served(place) as (server, url):
            async with HttpSender(url=url, headers={"Content-Encoding": "aes128gcm"}) as sender:
                good = KEY.seal(codes)
                for at in (0, 20, len(good) // 2, len(good) - 1):
                    bad = bytearray(good)
                    bad[at] ^= 1
                    if at == len(good) // 2:
                        continue
                    reply = await sender.block(bytes(bad[:378]), sequence=0)
                    assert (reply.status, reply.json()["error"]) == (400, "encryption")
                    assert reply.json()["accepted_samples"] == 0
                for bad_body in (b"", good[:30], codes, PayloadKey(b"other", KEY.key).seal(codes)):
                    reply = await sender.block(bad_body or b"\0", sequence=0)
                    assert reply.json()["error"] == "encryption"
                assert place.call.audio == b""
                assert (await sender.block(good, sequence=0, end=True)).status == 200
            assert server.tally.faults == 0
        assert place.call.channel(0) == decode_g711(codes, "PCMU")
        place.assert_balanced()

    run(story())


def test_what_is_not_encrypted_is_refused_where_it_must_be(run: Any) -> None:
    async def story() -> None:
        place = house(encryption="required")
        place.keys = EncryptionKeys({KEY.key_id: KEY.key})
        async with served(place) as (_, url), HttpSender(url=url) as sender:
            reply = await sender.block(b"\xff" * 160)
            assert reply.status == 415
            assert reply.headers["accept-encoding"] == "aes128gcm"
            sender.key = KEY
            assert (await sender.block(b"\xff" * 160, sequence=0)).status == 200
            sender.key = None
            assert (await sender.block(b"\xff" * 160, sequence=1)).status == 415

    run(story())


def test_a_tampered_stream_ends_and_nothing_of_the_record_is_heard(run: Any, until: Any) -> None:
    async def story() -> None:
        place = house()
        place.keys = EncryptionKeys({KEY.key_id: KEY.key})
        codes = encode_g711(tone(0.36, 8000).tobytes(), "PCMU")
        sealed = bytearray(KEY.seal(codes))
        sealed[-1] ^= 1
        async with served(place) as (_, url):
            async with HttpSender(url=url, headers={"Content-Encoding": "aes128gcm"}) as sender:
                reply = await sender.stream([bytes(sealed)])
            assert (reply.status, reply.json()["error"]) == (400, "encryption")
            heard = decode_g711(codes[: len(codes) // 360 * 360], "PCMU")
            assert heard.startswith(place.call.channel(0))
            assert reply.json()["accepted_samples"] == len(place.call.channel(0)) // 2
            place.clock.advance(31.0)
            place.calls.sweep()
            assert place.hub.snapshot().closed_calls == {"violation": 1}

    run(story())


def test_what_plainly_is_something_else_is_told_once(run: Any) -> None:
    async def story() -> None:
        place = house()
        async with served(place) as (_, url), HttpSender(url=url) as sender:
            for _ in range(3):
                reply = await sender.block(b"RIFF\0\0\0\0WAVEfmt " + bytes(8000))
                assert reply.status == 200
            (live,) = place.hub.snapshot().live
            assert live.suspicion == "audio/wav"
        suspects = [event for event in place.call.events if event.kind == "format_suspect"]
        assert [event.details for event in suspects] == [
            {"declared": "PCMU", "likely": "audio/wav"}
        ]
        assert place.calls.tally.suspects == {"audio/wav": 1}

    run(story())


def test_a_broken_connection_is_resumed_on_another(run: Any, until: Any) -> None:
    async def story() -> None:
        place = house()
        codes = random.Random(5).randbytes(3200)
        async with served(place) as (_, url), HttpSender(url=url) as sender:
            async with sender.streaming() as stream:
                await stream.send(codes[:1600])
                await until(lambda: place.hub.live_calls and place.call.position == 1600)
            await sender.connect()
            await until(lambda: place.calls.tally.streams_cut == 1)
            reply = await sender.stream([codes[1600:]], earhook_position="2000")
            assert reply.json()["gap_samples"] == 400
            assert reply.json()["total_samples"] == 3200
        assert place.call.channel(0) == decode_g711(codes, "PCMU")
        place.assert_balanced()

    run(story())


def test_a_call_may_change_its_token_on_the_connection(run: Any) -> None:
    async def story() -> None:
        place = house()
        async with served(place) as (server, url), HttpSender(url=url) as sender:
            for number in range(4):
                sender.token = "bad" if number == 2 else "good"
                reply = await sender.block(b"\xff" * 160)
                assert reply.status == (401 if number == 2 else 200)
            assert server.tally.accepted == 1
            assert reply.json()["gap_samples"] == 160, "the refused block's number was used up"

    run(story())


def test_the_same_over_tls(run: Any, certificate_authority: trustme.CA, tmp_path: Path) -> None:
    async def story() -> None:
        issued = certificate_authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(tmp_path / "key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
        tls = TlsSettings(certificate=tmp_path / "certificate", private_key=tmp_path / "key")
        trust = ssl.create_default_context()
        certificate_authority.configure_trust(trust)
        place = house()
        certificate = ServerCertificate(tls, place.clock)
        async with served(place, certificate) as (_, url):
            async with HttpSender(url=url, tls=trust) as sender:
                for reply in (await sender.check(), await sender.block(b"\x80" * 160, end=True)):
                    assert reply.status == 200
                    assert "strict-transport-security" in reply.headers
        assert place.call.position == 160

    run(story())


def test_the_gateway_stops_while_calls_are_sent(run: Any) -> None:
    async def story() -> None:
        place = house()
        async with served(place) as (_, url):
            sender = HttpSender(url=url)
            await sender.connect()
            async with sender.streaming() as stream:
                await stream.send(b"\xff" * 160)
            other = HttpSender(url=url)
            await other.connect()
            await other.block(b"\xff" * 160)
        place.assert_balanced()
        sender.connection.abort()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await other.block(b"\xff" * 160)
        await other.close()

    run(story())


def test_a_sender_that_is_held_back_is_no_socket_that_waits_for_us(run: Any, until: Any) -> None:
    """A file at full speed fills every buffer on the way; nobody's consumer is to blame for it."""

    async def story() -> None:
        place = house()
        place.calls.clock = SystemClock()
        hours = bytes([0, 1, 11 << 3]) * 300_000  # 60 ms in three bytes
        async with (
            served(place) as (server, url),
            HttpSender(url=url, content_type="audio/opus") as sender,
        ):
            sending = asyncio.create_task(sender.stream([hours]))
            await until(lambda: server.snapshot().read_pauses and place.call.position > 80_000)
            assert server.snapshot().read_pause_max_seconds < 0.25
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    run(story())
