"""Where an utterance begins and ends, for engines that do not find out by themselves. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Begun", "Cut", "Endpointer", "LevelJudge", "Speech", "UtteranceSettings"]

Samples: TypeAlias = npt.NDArray[np.int16]
Judge: TypeAlias = Callable[[Samples], bool]
"""Whether one frame of 20 ms sounds like speech."""

FRAMES_PER_SECOND: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceSettings:
    """When an utterance begins and ends.

    Attributes:
        onset_frames: Speech frames among the last `onset_window` that begin one.
        lead_seconds: Audio before its beginning that belongs to it: soft consonants.
        silence_seconds: Silence that ends one.
        tail_seconds: How much of that silence belongs to it.
        longest_seconds: Somebody who speaks without a pause is cut here.
    """

    onset_frames: int = 4
    onset_window: int = 6
    lead_seconds: float = 0.3
    silence_seconds: float = 0.6
    tail_seconds: float = 0.3
    longest_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Begun:
    """An utterance begins at `position`; the speech that follows is its own."""

    position: int


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio of the utterance that has begun."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class Cut:
    """The utterance is over; `position` is where its speech ended."""

    position: int


Piece: TypeAlias = Begun | Speech | Cut


class LevelJudge:
    """Speech is what stands out above the noise of the line. Cheap, and fooled by loud noise.

    The noise is the quietest that was heard lately: it follows downwards at once, upwards by
    `RISE_DB` a second, so that a long sentence does not become its own noise.
    """

    ABOVE_NOISE_DB: Final = 9.0
    QUIETEST_SPEECH_DBFS: Final = -52.0
    RISE_DB: Final = 3.0

    def __init__(self) -> None:
        self._noise_dbfs = -60.0

    def __call__(self, frame: Samples) -> bool:
        """Judge the next frame."""
        mean_square = float(np.mean(np.square(frame, dtype=np.float32))) if len(frame) else 0.0
        level = 10.0 * float(np.log10(max(mean_square, 1e-3))) - 90.31
        self._noise_dbfs = min(level, self._noise_dbfs + self.RISE_DB / FRAMES_PER_SECOND)
        self._noise_dbfs = max(self._noise_dbfs, -75.0)
        loud_enough = max(self._noise_dbfs + self.ABOVE_NOISE_DB, self.QUIETEST_SPEECH_DBFS)
        return level > loud_enough


class Endpointer:
    """Cuts a line into utterances. Any chunking gives the same ones.

    Args:
        rate: Samples per second.
        judge: Decides frame by frame; keeps what it has to remember.
        settings: When they begin and end.
    """

    def __init__(
        self, rate: int, judge: Judge | None = None, settings: UtteranceSettings | None = None
    ) -> None:
        self._settings = settings or UtteranceSettings()
        self._judge = judge or LevelJudge()
        self._frame = rate // FRAMES_PER_SECOND
        self._rest = np.zeros(0, np.int16)
        self._position = 0
        """Of the first sample of `_rest`."""
        onset = self._settings.onset_window
        self._verdicts: deque[bool] = deque(maxlen=onset)
        self._lead: deque[Samples] = deque(maxlen=_frames(self._settings.lead_seconds) + onset)
        self._silence: list[Samples] = []
        self._is_speaking = False
        self._length = 0
        """Frames of the utterance so far."""

    @property
    def settled(self) -> int:
        """No utterance will begin before this position."""
        return self._position - len(self._lead) * self._frame

    def push(self, samples: Samples, position: int) -> Iterator[Piece]:
        """Take in what comes next; a position that does not follow begins anew."""
        if position != self._position + len(self._rest):
            yield from self.end()
            self._position = position
        joined = np.concatenate((self._rest, samples))
        whole = len(joined) - len(joined) % self._frame
        self._rest = joined[whole:].copy()
        for frame in joined[:whole].reshape(-1, self._frame):
            speaks = self._judge(frame)
            self._position += self._frame
            step = self._continue if self._is_speaking else self._await_speech
            yield from step(frame, speaks)

    def end(self) -> Iterator[Piece]:
        """Nothing follows, or nothing that belongs to what was before."""
        if self._is_speaking:
            yield from self._cut()
        self._position += len(self._rest)
        self._rest = self._rest[:0]
        self._lead.clear()
        self._verdicts.clear()

    def _await_speech(self, frame: Samples, speaks: bool) -> Iterator[Piece]:
        self._lead.append(frame)
        self._verdicts.append(speaks)
        if sum(self._verdicts) < self._settings.onset_frames:
            return
        self._is_speaking = True
        self._length = len(self._lead)
        yield Begun(self._position - len(self._lead) * self._frame)
        yield Speech(np.concatenate(self._lead))
        self._lead.clear()
        self._verdicts.clear()

    def _continue(self, frame: Samples, speaks: bool) -> Iterator[Piece]:
        self._length += 1
        self._silence.append(frame)
        if speaks:
            yield Speech(np.concatenate(self._silence))
            self._silence.clear()
        is_quiet = len(self._silence) >= _frames(self._settings.silence_seconds)
        if is_quiet or self._length >= _frames(self._settings.longest_seconds):
            yield from self._cut()

    def _cut(self) -> Iterator[Piece]:
        tail = self._silence[: _frames(self._settings.tail_seconds)]
        if tail:
            yield Speech(np.concatenate(tail))
        yield Cut(self._position - len(self._silence) * self._frame)
        # What is left of the silence may hold the first sound of the next utterance.
        self._lead.extend(self._silence[len(tail) :])
        self._silence.clear()
        self._is_speaking = False


def _frames(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)
