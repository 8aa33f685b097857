"""PocketSphinx: a recogniser whose model comes inside its package. For trying out and for tests.

It runs in this process, on this core, and misses most words of a person on the telephone
(docs/concepts/recognition.md has the figures). It hears US English and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import numpy as np
import pocketsphinx
import soxr

from earhook.analytics.endpointing import Begun, Cut, Endpointer, LevelJudge, Speech
from earhook.analytics.engine import EngineOptions, Line, Samples
from earhook.analytics.languages import is_in
from earhook.analytics.segment import Segment, Word
from earhook.errors import ConfigurationError, ConfigurationFault, EngineFailed

__all__ = ["PocketsphinxEngine", "make_engine"]

MODEL_RATE: Final = 16_000
FRAMES_PER_SECOND: Final = 100
"""Of the decoder, in which it says where words are."""
STEP_SAMPLES: Final = 1_600
"""Of 16 kHz: decoded at a time, 20 to 40 ms of work, before the loop has a turn."""
INTERIM_SECONDS: Final = 0.6
"""Between two readings of an utterance that goes on."""
FILLERS: Final = frozenset({"<s>", "</s>", "<sil>", "[NOISE]", "[SPEECH]"})
"""What the model calls sounds that are no words."""
VAD_MODE: Final = 2
TELEPHONE_MEAN: Final = "44,28,-23,38,-14,-1,10,-22,11,-12,-1,6,-12"
"""The mean spectrum of telephone speech, half of people (Asterisk's prompts), half of flite: a
line begins with it. The model's own is that of a wide band, and spoils the first utterance."""


def make_engine(options: EngineOptions) -> PocketsphinxEngine:
    """The engine, with its first decoder loaded.

    Options: `decoders`, how many utterances are decoded at a time (8; each takes some 40 MB).

    Raises:
        ConfigurationError: An option that it does not have.
    """
    extra = dict(options.extra)
    decoders = extra.pop("decoders", "8")
    faults = [
        ConfigurationFault("--engine-option", f"pocketsphinx has no option {name}")
        for name in extra
    ]
    if not decoders.isdecimal() or int(decoders) < 1:
        faults.append(ConfigurationFault("--engine-option", "decoders is a number from 1"))
    if options.address:
        faults.append(ConfigurationFault("--engine-address", "pocketsphinx runs in this process"))
    if faults:
        raise ConfigurationError(faults)
    return PocketsphinxEngine(int(decoders), interim=options.interim)


class PocketsphinxEngine:
    """Decoders, lent to lines for the length of an utterance.

    A decoder holds the model and the search; what belongs to a voice, its mean spectrum, is kept
    by the line and put into whichever decoder it gets.
    """

    name = "pocketsphinx"

    def __init__(self, most_decoders: int, *, interim: bool) -> None:
        self.interim = interim
        self._idle = [_new_decoder()]
        self.fresh_mean: str = self._idle[0].get_cmn(False)
        self._places = asyncio.Semaphore(most_decoders)

    async def open(self, line: Line) -> PocketsphinxRecogniser:
        """A recogniser, which needs a decoder only while somebody speaks.

        Raises:
            EngineFailed: The call is in another language: there would be words, none of them said.
        """
        if not is_in(line.language, "en"):
            text = f"its model knows US English only, and the call is in {line.language}"
            raise EngineFailed(text, is_hopeless=True)
        return PocketsphinxRecogniser(self, line)

    async def close(self) -> None:
        """Let go of the decoders."""
        self._idle.clear()

    async def borrow(self) -> pocketsphinx.Decoder:
        """A decoder, once one is free."""
        await self._places.acquire()
        return self._idle.pop() if self._idle else _new_decoder()

    def give_back(self, decoder: pocketsphinx.Decoder) -> None:
        """It is between two utterances again."""
        self._idle.append(decoder)
        self._places.release()


class PocketsphinxRecogniser:
    """Cuts a line into utterances and decodes them as they come."""

    def __init__(self, engine: PocketsphinxEngine, line: Line) -> None:
        self._engine = engine
        self._line = line
        self._endpointer = Endpointer(line.rate, _Judge(line.rate))
        self._utterance: _Utterance | None = None
        self._mean = TELEPHONE_MEAN if line.rate < MODEL_RATE else engine.fresh_mean
        self._said: asyncio.Queue[Segment | None] = asyncio.Queue()

    @property
    def settled(self) -> int:
        """Where the utterance under way began, or nearly all that was heard."""
        if self._utterance is not None:
            return self._utterance.start
        return self._endpointer.settled

    async def push(self, samples: Samples, position: int) -> None:
        """Hear; decoding is done before this returns, with turns for others in between."""
        for piece in self._endpointer.push(samples, position):
            await self._take(piece)
        await asyncio.sleep(0)

    async def skip(self, position: int, samples: int) -> None:
        """What was being said is over."""
        del position, samples
        for piece in self._endpointer.end():
            await self._take(piece)

    async def finish(self) -> None:
        """The last utterance is over."""
        await self.skip(0, 0)
        self._said.put_nowait(None)

    async def segments(self) -> AsyncIterator[Segment]:
        """Readings: one every 0.6 s of an utterance, and its last."""
        while (segment := await self._said.get()) is not None:
            yield segment

    async def close(self) -> None:
        """Give the decoder back, whatever it was at."""
        utterance, self._utterance = self._utterance, None
        if utterance is not None:
            utterance.stop()
            self._engine.give_back(utterance.decoder)
        self._said.put_nowait(None)

    async def _take(self, piece: Begun | Speech | Cut) -> None:
        if isinstance(piece, Begun):
            decoder = await self._engine.borrow()
            decoder.set_cmn(self._mean)
            self._utterance = _Utterance(self._line, decoder, piece.position)
            return
        assert self._utterance is not None, "speech comes after its beginning"
        if isinstance(piece, Speech):
            if await self._utterance.hear(piece.samples) and self._engine.interim:
                self._tell(self._utterance.reading())
            return
        utterance, self._utterance = self._utterance, None
        try:
            self._tell(await utterance.end(piece.position))
            self._mean = utterance.decoder.get_cmn(True)
        finally:
            utterance.stop()
            self._engine.give_back(utterance.decoder)

    def _tell(self, segment: Segment | None) -> None:
        if segment is not None:
            self._said.put_nowait(segment)


class _Utterance:
    """One utterance in one decoder."""

    def __init__(self, line: Line, decoder: pocketsphinx.Decoder, start: int) -> None:
        self.decoder = decoder
        self.start = start
        self._line = line
        self._heard = start
        self._told = start
        self._is_over = False
        self._resampler = None
        if line.rate != MODEL_RATE:
            self._resampler = soxr.ResampleStream(line.rate, MODEL_RATE, 1, dtype="int16")
        decoder.start_utt()

    async def hear(self, samples: Samples) -> bool:
        """Decode; whether it is time for a reading."""
        self._heard += len(samples)
        await self._decode(samples, last=False)
        if self._heard - self._told < INTERIM_SECONDS * self._line.rate:
            return False
        self._told = self._heard
        return True

    def reading(self) -> Segment | None:
        """What it sounds like so far; None: like nothing."""
        hypothesis = self.decoder.hyp()
        if hypothesis is None or not hypothesis.hypstr.strip():
            return None
        text = _plain(hypothesis.hypstr)
        return Segment(self._line.channel, self.start, self._heard, text, is_final=False)

    async def end(self, position: int) -> Segment | None:
        """The last word; None: nothing was said."""
        if self._resampler is not None:
            await self._decode(np.zeros(0, np.int16), last=True)
        self.stop()
        words = self._words()
        if not words:
            return None
        text = " ".join(word.text for word in words)
        sure = sum(word.confidence or 0.0 for word in words) / len(words)
        end = max(position, words[-1].end)
        line = self._line
        return Segment(
            line.channel, self.start, end, text, sure, words=tuple(words), language="en-US"
        )

    def stop(self) -> None:
        """Leave the decoder as it was. May be called twice."""
        if not self._is_over:
            self._is_over = True
            self.decoder.end_utt()

    def _words(self) -> list[Word]:
        return [
            Word(
                _plain(part.word),
                self._at(part.start_frame),
                self._at(part.end_frame + 1),
                min(max(part.prob, 0.0), 1.0),
            )
            for part in self.decoder.seg()
            if part.word not in FILLERS
        ]

    def _at(self, frame: int) -> int:
        return min(self.start + frame * self._line.rate // FRAMES_PER_SECOND, self._heard)

    async def _decode(self, samples: Samples, *, last: bool) -> None:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        for start in range(0, len(samples), STEP_SAMPLES):
            self.decoder.process_raw(samples[start : start + STEP_SAMPLES].tobytes())
            await asyncio.sleep(0)


class _Judge:
    """Speech for the voice detector that comes with the package, and louder than the line."""

    def __init__(self, rate: int) -> None:
        self._vad = pocketsphinx.Vad(VAD_MODE, rate, 0.02)
        self._level = LevelJudge()

    def __call__(self, frame: Samples) -> bool:
        is_loud = self._level(frame)
        return is_loud and bool(self._vad.is_speech(frame.tobytes()))


def _new_decoder() -> pocketsphinx.Decoder:
    return pocketsphinx.Decoder(samprate=float(MODEL_RATE), loglevel="FATAL")


def _plain(text: str) -> str:
    """Without the numbers of other pronunciations: `the(2)`."""
    return " ".join(word.partition("(")[0] for word in text.split())
