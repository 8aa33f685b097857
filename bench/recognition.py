"""How much of telephone speech the embedded recogniser gets right, and what that costs.

    just bench-recognition            # writes bench/results/recognition.json and the page's table

Through G.711 at 8 kHz and the engine as `earhook analyze` runs it, utterances and all: prompts
spoken by a person (Debian's `asterisk-core-sounds-en-wav`, fetched with `apt-get download`), and
sentences of a contact centre spoken by the voices of flite. Each speaker is one call. Words are
compared without case and punctuation.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import io
import json
import random
import re
import subprocess
import time
import wave
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import soxr

from bench.provenance import RESULTS, ROOT, in_short, machine
from earhook.analytics.engine import EngineOptions, Line
from earhook.analytics.engines.pocketsphinx import make_engine
from earhook.analytics.segment import Segment
from earhook.client import Call
from earhook.media.g711 import decode_g711, encode_g711

RATE = 8000
CACHE = ROOT / ".cache" / "prompts"
PACKAGES = ("asterisk-core-sounds-en", "asterisk-core-sounds-en-wav")
RESULT = RESULTS / "recognition.json"
PAGE = ROOT / "docs" / "concepts" / "recognition.md"
MARKS = ("<!-- figures -->\n", "<!-- end of figures -->")
VOICES = ("rms", "slt", "awb", "kal16")
SENTENCES = (
    "Thank you for calling, this call may be recorded for quality.",
    "May I have your account number please?",
    "I have been waiting for more than an hour.",
    "I want to speak to a manager right now.",
    "There is a problem with my last bill.",
    "I would like to cancel my contract.",
    "Let me check that for you, one moment please.",
    "Is there anything else I can help you with today?",
)
Samples = npt.NDArray[np.int16]


class Utterance(NamedTuple):
    text: str
    samples: Samples


class Score(NamedTuple):
    """Errors, words and seconds of one kind of speech."""

    errors: int
    words: int
    audio_seconds: float
    cpu_seconds: float

    def as_json(self, name: str) -> dict[str, Any]:
        return {
            "speech": name,
            "words": self.words,
            "seconds": round(self.audio_seconds, 1),
            "word_error_rate": round(self.errors / self.words, 3),
            "real_time_factor": round(self.cpu_seconds / self.audio_seconds, 3),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=25, help="how many of the person's prompts")
    parser.add_argument("--page", action="store_true", help="write the table only")
    asked = parser.parse_args()
    if not asked.page:
        measure(asked.prompts)
    report = json.loads(RESULT.read_text())
    PAGE.write_text(with_table(PAGE.read_text(), report))


def measure(prompts: int) -> None:
    where, rows = machine(), []
    kinds = {"a person, prompts": spoken_by_a_person(prompts)}
    kinds |= {f"flite, voice {voice}": spoken_by_flite(voice) for voice in VOICES}
    for name, utterances in kinds.items():
        rows.append(asyncio.run(score(list(utterances))).as_json(name))
        print(json.dumps(rows[-1]), flush=True)
    RESULT.write_text(json.dumps({"machine": where, "rows": rows}, indent=1) + "\n")


async def score(utterances: list[Utterance]) -> Score:
    """Everything one speaker says, as one call."""
    pause = np.zeros(RATE, np.int16)
    pieces = [pause, *(part for one in utterances for part in (telephone(one.samples), pause))]
    line = np.concatenate(pieces)
    began = time.process_time()
    heard = await recognise(line)
    cpu_seconds = time.process_time() - began
    meant = [word for one in utterances for word in words(one.text)]
    said = [word for segment in heard for word in words(segment.text)]
    speech = sum(len(one.samples) for one in utterances) / RATE
    return Score(distance(meant, said), len(meant), speech, cpu_seconds)


async def recognise(line: Samples) -> list[Segment]:
    """The final segments of a line, pushed in frames of 200 ms."""
    engine = make_engine(EngineOptions(interim=False))
    call = cast("Call", None)  # this engine looks at the line only
    recogniser = await engine.open(Line(call, "external", RATE))
    for position in range(0, len(line), 1600):
        await recogniser.push(line[position : position + 1600], position)
    await recogniser.finish()
    segments = [segment async for segment in recogniser.segments()]
    await recogniser.close()
    return segments


def telephone(samples: Samples) -> Samples:
    """Through G.711."""
    codes = encode_g711(samples.astype("<i2").tobytes(), "PCMU")
    return np.frombuffer(decode_g711(codes, "PCMU"), "<i2")


def spoken_by_a_person(count: int) -> Iterator[Utterance]:
    """Prompts of five words or more, without digits; the same ones every time."""
    fetch()
    texts = {}
    (listing,) = CACHE.rglob("core-sounds-en.txt.gz")
    for entry in gzip.decompress(listing.read_bytes()).decode().splitlines():
        name, _, text = entry.partition(":")
        if len(words(text)) >= 5 and not re.search(r"[\[\d]", text):
            texts[name.strip()] = text
    folder = next(CACHE.rglob("agent-pass.wav")).parent
    there = sorted(name for name in texts if (folder / f"{name}.wav").exists())
    for name in random.Random(1).sample(there, count):
        with wave.open(str(folder / f"{name}.wav")) as file:
            assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
            pcm = file.readframes(file.getnframes())
        yield Utterance(texts[name], np.frombuffer(pcm, "<i2"))


def fetch() -> None:
    if any(CACHE.rglob("agent-pass.wav")):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=CACHE, check=True)
    for package in CACHE.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, CACHE], check=True)


def spoken_by_flite(voice: str) -> Iterator[Utterance]:
    for text in SENTENCES:
        command = ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"]
        finished = subprocess.run(command, capture_output=True, check=True)
        with wave.open(io.BytesIO(finished.stdout)) as file:
            rate = file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        yield Utterance(text, soxr.resample(pcm, rate, RATE).astype(np.int16))


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]+", " ", text.lower()).split()


def distance(meant: list[str], said: list[str]) -> int:
    """Words to put in, take out or exchange."""
    row = list(range(len(said) + 1))
    for above, word in enumerate(meant, 1):
        diagonal, row[0] = row[0], above
        for place, other in enumerate(said, 1):
            changed = diagonal + (word != other)
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, changed)
    return row[-1]


def with_table(page: str, report: dict[str, Any]) -> str:
    """The page with the report's figures between its marks."""
    head, _, rest = page.partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    lines = [
        "| speech | words | seconds | word error rate | CPU per second of speech |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {row['speech']} | {row['words']} | {row['seconds']:.0f} | "
            f"{row['word_error_rate']:.2f} | {row['real_time_factor']:.2f} s |"
            for row in report["rows"]
        ),
        "",
        f"*{in_short(report['machine'])}*",
    ]
    return head + MARKS[0] + "\n" + "\n".join(lines) + "\n\n" + MARKS[1] + tail


if __name__ == "__main__":
    main()
