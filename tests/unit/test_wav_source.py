"""WAV files as sources of simulated calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earhook.demo import CARD_NUMBER, speech
from earhook.errors import OperatorError
from earhook.media.g711 import decode_g711, encode_g711
from earhook.media.wav import WavCodec, WavFormat, build_header
from earhook.testing.peer_setup import MediaChoice
from earhook.testing.wav_source import read_wav

SPEECH = (np.sin(np.arange(4000) / 5) * 9000).astype("<i2")


def written(path: Path, codec: WavCodec, audio: bytes, channels: int = 1, rate: int = 8000) -> Path:
    path.write_bytes(build_header(WavFormat(codec, channels, rate), len(audio)) + audio)
    return path


def test_mu_law_at_8_khz_is_taken_as_it_is(tmp_path: Path) -> None:
    codes = bytes(range(256)) * 2
    source = read_wav(written(tmp_path / "a.wav", "PCMU", codes, channels=2))
    assert source.codes == codes
    assert source.channels == (0, 1)
    assert source.length_samples == 256


@pytest.mark.parametrize("codec", ["L16", "PCMA"])
def test_other_codecs_become_mu_law(tmp_path: Path, codec: WavCodec) -> None:
    audio = SPEECH.tobytes() if codec == "L16" else encode_g711(SPEECH.tobytes(), "PCMA")
    pcm = SPEECH.tobytes() if codec == "L16" else decode_g711(audio, "PCMA")
    source = read_wav(written(tmp_path / "a.wav", codec, audio))
    assert source.codes == encode_g711(pcm, "PCMU")
    assert source.channels == (0,)


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100, 48_000])
def test_other_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    turns = np.arange(rate)[:, None] * np.array([400, 1000]) / rate * 2 * np.pi
    audio = (np.sin(turns) * 8000).astype("<i2").tobytes()
    source = read_wav(written(tmp_path / "a.wav", "L16", audio, channels=2, rate=rate))
    assert source.length_samples == pytest.approx(8000, abs=2)
    for channel, hertz in ((0, 400), (1, 1000)):
        lane = np.frombuffer(source.pcm(channel, 0, 7990), "<i2").astype(float)
        spectrum = np.abs(np.fft.rfft(lane, 8000))
        assert int(spectrum.argmax()) == pytest.approx(hertz, abs=1)


def test_stereo_is_customer_left_and_agent_right(tmp_path: Path) -> None:
    lanes = np.stack([SPEECH, -SPEECH], axis=1)
    source = read_wav(written(tmp_path / "a.wav", "L16", lanes.tobytes(), channels=2))
    track = source.track(MediaChoice(channels=(1,)))
    assert track.read(0, 4000) == encode_g711((-SPEECH).tobytes(), "PCMU")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"hello", "ends before"),
        (b"x" * 100, "not a WAV"),
        (build_header(WavFormat("L16", 3), 6) + bytes(6), "3 channels"),
        (build_header(WavFormat("L16", 1), 0), "no audio"),
        (build_header(WavFormat("L16", 1, 800), 2) + bytes(2), "too few"),
    ],
)
def test_what_is_no_source_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperatorError, match=words) as error:
        read_wav(path)
    assert str(path) in str(error.value)


def test_the_shipped_speech_has_two_sides_that_take_turns() -> None:
    source = speech()
    assert source.channels == (0, 1)
    assert source.length_samples == 206_400
    customer, agent = (
        np.abs(np.frombuffer(source.pcm(channel, 0, 206_400), "<i2").astype(int)) > 400
        for channel in (0, 1)
    )
    assert 20_000 < customer.sum() < 100_000
    assert 20_000 < agent.sum() < 100_000
    begin, end = CARD_NUMBER
    assert not agent[begin:end].any(), "nobody else speaks while the card number is read out"
    assert customer[begin:end].sum() > 8_000
