"""What befalls calls: which share of them pauses, stutters, breaks off, or is a probe only."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import Final, Literal, NamedTuple, Self, TypeAlias

from earhook.errors import ConfigurationError

__all__ = ["Mix", "Moment", "Script"]

Incident: TypeAlias = Literal["pause", "discard", "burst"]
INCIDENTS: Final[tuple[Incident, ...]] = ("pause", "discard", "burst")
LONGEST_SECONDS: Final = {"pause": 3.0, "discard": 2.0, "burst": 1.0}
LATEST_START_SECONDS: Final = 2.0


class Moment(NamedTuple):
    """Something that happens within a call, from `begins` to `ends` seconds of its audio."""

    incident: Incident
    begins: float
    ends: float


class Script(NamedTuple):
    """What one call goes through.

    Attributes:
        probe: It is a connection test: opened, closed, no audio.
        abrupt: Its connection breaks off instead of being closed.
        late_seconds: Its audio begins so much after `opened`; what was missed is `discarded`.
        moments: In order, none touching another.
    """

    probe: bool = False
    abrupt: bool = False
    late_seconds: float = 0.0
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The share of calls, 0 to 1, to which each of these happens. They combine freely.

    Attributes:
        pause: An agent's secure pause: `paused`, no audio, `resumed`.
        discard: Audio is lost before it is sent, and reported by `discarded`.
        burst: The network stutters: frames are held, then sent together.
        late: Audio begins late.
        abrupt: The connection breaks off instead of `close`.
        probe: A connection test, and nothing else of the above.
    """

    pause: float = 0.0
    discard: float = 0.0
    burst: float = 0.0
    late: float = 0.0
    abrupt: float = 0.0
    probe: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `pause=10%,abrupt=0.02`.

        Raises:
            ConfigurationError: An unknown word, or no share.
        """
        known = [field.name for field in fields(cls)]
        shares: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            word, _, share = part.partition("=")
            if word not in known:
                raise _fault(f"{word!r} is unknown", f"known are {', '.join(known)}")
            shares[word] = _share(part, share)
        return cls(**shares)

    def draw(self, chance: random.Random, hold_seconds: float) -> Script:
        """What befalls one call of that length.

        It takes the same numbers whatever the shares are: with another mix, a seed gives the same
        calls otherwise.
        """
        dice = {field.name: chance.random() for field in fields(self)}
        lengths = {word: chance.uniform(0.3, 1.0) for word in (*INCIDENTS, "late")}
        places = {word: chance.random() for word in INCIDENTS}
        if dice["probe"] < self.probe:
            return Script(probe=True)
        happens = [word for word in INCIDENTS if dice[word] < getattr(self, word)]
        late = lengths["late"] * min(LATEST_START_SECONDS, hold_seconds / 4)
        late = late if dice["late"] < self.late else 0.0
        moments: list[Moment] = []
        # Each gets a stretch of the call to itself, in which it has room.
        stretch = (hold_seconds - late) / max(len(happens), 1)
        for place, word in enumerate(happens):
            seconds = lengths[word] * min(LONGEST_SECONDS[word], stretch / 2)
            begins = late + place * stretch + places[word] * (stretch - seconds)
            moments.append(Moment(word, begins, begins + seconds))
        return Script(
            abrupt=dice["abrupt"] < self.abrupt, late_seconds=late, moments=tuple(moments)
        )


def _share(part: str, text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise _fault(f"{part!r} has no share", "write pause=10% or pause=0.1")
    return share


def _fault(what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError.of("--mix", what, remedy)
