"""How right the analysis of calls is, beside WebRTC's detector of voices in the same run.

    python -m bench.signal [--quick]     measure, write results/signal.json and the page
    python -m bench.signal --check       whether the page is what the results say
    python -m bench.signal --fixture     write the prompts that the tests of the crate hear

The thresholds of the detector were chosen on every second prompt; voices are measured on the
others, which were not listened to before. Wants apt and cargo.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.provenance import RESULTS, ROOT, machine

from . import material
from .material import BLOCK, NOISES, RATE, Pcm, Samples, Truth
from .page import PAGE, written

RESULT = RESULTS / "signal.json"
EXAMPLE = ROOT / "target" / "release" / "examples" / "listen"
MODES = (1, 2, 3)
SNRS = (None, 20.0, 10.0, 5.0)
ALL_KEYS = material.KEYS * 12
Fact = dict[str, Any]
Detector = Callable[[Pcm], Truth]

KEY_CASES: dict[str, dict[str, float]] = {
    "50 ms, pauses of 50 ms": {},
    "40 ms, pauses of 40 ms": {"on": 0.04, "off": 0.04},
    "100 ms, pauses of 100 ms": {"on": 0.1, "off": 0.1},
    "25 dB weaker": {"amplitude": 56.0},
    "10 dB louder": {"amplitude": 3160.0},
    "high tone 4 dB louder": {"twist_db": 4.0},
    "low tone 8 dB louder": {"twist_db": -8.0},
    "1.5 % high": {"detune": 0.015},
    "1.5 % low": {"detune": -0.015},
    "noise 20 dB below": {"snr_db": 20.0},
    "noise 15 dB below": {"snr_db": 15.0},
    "noise 12 dB below": {"snr_db": 12.0},
    "noise 10 dB below": {"snr_db": 10.0},
    "23 ms: no key": {"on": 0.023},
    "3.5 % high: no key": {"detune": 0.035},
    "3.5 % low: no key": {"detune": -0.035},
}


def main() -> int:
    """Measure or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute of everything")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if the page is old")
    parser.add_argument("--fixture", action="store_true", help="write what the tests hear")
    arguments = parser.parse_args()
    if arguments.check:
        is_fresh = PAGE.read_text() == written(json.loads(RESULT.read_text()))
        print(f"{PAGE.name}: {'as measured' if is_fresh else 'run python -m bench.signal'}")
        return 0 if is_fresh else 1
    material.fetch()
    if arguments.fixture:
        material.write_fixture(ROOT / "rust/earhook-audio/tests/data/prompts.l16")
        return 0
    build = ["cargo", "build", "--quiet", "--release", "-p", "earhook-audio", "--example", "listen"]
    subprocess.run(build, cwd=ROOT, check=True)
    report = measure(60.0 if arguments.quick else 600.0)
    if not arguments.quick:
        RESULT.write_text(json.dumps(report, indent=1) + "\n")
        PAGE.write_text(written(report))
    print(written(report))
    return 0


def measure(seconds: float) -> dict[str, Any]:
    """All tables."""
    detectors = {"earhook": spoken, **{f"WebRTC, mode {mode}": webrtc(mode) for mode in MODES}}
    others = material.prompts(slice(1, None, 2))
    sound, truth = material.speech(others, seconds, seed=7)
    said = np.concatenate([material.read(path) for path in material.prompts()])
    return {
        "machine": machine(),
        "speech_seconds": round(len(sound) / RATE),
        "speech_part": round(float(truth.mean()), 3),
        "voices": list(voices(detectors, sound, truth)),
        "false_alarms": list(false_alarms(detectors)),
        "keys": [{"name": name, **key_case(case)} for name, case in KEY_CASES.items()],
        "tones": list(tones()),
        "tunes": [tune(path.stem, material.read(path)) for path in material.tunes()],
        "talk_off": talk_off(said),
        "talk_off_machine": talk_off(material.machine_voices()),
    }


def voices(
    detectors: dict[str, Detector], sound: Samples, truth: Truth
) -> Iterator[dict[str, Any]]:
    """F1 per block of 20 ms, at each level of each noise."""
    for snr in SNRS:
        for kind in NOISES if snr is not None else ("quiet room",):
            heard = material.noisy(sound, kind if snr is not None else "white", snr)
            scores = {name: f1(detect(heard), truth) for name, detect in detectors.items()}
            if snr is None:
                doubled = facts(material.doubled(heard), 2 * RATE)
                scores["earhook at 16 kHz"] = f1(blocks(doubled, len(truth), 2 * RATE), truth)
            yield {"snr_db": snr, "noise": kind, "f1": scores}


def false_alarms(detectors: dict[str, Detector]) -> Iterator[dict[str, Any]]:
    """The part of sounds without any voice that is taken for one."""
    sounds = {
        f"{kind} noise": material.telephone(material.noise(kind, 60 * RATE, 4) * 1000)
        for kind in NOISES
    }
    sounds["keys, 50 ms"] = material.keys(ALL_KEYS)[0]
    sounds["keys, 100 ms"] = material.keys(ALL_KEYS, on=0.1, off=0.1)[0]
    sounds |= {name: material.network_tone(name, 60) for name in material.TONES}
    sounds |= {
        f"music: {path.stem}": material.telephone(material.read(path)) for path in material.tunes()
    }
    for name, sound in sounds.items():
        parts = {who: round(float(detect(sound).mean()), 3) for who, detect in detectors.items()}
        yield {"name": name, "taken_for_speech": parts}


def key_case(case: dict[str, float]) -> dict[str, int]:
    """Keys that were heard where they were pressed, and keys that were not pressed."""
    sound, starts = material.keys(ALL_KEYS, **case)
    heard = [fact for fact in facts(sound) if fact["fact"] == "dtmf"]
    length = case.get("on", 0.05)
    right = set()
    for fact in heard:
        middle = (fact["start"] + fact["end"]) / 2 / RATE
        for place, start in enumerate(starts):
            if start <= middle <= start + length and fact["digit"] == ALL_KEYS[place]:
                right.add(place)
    return {"pressed": len(ALL_KEYS), "right": len(right), "wrong": len(heard) - len(right)}


def tones() -> Iterator[dict[str, Any]]:
    """Tones of networks by what they were taken for: seconds of each kind in a minute."""
    for name, (kind, _, on, off) in material.TONES.items():
        for snr in (None, 15.0):
            sound = material.network_tone(name, 60, snr)
            heard = [fact for fact in facts(sound) if fact["fact"] == "tone"]
            right = [fact for fact in heard if fact["kind"] == kind]
            bursts = 1 if off == 0 else math.ceil(round(60 / (on + off), 3))
            row = {"bursts": bursts, "right": len(right), "wrong": len(heard) - len(right)}
            yield {"name": name, "kind": kind, "snr_db": snr, **row}


def tune(name: str, sound: Samples) -> dict[str, Any]:
    """What a tune was taken for, in parts of its length."""
    heard = facts(material.telephone(sound))
    return {
        "name": name,
        "seconds": round(len(sound) / RATE),
        **{kind: round(covered(heard, kind) / len(sound), 3) for kind in ("music", "speech")},
        "keys": sum(fact["fact"] == "dtmf" for fact in heard),
    }


def talk_off(said: Samples) -> dict[str, Any]:
    """Keys, tones and music in speech, at three levels."""
    counts = dict.fromkeys(("dtmf", "tone", "music"), 0)
    for gain in (0.25, 1.0, 3.0):
        for fact in facts(material.telephone(said * gain)):
            if fact["fact"] in counts:
                counts[fact["fact"]] += 1
    return {"hours": round(3 * len(said) / RATE / 3600, 2), **counts}


def facts(sound: Pcm, rate: int = RATE) -> list[Fact]:
    """What the analysis says of one channel."""
    command = [str(EXAMPLE), str(rate), "1"]
    said = subprocess.run(
        command, input=sound.astype("<i2").tobytes(), capture_output=True, check=True
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


def spoken(sound: Pcm) -> Truth:
    """The blocks that lie in talk spans."""
    return blocks(facts(sound), len(sound) // BLOCK, RATE)


def blocks(said: list[Fact], count: int, rate: int) -> Truth:
    """Talk spans as blocks."""
    spoken = np.zeros(count, bool)
    for fact in said:
        if fact["fact"] == "speech":
            spoken[fact["start"] * 50 // rate : fact["end"] * 50 // rate] = True
    return spoken


def webrtc(mode: int) -> Detector:
    """WebRTC's detector; pauses of up to 400 ms bridged, as the talk spans are."""

    def detect(sound: Pcm) -> Truth:
        import webrtcvad

        detector = webrtcvad.Vad(mode)
        octets = sound.astype("<i2").tobytes()
        whole = range(0, len(octets) - 2 * BLOCK + 1, 2 * BLOCK)
        said = [detector.is_speech(octets[at : at + 2 * BLOCK], RATE) for at in whole]
        return material.bridged(np.array(said), 19)

    return detect


def covered(said: list[Fact], kind: str) -> int:
    """Samples in facts of a kind."""
    return sum(fact["end"] - fact["start"] for fact in said if fact["fact"] == kind)


def f1(found: Truth, truth: Truth) -> float:
    """The harmonic mean of precision and recall."""
    both = min(len(found), len(truth))
    found, truth = found[:both], truth[:both]
    return round(float(2 * (found & truth).sum() / max(1, found.sum() + truth.sum())), 3)


if __name__ == "__main__":
    sys.exit(main())
