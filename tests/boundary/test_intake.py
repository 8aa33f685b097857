"""Bodies of audio through the wall: what is written, what is refused, and who is told."""

from __future__ import annotations

import gc
import struct
import threading
from collections.abc import Callable
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.errors import EncryptionError, MalformedFrame, PeerError
from earhook.media.feed import Feed
from earhook.media.format import MediaFormat
from earhook.media.g711 import decode_g711
from earhook.media.gaps import Gap, GapReason, gaps_of
from earhook.media.intake import EncryptionKeys, Intake, StreamFormat, open_intake
from earhook.media.pipeline import Budget, Pipeline, open_pipeline
from earhook.testing.payload_key import PayloadKey

ALL = 1 << 30
KEY = PayloadKey(b"a", bytes(range(16)), record_bytes=60)


def opened(
    codec: str = "L16BE", channels: int = 1, wire_rate: int = 8000, rate: int = 8000
) -> tuple[Intake, Pipeline]:
    media = MediaFormat(codec, tuple(range(channels)), rate)
    pipeline = open_pipeline(Budget(1 << 24), media, ring_seconds=30.0)
    return open_intake(pipeline, StreamFormat(codec, channels, wire_rate), media), pipeline


def heard(pipeline: Pipeline) -> bytes:
    """All audio of a call, interleaved; what is lost is left out."""
    feed = Feed()
    feed.attach(1, pipeline)
    channels = 2 if pipeline.levels()[1:] else 1
    feed.detach(1)
    feed.attach(1, pipeline, channels=tuple(range(channels)))
    return b"".join(audio for *_, audio in feed.drain_blocks(ALL))


def swapped(samples: bytes) -> bytes:
    return struct.pack(f"<{len(samples) // 2}h", *struct.unpack(f">{len(samples) // 2}h", samples))


@given(body=st.binary(min_size=4, max_size=400), cuts=st.lists(st.integers(0, 400), max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_body_is_heard_however_it_is_cut(body: bytes, cuts: list[int]) -> None:
    intake, pipeline = opened()
    intake.begin()
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    written = sum(intake.push(body[a:b]) for a, b in pairwise(edges))
    written += intake.end()
    assert written == len(body) // 2 == pipeline.position
    assert heard(pipeline) == swapped(body[: written * 2])
    assert intake.tally()["trailing_bytes"] == len(body) % 2


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_both_laws_and_both_sides(law: str) -> None:
    intake, pipeline = opened(law, channels=2)
    codes = bytes(range(256)) * 4
    intake.begin()
    assert intake.push(memoryview(codes)) == 512
    assert heard(pipeline) == decode_g711(codes, law)


def test_other_rates_take_their_time() -> None:
    intake, pipeline = opened(wire_rate=48_000, rate=16_000)
    intake.begin()
    written = intake.push(bytes(2 * 4800))
    assert written < 1600
    assert intake.position == 1600
    assert pipeline.position == written
    assert intake.finish() == 1600 - written
    assert pipeline.position == intake.position == 1600


def test_what_is_missing_is_a_gap() -> None:
    intake, pipeline = opened(wire_rate=16_000)
    intake.begin()
    intake.push(bytes(3200))
    intake.end()
    before = pipeline.position
    assert before + intake.lose(160) == 800
    assert gaps_of(pipeline) == [Gap(800, 160, GapReason.MISSING)]
    intake.begin()
    intake.push(bytes(3200))
    intake.finish()
    assert pipeline.position == 800 + 160 + 800
    with pytest.raises(ValueError, match="9223372036854775807"):
        intake.lose(2**63)
    with pytest.raises(OverflowError):
        intake.lose(-1)


def test_feeds_are_told() -> None:
    intake, pipeline = opened()
    told: list[str] = []
    feed = Feed(lambda: told.append("ready"))
    feed.attach(1, pipeline)
    feed.drain(ALL)
    intake.begin()
    intake.push(bytes(2))
    assert told == ["ready"]
    feed.drain(ALL)
    intake.lose(1)
    assert told == ["ready", "ready"]


def test_after_the_end_nothing_is_written() -> None:
    intake, pipeline = opened()
    intake.begin()
    pipeline.end()
    assert intake.push(bytes(20)) == 0
    assert intake.end() == 0
    assert intake.lose(5) == 0
    assert pipeline.position == 0


def test_an_intake_does_not_keep_a_call_alive_but_its_ring() -> None:
    budget = Budget(1 << 20)
    pipeline = Pipeline(budget, codec="PCMU", channels=(0,), capacity_samples=1000)
    intake = Intake(pipeline, codec="PCMU", channels=1, wire_rate=8000, rate=8000)
    intake.begin()
    del pipeline
    gc.collect()
    assert intake.push(bytes(20)) == 0
    assert budget.used_bytes == 2000
    del intake
    gc.collect()
    assert budget.used_bytes == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"codec": "MP3"},
        {"codec": "opus"},
        {"channels": 2},
        {"channels": 0},
        {"wire_rate": 8001},
        {"rate": 11_025},
        {"rate": 48_000},
    ],
    ids=str,
)
def test_a_call_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    pipeline = Pipeline(Budget(1 << 20), codec="PCMU", channels=(0,), capacity_samples=10)
    right = {"codec": "PCMU", "channels": 1, "wire_rate": 8000, "rate": 8000}
    with pytest.raises(ValueError, match=r"codec|channels|rate"):
        Intake(pipeline, **(right | wrong))


def test_a_body_begins_first() -> None:
    intake, _ = opened()
    for go_on in (lambda: intake.push(b""), intake.end):
        with pytest.raises(ValueError, match="no body has begun"):
            go_on()


def test_an_encrypted_body_is_heard() -> None:
    intake, pipeline = opened()
    audio = bytes(range(200))
    sealed = KEY.seal(audio)
    intake.begin(EncryptionKeys({KEY.key_id: KEY.key}))
    written = sum(intake.push(sealed[at : at + 7]) for at in range(0, len(sealed), 7))
    assert written + intake.end() == 100
    assert heard(pipeline) == swapped(audio)
    tally = intake.tally()
    assert (tally["records"], tally["refused_records"]) == (5, 0)
    assert tally["encrypted_bytes"] == len(sealed)


def test_what_is_not_authentic_is_refused_until_the_next_body() -> None:
    intake, pipeline = opened()
    keys = EncryptionKeys({KEY.key_id: KEY.key})
    sealed = bytearray(KEY.seal(bytes(200)))
    sealed[-1] ^= 1
    intake.begin(keys)
    assert intake.push(sealed) == 43 * 4 // 2
    for go_on in (intake.end, intake.end):
        with pytest.raises((EncryptionError, ValueError), match=r"record 4|no body"):
            go_on()
    assert pipeline.position == 86
    assert intake.tally()["refused_records"] == 1
    intake.begin(EncryptionKeys({b"b": KEY.key}))
    for _ in range(2):
        with pytest.raises(EncryptionError, match="key that is not configured"):
            intake.push(sealed)
    intake.begin()
    assert intake.push(bytes(2)) == 1


def test_keys_are_never_shown() -> None:
    keys = EncryptionKeys(MappingProxyType({b"id": b"s3cret", b"": b"other"}))
    assert len(keys) == 2
    assert repr(keys) == str(keys) == "EncryptionKeys(2 keys)"
    assert issubclass(EncryptionError, PeerError)
    for wrong in ({b"x" * 256: b"k"}, {b"x": b""}):
        with pytest.raises(ValueError, match="key id"):
            EncryptionKeys(wrong)
    with pytest.raises(TypeError):
        EncryptionKeys({"text": b"k"})  # type: ignore[dict-item]


def test_records_longer_than_configured_are_refused() -> None:
    intake, _ = opened()
    intake.begin(EncryptionKeys({KEY.key_id: KEY.key}, max_record_bytes=59))
    with pytest.raises(EncryptionError, match="at most 59"):
        intake.push(KEY.seal(bytes(20)))


def test_what_is_no_opus_is_given_up_and_suspected() -> None:
    intake, pipeline = opened("OPUS", wire_rate=48_000)
    intake.begin()
    with pytest.raises(MalformedFrame, match="no Opus"):
        intake.push(b"\0\1\3" * 30)
    assert intake.suspicion == "unknown"
    assert intake.tally()["bad_packets"] == 25
    assert gaps_of(pipeline)[0].reason is GapReason.MISSING


def test_threads_may_look_while_one_pushes() -> None:
    intake, pipeline = opened("OPUS", wire_rate=48_000)
    feed = Feed(lambda: None)
    feed.attach(1, pipeline)
    intake.begin()
    looks: list[Callable[[], object]] = [
        intake.tally,
        lambda: intake.position,
        lambda: intake.suspicion,
        lambda: feed.drain(ALL),
    ]
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for one in looks:
                one()

    thread = threading.Thread(target=look)
    thread.start()
    # A packet of silence: SILK, 20 ms, not a byte of content.
    written = sum(intake.push(b"\0\1\x08" * 10) for _ in range(30))
    done.set()
    thread.join()
    assert written + intake.finish() == 300 * 160
