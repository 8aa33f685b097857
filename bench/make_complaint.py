"""Makes the call of `earhook demo --analyze`: a customer who has called twice before (left), and
an agent who forgets what agents must say (right). 8 kHz, mu-law; what is said, and when, as JSON.

Not part of the build: the results lie in the package. Needs flite 2.2 and sox 14.4 (Debian:
`apt-get install flite sox`), and gives the same bytes every time.

    python -m bench.make_complaint [DIRECTORY]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

PACKAGE: Final = Path(__file__).parent.parent / "python" / "earhook" / "demo"
RATE: Final = 8000
FRAME: Final = 1600
FADE_SAMPLES: Final = 240
NOISE_RMS: Final = 10.0
"""Of each side: no line is quite silent."""
KEYS: Final = {"1": (697, 1209), "4": (770, 1209), "7": (852, 1209)}
KEY_SECONDS, KEY_PAUSE_SECONDS, KEY_PEAK = 0.12, 0.13, 4_000

VOICES: Final = {
    "customer": (("-voice", "rms"), ()),
    # Somewhat slower and lower than it speaks by itself: recognisers understand it better.
    "agent": (("-voice", "slt", "--setf", "duration_stretch=1.1"), ("pitch", "-300")),
}


@dataclass(frozen=True)
class Turn:
    """`pause` seconds after the turn before ended (less than nothing: they overlap), somebody
    says `text`, or presses `keys`. `cut` seconds of its end are never said."""

    speaker: str
    pause: float
    text: str = ""
    keys: str = ""
    cut: float = 0.0


DIALOGUE: Final = (
    Turn("agent", 0.5, "Thank you for calling Northwind Power. My name is Alice. "
         "How can I help you?"),
    Turn("customer", 0.4, "Hello. Good morning."),
    Turn("customer", 0.9, "This is the third time I am calling. My power bill is wrong again."),
    Turn("agent", 0.4, "I am sorry to hear that. Please enter your account number."),
    Turn("customer", 0.7, keys="4711"),
    Turn("agent", 0.6, "One moment please. Let me have a look at your account."),
    Turn("agent", 6.2, "I have your account here, and there is nothing that I can do. "
         "The bill is correct.", cut=0.5),
    Turn("customer", -0.8, "No, it is not correct. This is unbelievable. I have been waiting for "
         "three weeks, and nobody ever called me back."),
    Turn("agent", -0.9, "You need to calm down."),
    Turn("customer", 0.3, "I want to speak to a manager. This is the worst service I have ever "
         "had. I want to cancel my account."),
    Turn("agent", 1.0, "I understand, but you still have to pay the bill today."),
    # Silence before and after: a slow recogniser has caught up when the question comes, and has
    # understood it when the number does.
    Turn("agent", 4.5, "What is your card number?"),
    Turn("customer", 0.8, "Hold on."),
    Turn("customer", 8.2, "Four one one one. One one one one. One one one one. One one one one."),
    Turn("agent", 3.5, "Okay. I have taken the payment. Goodbye."),
    Turn("customer", 0.8, "My lawyer will call you."),
)  # fmt: skip

Samples = npt.NDArray[np.int16]


def main() -> None:
    """Write `complaint.wav` and `complaint.json`."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE
    lanes: dict[str, list[tuple[int, Samples]]] = {"customer": [], "agent": []}
    turns: list[dict[str, object]] = []
    end = 0
    for turn in DIALOGUE:
        samples = _pressed(turn.keys) if turn.keys else _said(turn)
        begin = end + round(turn.pause * RATE)
        end = begin + len(samples)
        lanes[turn.speaker].append((begin, samples))
        what = {"keys": turn.keys} if turn.keys else {"text": turn.text}
        turns.append({"speaker": turn.speaker, "start": begin, "end": end, **what})
        print(f"{begin / RATE:7.2f} {end / RATE:7.2f}  {turn.speaker:<8} {turn.keys}{turn.text}")
    length = -(-(end + RATE) // FRAME) * FRAME
    noise = np.random.default_rng(711).normal(0.0, NOISE_RMS, (length, 2)).astype(np.int16)
    sides = [
        _laid_out(lanes[speaker], noise[:, side])
        for side, speaker in enumerate(("customer", "agent"))
    ]
    _write(np.stack(sides, axis=1), directory / "complaint.wav")
    rows = ",\n    ".join(json.dumps(turn) for turn in turns)
    text = f'{{\n  "rate": {RATE},\n  "samples": {length},\n  "turns": [\n    {rows}\n  ]\n}}\n'
    (directory / "complaint.json").write_text(text, encoding="utf-8")


def _said(turn: Turn) -> Samples:
    """Speech in the band of a telephone, its silence before and after taken off."""
    voice, effects = VOICES[turn.speaker]
    trim = ("silence", "1", "0.01", "0.1%", "reverse")
    with tempfile.TemporaryDirectory() as work:
        raw, narrow = f"{work}/raw.wav", f"{work}/narrow.wav"
        subprocess.run(["flite", *voice, "-t", turn.text, raw], check=True)
        subprocess.run(
            ["sox", "-R", "-D", raw, "-r", str(RATE), "-b", "16", narrow, *effects, *trim, *trim,
             "pad", "0.04", "0.06", "sinc", "200-3600", "norm", "-6"], check=True,
        )  # fmt: skip
        with wave.open(narrow) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").copy()
    if turn.cut:
        samples = samples[: len(samples) - round(turn.cut * RATE)]
        samples[-FADE_SAMPLES:] = samples[-FADE_SAMPLES:] * np.linspace(1, 0, FADE_SAMPLES)
    return samples


def _pressed(keys: str) -> Samples:
    """Keys of a telephone (ITU-T Q.23)."""
    time = np.arange(round(KEY_SECONDS * RATE)) / RATE
    pause = np.zeros(round(KEY_PAUSE_SECONDS * RATE))
    parts: list[npt.NDArray[np.float64]] = []
    for key in keys:
        low, high = KEYS[key]
        tone = np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time)
        parts += [tone * KEY_PEAK / 2, pause]
    return np.concatenate(parts[:-1]).astype(np.int16)


def _laid_out(turns: list[tuple[int, Samples]], lane: Samples) -> Samples:
    for begin, samples in turns:
        lane[begin : begin + len(samples)] += samples
    return lane


def _write(frames: Samples, path: Path) -> None:
    command = ["sox", "-R", "-D", "-t", "raw", "-r", str(RATE), "-e", "signed", "-b", "16",
               "-c", "2", "-", "-e", "mu-law", "-b", "8", str(path)]  # fmt: skip
    subprocess.run(command, input=frames.astype("<i2").tobytes(), check=True)


if __name__ == "__main__":
    main()
