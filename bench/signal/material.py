"""Sounds of known content: prompts read by a human, tunes, noise, keys, tones of networks.

Prompts and tunes are Debian's `asterisk-core-sounds-en-wav` and `asterisk-moh-opsound-wav`
(CC BY-SA 3.0), 8 kHz. They are fetched with apt into `target/`, and nothing is installed.
"""

from __future__ import annotations

import itertools
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.provenance import ROOT
from earhook.demo import speech as speech_of_the_demo
from earhook.demo.complaint import complaint
from earhook.media.g711 import decode_g711
from earhook.testing.sources import Source

PACKAGES = ("asterisk-core-sounds-en-wav", "asterisk-moh-opsound-wav")
PLACE = ROOT / "target" / "signal-material"
RATE = 8000
BLOCK = RATE // 50
"""20 ms: what is judged."""
LEVEL = 32768 * 10 ** (-20 / 20)
"""All speech is brought to 20 dB below full scale, measured while it sounds."""
NOISES = ("white", "pink", "speech-shaped")
Samples = npt.NDArray[np.float64]
Pcm = npt.NDArray[np.int16]
Truth = npt.NDArray[np.bool_]

LOW_HZ = (697.0, 770.0, 852.0, 941.0)
HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = "123A456B789C*0#D"
TONES: dict[str, tuple[str, tuple[float, ...], float, float]] = {
    "ringback, North America": ("ringback", (440, 480), 2.0, 4.0),
    "ringback, United Kingdom": ("ringback", (400, 450), 0.4, 0.2),
    "ringback, 425 Hz": ("ringback", (425,), 1.0, 4.0),
    "busy, North America": ("busy", (480, 620), 0.5, 0.5),
    "reorder, North America": ("busy", (480, 620), 0.25, 0.25),
    "busy, 425 Hz": ("busy", (425,), 0.5, 0.5),
    "dial tone, North America": ("dial", (350, 440), 30.0, 0.0),
    "dial tone, 425 Hz": ("dial", (425,), 30.0, 0.0),
    "fax calls (1,100 Hz)": ("other", (1100,), 0.5, 3.0),
    "fax answers (2,100 Hz)": ("other", (2100,), 3.0, 1.0),
}
"""Kind, frequencies, seconds on and off."""


def fetch() -> None:
    """Brings the packages, once."""
    if len(list(PLACE.glob("*.deb"))) < len(PACKAGES):
        PLACE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=PLACE, check=True)
    for package in PLACE.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", str(package), str(PLACE / "root")], check=True)


def prompts(part: slice = slice(None)) -> list[Path]:
    """Of 1.5 s and more, without beeps and tones; of these a part, without screaming monkeys."""
    sounds = sorted((PLACE / "root/usr/share/asterisk/sounds").rglob("*.wav"))
    spoken = [
        path
        for path in sounds
        if path.stat().st_size > 3 * RATE
        and path.parent.name != "silence"
        and not any(word in path.name for word in ("tone", "beep"))
    ]
    return [path for path in spoken[part] if path.stem != "tt-monkeys"]


def tunes() -> list[Path]:
    """Music on hold."""
    return sorted((PLACE / "root/usr/share/asterisk/moh").glob("*.wav"))


def read(path: Path) -> Samples:
    """All of a file."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


def machine_voices() -> Samples:
    """What synthetic voices say in the demo, without the customer who presses keys."""

    def lane(source: Source, channel: int) -> Samples:
        return np.frombuffer(decode_g711(source.codes, "PCMU"), "<i2").astype(float)[channel::2]

    talk, angry = speech_of_the_demo(), complaint()
    return np.concatenate([lane(talk, 0), lane(talk, 1), lane(angry, 1)])


def speech(paths: Sequence[Path], seconds: float, seed: int) -> tuple[Samples, Truth]:
    """Prompts with pauses of 0.3 to 2 s between them, and in which blocks somebody speaks.

    That is where the clean prompt is less than 25 dB below its level, and pauses of up to 200 ms
    between two such places.
    """
    randomness = np.random.default_rng(seed)
    sounds: list[Samples] = []
    truths: list[Truth] = []
    for index in randomness.permutation(len(paths)):
        sound = read(paths[index])
        sound = sound[: len(sound) // BLOCK * BLOCK]
        power = np.mean(sound.reshape(-1, BLOCK) ** 2, axis=1) + 1e-9
        level = power[power > power.max() / 1000].mean()
        pause = round(randomness.uniform(0.3, 2.0) * 50)
        sounds += [np.zeros(pause * BLOCK), sound * LEVEL / np.sqrt(level)]
        truths += [np.zeros(pause, bool), bridged(power > level / 10**2.5, 10)]
        if sum(map(len, sounds)) >= seconds * RATE:
            break
    return np.concatenate(sounds), np.concatenate(truths)


def bridged(truth: Truth, blocks: int) -> Truth:
    """Without pauses of so many blocks or fewer."""
    whole = truth.copy()
    spoken = np.flatnonzero(truth)
    for one, two in itertools.pairwise(spoken):
        if two - one <= blocks + 1:
            whole[one:two] = True
    return whole


def noise(kind: str, samples: int, seed: int) -> Samples:
    """Of a power of 1."""
    white = np.random.default_rng(seed).standard_normal(samples)
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    shapes: dict[str, Any] = {
        "white": np.ones_like(hz),
        "pink": 1 / np.sqrt(np.maximum(hz, 20)),
        "speech-shaped": (hz > 80) / (1 + (hz / 500) ** 1.5),
    }
    shaped = np.fft.irfft(np.fft.rfft(white) * shapes[kind], samples)
    return np.asarray(shaped / shaped.std())


def noisy(sound: Samples, kind: str, snr_db: float | None, seed: int = 1) -> Pcm:
    """As it comes off a telephone line; clean is the noise of a quiet room, 80 dB down."""
    amplitude = 3.0 if snr_db is None else LEVEL * 10 ** (-snr_db / 20)
    return telephone(sound + noise(kind, len(sound), seed) * amplitude)


def telephone(sound: Samples) -> Pcm:
    """Through G.711 mu-law and back."""
    clipped = np.clip(np.round(sound), -32635, 32635)
    magnitude = np.abs(clipped).astype(int) + 132
    exponent = np.clip(np.floor(np.log2(magnitude)).astype(int) - 7, 0, 7)
    mantissa = (magnitude >> (exponent + 3)) & 15
    value = ((mantissa * 2 + 33) << (exponent + 2)) - 132
    return np.where(clipped < 0, -value, value).astype(np.int16)


def keys(
    pressed: str,
    *,
    on: float = 0.05,
    off: float = 0.05,
    amplitude: float = 1000.0,
    twist_db: float = 0.0,
    detune: float = 0.0,
    snr_db: float | None = None,
) -> tuple[Pcm, list[float]]:
    """Key presses, and where each begins. Positive twist: the high tone is louder."""
    randomness = np.random.default_rng(1)
    sounds, starts, at = [np.zeros(RATE // 2)], [], 0.5
    time = np.arange(round(on * RATE)) / RATE
    high_amplitude = amplitude * 10 ** (twist_db / 20)
    for key in pressed:
        row, column = divmod(KEYS.index(key), 4)
        low, high = (
            np.sin(2 * np.pi * hz * (1 + detune) * time + randomness.uniform(0, 6.28))
            for hz in (LOW_HZ[row], HIGH_HZ[column])
        )
        pause = np.zeros(round((off + randomness.uniform(0, 0.02)) * RATE))
        starts.append(at)
        sounds += [amplitude * low + high_amplitude * high, pause]
        at += (len(time) + len(pause)) / RATE
    sound = np.concatenate(sounds)
    if snr_db is not None:
        power = (amplitude**2 + high_amplitude**2) / 2
        sound = sound + noise("white", len(sound), 2) * np.sqrt(power) * 10 ** (-snr_db / 20)
    return telephone(sound), starts


def network_tone(name: str, seconds: float, snr_db: float | None = None) -> Pcm:
    """A tone with its cadence."""
    _, frequencies, on, off = TONES[name]
    time = np.arange(round(seconds * RATE)) / RATE
    amplitude = 3000.0
    tone = sum(amplitude * np.sin(2 * np.pi * hz * time) for hz in frequencies)
    sound = tone * (time % (on + off) < on)
    if snr_db is not None:
        power = amplitude**2 * len(frequencies) / 2
        sound = sound + noise("white", len(sound), 3) * np.sqrt(power) * 10 ** (-snr_db / 20)
    return telephone(sound)


def doubled(sound: Pcm) -> Pcm:
    """At 16 kHz."""
    spectrum = np.fft.rfft(sound.astype(float))
    return np.clip(np.round(np.fft.irfft(spectrum * 2, 2 * len(sound))), -32768, 32767).astype(
        "<i2"
    )


def write_fixture(path: Path) -> None:
    """Twelve seconds of prompts with pauses, as little-endian samples."""
    sound, _ = speech(prompts(slice(1, None, 2)), 12, seed=11)
    path.write_bytes(np.round(sound[: 14 * RATE]).astype("<i2").tobytes())
