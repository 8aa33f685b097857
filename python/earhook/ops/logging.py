"""Log lines: a dotted event name, keys, and nothing personal.

`get_logger(__name__)` for what the gateway does by itself; `get_limited_logger(__name__)` for
every line that a stranger on the network can cause, so that no flood becomes a flood of lines.
Both end in the standard library's logging, where `configure_logging` installs the one way out,
so lines of libraries take the same road.

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
    "configure_logging",
    "get_limited_logger",
    "get_logger",
    "lost_lines",
    "report_lost",
    "report_suppressed",
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
    """A logger for lines that a peer or a stranger can cause; all of them share one limit."""
    return LimitedLogger(get_logger(name), PEER_LINES)


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

    def admit(self, event: str, cost: float = 1.0) -> bool:
        """Whether a line may be written now. If not, it is counted under `event`.

        Args:
            event: What is counted.
            cost: How many plain lines it is as long as.
        """
        now = self._clock.monotonic_seconds()
        grown = self._tokens + (now - self._refilled_at) * self._per_second
        self._tokens = min(self._burst, grown)
        self._refilled_at = now
        if self._tokens >= cost:
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


class LimitedLogger:
    """The same methods as a logger; lines above the limit are only counted."""

    __slots__ = ("_limiter", "_logger")

    def __init__(self, logger: Logger, limiter: LineLimiter) -> None:
        self._logger = logger
        self._limiter = limiter

    def bind(self, **keys: object) -> LimitedLogger:
        """The same logger with `keys` on every line."""
        return LimitedLogger(self._logger.bind(**keys), self._limiter)

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
        if self._logger.isEnabledFor(level) and self._limiter.admit(event, cost):
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
    return PEER_LINES.admit(f"library.{record.name}", cost)


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

PEER_LINES: Final = LineLimiter(per_second=20.0, burst=80, clock=SystemClock())
"""The limit on lines that peers cause: one per process, because the promise is per process.

At most 100 lines in any second, and, at the usual length of a line, less than 1 MiB a minute.
"""

_LOG: Final = get_logger(__name__)
