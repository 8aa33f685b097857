"""What a `Content-Type` is taken for; the decoder follows it, so nothing is guessed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.ingest.media_type import Unsupported, read_media_type
from earhook.media.intake import StreamFormat


@pytest.mark.parametrize(
    ("value", "codec", "channels", "wire_rate"),
    [
        ("audio/PCMU", "PCMU", 1, 8000),
        ("Audio/pcmu", "PCMU", 1, 8000),
        ("audio/PCMU;rate=8000;channels=2", "PCMU", 2, 8000),
        ("audio/PCMU; RATE=16000", "PCMU", 1, 16000),
        ('audio/PCMA ; rate="8000" ; channels="1"', "PCMA", 1, 8000),
        ("audio/PCMA;ptime=20;", "PCMA", 1, 8000),
        ("audio/PCMA;;rate=8000", "PCMA", 1, 8000),
        ("audio/L16;rate=44100;channels=2", "L16BE", 2, 44100),
        ('audio/l16; rate="1\\6000"', "L16BE", 1, 16000),
        ("audio/opus", "OPUS", 1, 48000),
        ("audio/opus;rate=16000;channels=2", "OPUS", 2, 48000),
        ("audio/opus; sprop-stereo=1", "OPUS", 2, 48000),
        ("audio/opus; sprop-stereo=1; channels=1", "OPUS", 1, 48000),
        ("audio/ogg;codecs=opus", "OGG", 1, 48000),
        ('audio/ogg; codecs="Opus"; channels=2', "OGG", 2, 48000),
    ],
)
def test_what_registrations_allow_is_read(
    value: str, codec: str, channels: int, wire_rate: int
) -> None:
    assert read_media_type(value) == StreamFormat(codec, channels, wire_rate)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Unsupported.MISSING),
        ("", Unsupported.MALFORMED),
        ("audio", Unsupported.MALFORMED),
        ("audio/", Unsupported.MALFORMED),
        ("audio/PCMU, audio/PCMU", Unsupported.MALFORMED),
        ("audio/PCMU;rate", Unsupported.MALFORMED),
        ("audio/PCMU;rate=", Unsupported.MALFORMED),
        ("audio/PCMU;rate =8000", Unsupported.MALFORMED),
        ("audio/PCMU;rate= 8000", Unsupported.MALFORMED),
        ('audio/PCMU;rate="8000', Unsupported.MALFORMED),
        ("audio/PCMU rate=8000", Unsupported.MALFORMED),
        ("audio/PCMU;rate=8000;rate=8000", Unsupported.MALFORMED),
        ("audio/PCMU;rate=8000;Rate=16000", Unsupported.MALFORMED),
        ("audio/PCMU;é=1", Unsupported.MALFORMED),
        ("audio/basic", Unsupported.TYPE),
        ("audio/wav", Unsupported.TYPE),
        ("application/octet-stream", Unsupported.TYPE),
        ("audio/PCMUx", Unsupported.TYPE),
        ("audio/PCMU;rate=0", Unsupported.RATE),
        ("audio/PCMU;rate=08000", Unsupported.RATE),
        ("audio/PCMU;rate=8001", Unsupported.RATE),
        ("audio/PCMU;rate=8000.0", Unsupported.RATE),
        ("audio/PCMU;rate=99999999999999999999", Unsupported.RATE),
        ("audio/L16", Unsupported.RATE),
        ("audio/L16;channels=1", Unsupported.RATE),
        ("audio/PCMU;channels=0", Unsupported.CHANNELS),
        ("audio/PCMU;channels=3", Unsupported.CHANNELS),
        ("audio/opus;channels=255", Unsupported.CHANNELS),
        ("audio/ogg", Unsupported.CODECS),
        ("audio/ogg;codecs=vorbis", Unsupported.CODECS),
        ('audio/ogg;codecs="opus,vorbis"', Unsupported.CODECS),
        ("audio/ogg;codecs=opus;channels=9", Unsupported.CHANNELS),
    ],
)
def test_everything_else_is_refused_with_a_word(value: str | None, reason: Unsupported) -> None:
    assert read_media_type(value) is reason


@given(st.text(alphabet=' \t;="\\,/audioPCMUrate8', max_size=60))
def test_no_text_raises(value: str) -> None:
    assert isinstance(read_media_type(value), StreamFormat | Unsupported)


@pytest.mark.parametrize("filling", [";  \t ", ";a=1 ", ';a="\\"\\"" ', "; " * 3])
def test_no_text_takes_more_than_one_pass(filling: str) -> None:
    text = "audio/PCMU" + filling * (16_000 // len(filling)) + "\x00"
    began = time.perf_counter()
    assert read_media_type(text) is Unsupported.MALFORMED
    assert time.perf_counter() - began < 1.0
