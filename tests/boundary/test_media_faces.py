"""The typed faces of the core say the same as the core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from earhook.media.format import BYTES_PER_SAMPLE, Channel, MediaFormat
from earhook.media.gaps import GapReason
from earhook.media.pipeline import Pipeline
from earhook.media.stream import Frame, FrameDecoder, FrameKind, encode_frame

OpensCalls = Callable[..., Pipeline]


JSON_KINDS = set(FrameKind) - {FrameKind.AUDIO, FrameKind.GAP, FrameKind.ACK}


def test_reasons_are_those_that_the_core_knows(open_call: OpensCalls) -> None:
    pipeline = open_call()
    for reason in GapReason:
        pipeline.gap(1, reason)
    assert [gap[2] for gap in pipeline.gaps()] == list(GapReason)
    assert [reason.word for reason in GapReason] == [
        *("paused", "discarded", "overrun", "malformed", "unreported", "missing", "late")
    ]


def test_kinds_are_those_that_the_core_knows() -> None:
    for kind in JSON_KINDS:
        (frame,) = FrameDecoder().feed(encode_frame(kind, 1, b"{}"))
        assert Frame._make(frame).kind == kind


@pytest.mark.parametrize("codec", BYTES_PER_SAMPLE)
@pytest.mark.parametrize("channels", [(0,), (1,), (0, 1), (1, 0)])
def test_a_format_counts_as_the_core_does(
    open_call: OpensCalls, codec: str, channels: tuple[int, ...]
) -> None:
    media = MediaFormat(codec, channels)
    pipeline = open_call(codec=codec, channels=channels)
    payload = bytes(7 * media.bytes_per_group)
    assert pipeline.push(payload) == media.samples_of(len(payload)) == 7
    with pytest.raises(ValueError, match="groups"):
        MediaFormat("L16", channels).samples_of(1)


@pytest.mark.parametrize("codec", ["OPUS", "OGG"])
def test_packets_are_no_frames(open_call: OpensCalls, codec: str) -> None:
    media = MediaFormat(codec, (0, 1), 16_000)
    assert media.samples_in(2.0) == 32_000
    pipeline = open_call(codec=codec, channels=media.channels)
    with pytest.raises(ValueError, match="Intake"):
        pipeline.push(b"")
    for ask in (lambda: media.bytes_per_group, lambda: media.samples_of(2)):
        with pytest.raises(ValueError, match=codec):
            ask()


def test_times_and_samples() -> None:
    media = MediaFormat("PCMU", (0, 1))
    assert media.samples_in(2.0) == 16_000
    assert media.seconds_of(1600) == pytest.approx(0.2)
    assert media.words == ("external", "internal")
    assert MediaFormat("PCMU", (1,)).words == ("internal",)


def test_channels_have_words() -> None:
    assert [Channel.from_word(channel.word) for channel in Channel] == list(Channel)
    with pytest.raises(ValueError, match="'both' is neither"):
        Channel.from_word("both")


@pytest.mark.parametrize(
    ("codec", "channels", "rate"),
    [
        ("MP3", (0,), 8000),
        ("PCMU", (), 8000),
        ("PCMU", (0, 0), 8000),
        ("PCMU", (2,), 8000),
        ("PCMU", (0,), 0),
    ],
)
def test_formats_that_cannot_be_are_refused(
    codec: str, channels: tuple[int, ...], rate: int
) -> None:
    with pytest.raises(ValueError, match=r"codec|channels|rate"):
        MediaFormat(codec, channels, rate)


def test_a_format_is_a_value() -> None:
    media = MediaFormat("PCMU", (0, 1))
    assert media == MediaFormat("PCMU", (0, 1), 8000)
    with pytest.raises(dataclasses.FrozenInstanceError):
        media.codec = "PCMA"  # type: ignore[misc]
