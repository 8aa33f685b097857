"""The embedded recogniser on the demo's call: words where they were said."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earhook.analytics.engine import EngineOptions
from earhook.analytics.segment import Segment
from earhook.demo.complaint import Turn, complaint, complaint_turns
from earhook.errors import ConfigurationError, EngineFailed
from earhook.media.g711 import decode_g711

from .lines import RATE, Ear, noise

pytest.importorskip("pocketsphinx", reason="it is not installed")

CHANNEL = {"customer": 0, "agent": 1}


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+", text.lower()))


@pytest.fixture(scope="module")
def turn() -> tuple[Turn, np.ndarray[Any, Any]]:
    """A sentence of the customer's, and how it sounds."""
    spoken = [one for one in complaint_turns() if one.speaker == "customer" and one.text]
    said = min(spoken, key=lambda one: (len(one.text.split()) < 4, one.end - one.start))
    codes = complaint().codes
    pcm = np.frombuffer(decode_g711(codes, "PCMU"), "<i2").reshape(-1, 2)
    return said, np.ascontiguousarray(pcm[said.start : said.end, CHANNEL[said.speaker]])


async def hear(samples: np.ndarray[Any, Any]) -> list[Segment]:
    from earhook.analytics.engines.pocketsphinx import make_engine

    ear = await Ear(make_engine(EngineOptions())).open()
    await ear.push(samples)
    await ear.finish()
    return ear.heard


def test_words_are_heard_where_they_were_said(
    run: Any, turn: tuple[Turn, np.ndarray[Any, Any]]
) -> None:
    said, speech = turn
    line = np.concatenate([noise(1.0), speech, noise(1.0)])
    heard = run(hear(line))
    finals = [segment for segment in heard if segment.is_final]
    text = " ".join(segment.text for segment in finals)
    assert len(words(text) & words(said.text)) >= len(words(said.text)) / 2, text
    assert finals[0].start == pytest.approx(RATE, abs=0.4 * RATE)
    assert finals[-1].end == pytest.approx(len(line) - RATE, abs=0.4 * RATE)
    for segment in finals:
        assert segment.text == " ".join(word.text for word in segment.words)
        assert 0.0 < (segment.confidence or 0.0) <= 1.0
        ends = [
            RATE // 2,
            *(position for word in segment.words for position in (word.start, word.end)),
        ]
        assert ends == sorted(ends)
    interim = {segment.id for segment in heard if not segment.is_final}
    assert interim <= {segment.id for segment in finals}


def test_a_gap_ends_what_was_said(run: Any, turn: tuple[Turn, np.ndarray[Any, Any]]) -> None:
    from earhook.analytics.engines.pocketsphinx import make_engine

    _, speech = turn

    async def story() -> list[Segment]:
        ear = await Ear(make_engine(EngineOptions(interim=False, extra={"decoders": "1"}))).open()
        await ear.push(speech[: len(speech) // 2])
        await ear.skip(60.0)
        behind = ear.position
        await ear.push(speech[len(speech) // 2 :])
        finals = await ear.finish()
        assert all(one.end <= len(speech) // 2 or one.start >= behind for one in finals)
        return finals

    assert len(run(story())) >= 2


def test_one_decoder_serves_both_channels_in_turn(
    run: Any, turn: tuple[Turn, np.ndarray[Any, Any]]
) -> None:
    """Who has none waits; what it costs is time, never words."""
    from earhook.analytics.engines.pocketsphinx import make_engine

    _, speech = turn
    line = np.concatenate([noise(0.4), speech, noise(0.8)])

    async def story() -> None:
        engine = make_engine(EngineOptions(interim=False, extra={"decoders": "1"}))
        one, other = await Ear(engine).open(), await Ear(engine).open()
        await asyncio.gather(one.push(line), other.push(line))
        assert [segment.text for segment in await one.finish()]
        assert [segment.text for segment in await other.finish()]

    run(story())


def test_a_call_in_another_language_is_left_alone(run: Any) -> None:
    from earhook.analytics.engines.pocketsphinx import make_engine

    async def story() -> None:
        engine = make_engine(EngineOptions())
        with pytest.raises(EngineFailed, match="es-US") as refusal:
            await Ear(engine, "es-US").open()
        assert refusal.value.is_hopeless
        await (await Ear(engine, "en-GB").open()).close()

    run(story())


def test_no_sound_of_the_model_is_a_word() -> None:
    import pocketsphinx

    from earhook.analytics.engines.pocketsphinx import FILLERS

    lines = Path(pocketsphinx.get_model_path("en-us/en-us/noisedict")).read_text().splitlines()
    assert {line.split()[0] for line in lines if line} == FILLERS


def test_options_that_it_does_not_have_are_named() -> None:
    from earhook.analytics.engines.pocketsphinx import make_engine

    options = EngineOptions(address="ws://x", extra={"decoders": "0", "colour": "red"})
    with pytest.raises(ConfigurationError) as refusal:
        make_engine(options)
    assert len(refusal.value.faults) == 3
