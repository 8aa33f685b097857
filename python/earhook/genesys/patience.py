"""When a request is sent again: after how long, and how often."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Awaitable, Callable
from typing import Final

from earhook.ops.logging import get_logger

from .errors import NoWayThere, OutcomeUnknown, Unavailable
from .settings import PatienceSettings
from .timing import Timing
from .transport import Answer

__all__ = ["Patience", "retry_after_seconds"]

Send = Callable[[], Awaitable[Answer]]


class Patience:
    """Sends again what may be sent again.

    After 429 everything may, because nothing was done. After 503, and where no connection came
    about, likewise. After any other 5xx, or a connection that broke off, only what is the same
    done twice.
    """

    def __init__(self, settings: PatienceSettings, timing: Timing) -> None:
        self._settings = settings
        self._timing = timing

    async def answer(self, does: str, send: Send, *, repeatable: bool) -> Answer:
        """Send until there is an answer to live with, or patience is at its end.

        Returns:
            The last answer, which may still be 429 or 5xx.

        Raises:
            Unavailable: There was no answer at all.
            OutcomeUnknown: There was none, and the request may have been done.
        """
        for attempt in range(1, self._settings.attempts + 1):
            is_last = attempt == self._settings.attempts
            answer: Answer | None = None
            try:
                answer = await send()
            except NoWayThere:
                raise
            except OutcomeUnknown:
                if is_last or not repeatable:
                    raise
            except Unavailable:
                if is_last:
                    raise
            if answer is not None and (is_last or not _is_again(answer.status, repeatable)):
                return answer
            pause = self._pause(attempt, answer)
            if pause is None and answer is not None:
                return answer
            _LOG.info(
                "genesys.retry",
                does=does,
                attempt=attempt,
                status=None if answer is None else answer.status,
                pause_seconds=round(pause or 0.0, 3),
            )
            await self._timing.sleep(pause or 0.0)
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, attempt: int, answer: Answer | None) -> float | None:
        """Seconds until the next attempt; None: the API wants more than we wait."""
        settings = self._settings
        jitter = self._timing.fraction()
        wanted = retry_after_seconds(answer, self._timing.clock.wall_seconds())
        if wanted is not None:
            if wanted > settings.longest_retry_after_seconds:
                return None
            # Never before we were told, and not all at the same moment either.
            return wanted + jitter * settings.first_pause_seconds
        doubled = settings.first_pause_seconds * 2.0 ** min(attempt - 1, 32)
        return min(doubled, settings.longest_pause_seconds) * (0.5 + 0.5 * jitter)


def retry_after_seconds(answer: Answer | None, now_wall_seconds: float) -> float | None:
    """How long an answer wants us to wait (RFC 9110 §10.2.3); None: it does not say.

    Answers 429 of Genesys Cloud name it in their text as well, which counts if the header is gone.
    """
    if answer is None or (answer.status != 429 and answer.status < 500):
        return None
    value = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    if value:
        try:
            date = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, date.timestamp() - now_wall_seconds)
    told = _TOLD.search(answer.body[:4096]) if answer.status == 429 else None
    return float(told[1]) if told else None


def _is_again(status: int, repeatable: bool) -> bool:
    return status in {429, 503} or (repeatable and status >= 500)


_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_TOLD: Final = re.compile(rb"[Rr]etry the request in \[(\d{1,6})\] seconds")
_LOG: Final = get_logger(__name__)
