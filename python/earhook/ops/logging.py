"""Log lines: a dotted event name, keys, and nothing personal.

`get_logger(__name__)` for what the gateway does by itself; `get_limited_logger(__name__)` for
every line that a stranger on the network can cause, so that no flood becomes a flood of lines;
`get_state_logger(__name__)` for those of them that no flood may hide. All of them end in the
standard library's logging, where `configure_logging` installs the one way out, so lines of
libraries take the same road.

Nothing is configured at import: a program that only imports Earhook keeps its own logging.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import orjson
import structlog

from earhook.clock import SystemClock

from .background import BackgroundStream
from .redaction import clean, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

    from earhook.clock import Clock

    from .settings import LogSettings

__all__ = [
    "LimitedLogger",
    "LineLimiter",
    "LineReserve",
    "call_lines",
    "configure_logging",
    "get_limited_logger",
    "get_logger",
    "get_state_logger",
    "lost_lines",
    "name_process",
    "report_lost",
    "report_suppressed",
    "settle_lines",
]

Logger = structlog.stdlib.BoundLogger


def get_logger(name: str) -> Logger:
    """A logger for lines that the gateway causes itself. `name` is the module's `__name__`."""
    return cast(
        "Logger",
        structlog.wrap_logger(
            logging.getLogger(name),
            processors=[structlog.stdlib.filter_by_level, *_DRESS, _TO_STANDARD_LIBRARY],
            wrapper_class=Logger,
            cache_logger_on_first_use=True,
        ),
    )


def get_limited_logger(name: str) -> LimitedLogger:
    """A logger for lines that a peer or a stranger can cause; all of them share one limit.

    Those of level ERROR have the reserve as well.
    """
    return LimitedLogger(get_logger(name), PEER_LINES, RESERVED_LINES)


def get_state_logger(name: str) -> LimitedLogger:
    """A logger for how we are, where strangers can have a hand in it: all lines have the reserve.

    For events that are not caused request by request, or of which the first one is news.
    """
    return LimitedLogger(get_logger(name), PEER_LINES, RESERVED_LINES, of_states=True)


def call_lines(clock: Clock) -> LineLimiter:
    """The limit on the lines of calls; with the others it keeps the promise of the process."""
    return LineLimiter(per_second=17.0, burst=36, clock=clock)


def configure_logging(
    settings: LogSettings, stream: TextIO | BackgroundStream | None = None
) -> None:
    """Send every line of the process to `stream` (standard error), in the configured form.

    Lines of libraries pass from level WARNING up and share the limit of peer-caused lines,
    because what they complain about is mostly what a peer did. May be called again.
    """
    stream = sys.stderr if stream is None else stream
    pretty = settings.format == "pretty" or (settings.format == "auto" and stream.isatty())
    way_out = logging.StreamHandler(stream)
    way_out.setFormatter(_formatter(pretty=pretty, colors=pretty and stream.isatty()))
    way_out.addFilter(_limit_libraries)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if getattr(old, "earhook_way_out", False):
            root.removeHandler(old)
    vars(way_out)["earhook_way_out"] = True
    root.addHandler(way_out)
    root.setLevel(logging.WARNING)
    logging.getLogger("earhook").setLevel(settings.level.upper())
    # A line that cannot be written (a closed pipe) must not cause further lines.
    logging.raiseExceptions = False
    logging.captureWarnings(True)


def name_process(name: int | str | None) -> None:
    """Write from now on which process a line is of, as `worker`; None: there is only one."""
    _PROCESS.clear()
    if name is not None:
        _PROCESS["worker"] = name


class LineLimiter:
    """At most `burst + per_second` lines in any one second; the rest is counted by event."""

    def __init__(self, per_second: float, burst: int, clock: Clock) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._refilled_at = clock.monotonic_seconds()
        self._suppressed: Counter[str] = Counter()
        self.suppressed_total = 0

    def admit(self, event: str, cost: float = 1.0, spare: float = 0.0) -> bool:
        """Whether a line may be written now. If not, it is counted under `event`.

        Args:
            event: What is counted.
            cost: How many plain lines it is as long as.
            spare: How many must be left for others that matter more.
        """
        now = self._clock.monotonic_seconds()
        grown = self._tokens + (now - self._refilled_at) * self._per_second
        self._tokens = min(self._burst, grown)
        self._refilled_at = now
        if self._tokens >= cost + spare:
            self._tokens -= cost
            return True
        self._suppressed[event] += 1
        self.suppressed_total += 1
        return False

    def take_suppressed(self) -> dict[str, int]:
        """Lines suppressed since the last call, by event name."""
        suppressed = dict(self._suppressed)
        self._suppressed.clear()
        return suppressed


class LineReserve:
    """A line a second for each event, whatever else is written: none can hide another one."""

    def __init__(self, events: int, clock: Clock) -> None:
        """`events`: so many different ones within a second at most, and as many lines."""
        self._events = events
        self._clock = clock
        self._taken_until: dict[str, float] = {}

    def admit(self, event: str, cost: float = 1.0) -> bool:
        """Whether this event has a line now; one that is `cost` lines long is for as many seconds.

        What is refused here is not counted: it is asked elsewhere.
        """
        now = self._clock.monotonic_seconds()
        taken = self._taken_until
        if taken.get(event, now) > now:
            return False
        taken.pop(event, None)
        if len(taken) >= self._events:
            self._taken_until = taken = {name: due for name, due in taken.items() if due > now}
            if len(taken) >= self._events:
                return False
        taken[event] = now + cost
        return True


class LimitedLogger:
    """The same methods as a logger; lines above the limit are only counted."""

    __slots__ = ("_limiter", "_logger", "_of_states", "_reserve")

    def __init__(
        self,
        logger: Logger,
        limiter: LineLimiter,
        reserve: LineReserve,
        *,
        of_states: bool = False,
    ) -> None:
        """`of_states`: every line may use the reserve, not only those of level ERROR."""
        self._logger = logger
        self._limiter = limiter
        self._reserve = reserve
        self._of_states = of_states

    def bind(self, **keys: object) -> LimitedLogger:
        """The same logger with `keys` on every line."""
        bound, of_states = self._logger.bind(**keys), self._of_states
        return LimitedLogger(bound, self._limiter, self._reserve, of_states=of_states)

    def debug(self, event: str, **keys: object) -> None:
        """Write a line that only helps when looking for a defect."""
        self._write(logging.DEBUG, event, keys)

    def info(self, event: str, **keys: object) -> None:
        """Write a line about something normal."""
        self._write(logging.INFO, event, keys)

    def warning(self, event: str, **keys: object) -> None:
        """Write a line about something that the operator may want to look at."""
        self._write(logging.WARNING, event, keys)

    def error(self, event: str, **keys: object) -> None:
        """Write a line about something that the operator must look at."""
        self._write(logging.ERROR, event, keys)

    def _write(self, level: int, event: str, keys: dict[str, object]) -> None:
        cost = _TRACEBACK_COST if keys.get("exc_info") else 1.0
        if not self._logger.isEnabledFor(level):
            return
        has_reserve = self._of_states or level >= logging.ERROR
        if (has_reserve and self._reserve.admit(event, cost)) or self._limiter.admit(event, cost):
            self._logger.log(level, event, **keys)


def report_suppressed(limiter: LineLimiter | None = None) -> None:
    """Write one line with what was suppressed since the last report, if anything was."""
    suppressed = (limiter or PEER_LINES).take_suppressed()
    if suppressed:
        _LOG.warning("log.suppressed", lines=sum(suppressed.values()), events=suppressed)


def lost_lines() -> int:
    """Lines that nobody took so far, because standard error is closed or its reader has stopped."""
    return sum(stream.lost_lines for stream in _background_streams())


def report_lost() -> None:
    """Once lines are taken again, write one that says how many were lost."""
    lost = sum(stream.take_lost() for stream in _background_streams())
    if lost:
        _LOG.warning("log.lost", lines=lost)


def settle_lines(deadline_seconds: float) -> None:
    """Wait until all lines so far are written: what is about to happen ends their thread."""
    for stream in _background_streams():
        stream.settle(deadline_seconds)


def _background_streams() -> list[BackgroundStream]:
    streams = [
        getattr(way_out, "stream", None)
        for way_out in logging.getLogger().handlers
        if getattr(way_out, "earhook_way_out", False)
    ]
    return [stream for stream in streams if isinstance(stream, BackgroundStream)]


def _limit_libraries(record: logging.LogRecord) -> bool:
    if record.name.partition(".")[0] == "earhook":
        return True
    cost = _TRACEBACK_COST if record.exc_info else 1.0
    event = f"library.{record.name}"
    if record.levelno >= logging.ERROR and RESERVED_LINES.admit(event, cost):
        return True
    return PEER_LINES.admit(event, cost)


def _formatter(*, pretty: bool, colors: bool) -> logging.Formatter:
    renderer: Processor = _as_json
    if pretty:
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors,
            sort_keys=False,
            timestamp_key="time",
            exception_formatter=structlog.dev.plain_traceback,
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_library_line, *_DRESS],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _with_process,
            _with_traceback,
            *([_for_people] if pretty else []),
            renderer,
        ],
    )


def _for_people(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Leave out what somebody at a terminal knows: the day, and which module speaks."""
    line.pop("logger", None)
    line["time"] = str(line.get("time", ""))[11:19]
    return line


def _with_process(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    line.update(_PROCESS)
    return line


def _with_traceback(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Turn `exc_info` into text: no local variables, no control characters, bounded."""
    exc_info = line.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if isinstance(exc_info, tuple) and exc_info[0] is not None:
        text = "".join(traceback.format_exception(*exc_info))[-_MAX_TRACEBACK_CHARACTERS:]
        line["exception"] = "\n".join(printable(part, 512) for part in text.splitlines())
    return line


def _library_line(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Give a library's sentence an event name, so that all lines have the same shape."""
    line["message"] = line["event"]
    line["event"] = "library.logged"
    return line


def _as_json(_logger: WrappedLogger, _name: str, line: EventDict) -> str:
    ordered: dict[str, Any] = {key: line.pop(key) for key in _FIRST_KEYS if key in line}
    ordered.update(line)
    return orjson.dumps(ordered, default=str).decode()


_PROCESS: Final[dict[str, int | str]] = {}
_FIRST_KEYS: Final = ("time", "level", "event")
_MAX_TRACEBACK_CHARACTERS: Final = 4096
_TRACEBACK_COST: Final = 10.0

_DRESS: Final[tuple[Processor, ...]] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    clean,
)

_TO_STANDARD_LIBRARY: Final[Callable[..., Any]] = (
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter
)

PEER_LINES: Final = LineLimiter(per_second=15.0, burst=15, clock=SystemClock())
"""The limit on lines that peers cause: one per process, because the promise is per process.

The promise: at most 100 lines in any second, and less than 1 MiB a minute. In any second it is 30
lines of peers, 53 of calls, 14 from the reserve and two that count what was suppressed. In any
minute, at 330 bytes a line of peers and 650 a line that closes a call, it is 960 kB.
"""
RESERVED_LINES: Final = LineReserve(events=14, clock=SystemClock())
"""For ERROR lines, and for changes of how we are."""

_LOG: Final = get_logger(__name__)
