"""The contract of an engine, and where engines are found.

An engine turns the speech of one channel into segments. To add one, write two classes:

```python
class MyEngine:
    name = "mine"

    async def open(self, line: Line) -> Recogniser: ...
    async def close(self) -> None: ...
```

and name what makes it, an `EngineMaker`, as an entry point:

```toml
[project.entry-points."earhook.engines"]
mine = "my_package:make_engine"
```

`earhook analyze --engine mine` finds it by that name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from earhook.client import Call, ChannelName
from earhook.errors import ConfigurationError

from .segment import Segment

__all__ = [
    "Engine",
    "EngineMaker",
    "EngineOptions",
    "Line",
    "Recogniser",
    "find_engine",
]

GROUP: Final = "earhook.engines"
"""Of the entry points that make engines."""

Samples: TypeAlias = npt.NDArray[np.int16]
"""Shape `(n,)`, native 16-bit, read-only."""


@dataclass(frozen=True, slots=True)
class Line:
    """One channel of one call: what a recogniser is opened for.

    Attributes:
        rate: Samples per second, 8000 or 16000. An engine that wants another one resamples.
        language: What the peer said the call is in, as a BCP 47 tag, or the operator; None:
            nobody said.
    """

    call: Call
    channel: ChannelName
    rate: int
    language: str | None = None


class Recogniser(Protocol):
    """Hears one line, from `open` to `close`.

    `push` and `skip` are called one after the other by one task, `segments` is iterated by
    another. All of them may raise `EngineFailed` (`earhook.errors`): the recogniser is then
    closed, and another one is opened for what comes next.
    """

    @property
    def settled(self) -> int:
        """Every segment that begins before this position has had its final reading.

        It may lag, and never goes back; rules that wait for something to be said wait for it.
        """
        ...

    async def push(self, samples: Samples, position: int) -> None:
        """Hear what comes next. The array is the caller's again when this returns.

        Contiguous: `position` is where the last `push` or `skip` ended. May take its time, but
        computes for at most some 50 ms without giving the loop a turn.
        """
        ...

    async def skip(self, position: int, samples: int) -> None:
        """There is no audio for so many samples, because of a pause or a loss.

        What was said before is finished, as if silence followed: no word spans a gap. It may be
        minutes long; whatever an engine's peer wants to be kept alive is the engine's to do.
        """
        ...

    async def finish(self) -> None:
        """Nothing follows. When this returns, `segments` gives what is left and then ends."""
        ...

    def segments(self) -> AsyncIterator[Segment]:
        """Readings as they come; ends after `finish`. Called once."""
        ...

    async def close(self) -> None:
        """Let go of everything, at once, whatever was going on. May be called twice."""
        ...


class Engine(Protocol):
    """Makes recognisers. One per process; used on one loop.

    Attributes:
        name: Short, for results and log lines.
    """

    name: str

    async def open(self, line: Line) -> Recogniser:
        """A recogniser for a line.

        Raises:
            EngineFailed: Not now. Asked again later.
        """
        ...

    async def close(self) -> None:
        """Let go of what is shared by recognisers. All of them are closed."""
        ...


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the operator says to an engine.

    Attributes:
        address: Of the service; empty: the engine has none, or a usual one.
        token: What the service asks for.
        model: Which of its models.
        language: For calls whose peer names none.
        interim: Whether readings that may change are wanted at all.
        extra: What else was said, `--engine-option NAME=VALUE`; an engine refuses what it does
            not know.
    """

    address: str = ""
    token: str | None = field(default=None, repr=False)
    model: str | None = None
    language: str | None = None
    interim: bool = True
    extra: Mapping[str, str] = field(default_factory=dict)


EngineMaker: TypeAlias = Callable[[EngineOptions], Engine]
"""Raises `ConfigurationError` for what the operator must change; connects to nothing yet."""


def known_engines() -> list[str]:
    """The names of all engines that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find_engine(name: str) -> EngineMaker:
    """What makes the engine of that name.

    Raises:
        ConfigurationError: There is none, or what it needs is not installed.
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _load(name, point.load)
    known = ", ".join(known_engines()) or "none"
    raise ConfigurationError.of("--engine", f"no engine is called {name}", f"known: {known}")


def _load(name: str, load: Callable[[], Any]) -> EngineMaker:
    try:
        maker: EngineMaker = load()
    except ImportError as error:
        what = f"{name} needs {error.name or error}, which is not installed"
        raise ConfigurationError.of("--engine", what, "pip install 'earhook[analytics]'") from None
    return maker
