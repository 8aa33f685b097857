"""Unix signals become inputs of the lifecycle.

- SIGTERM: drain. Not ready at once, calls go on to their end; a second one ends.
- SIGINT: the same, with a short grace at a terminal.
- SIGHUP: read keys and certificates again.
- SIGUSR2: with several workers, replace them by new ones, slot by slot.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final

from earhook.ops.logging import get_logger

from .lifecycle import Input

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["SignalWatch", "ignore_reload"]

_LOG: Final = get_logger(__name__)


def ignore_reload() -> None:
    """Let SIGHUP and SIGUSR2 pass until somebody watches: their default is to end the process.

    A reload that comes while the gateway starts has nothing to do: it reads the files anyway.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


class SignalWatch:
    """Listens to the process's signals; only in the main thread, one at a time."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_stop: Callable[[Input], None],
        on_reload: Callable[[], object],
        on_renew: Callable[[], object] | None = None,
    ) -> None:
        self._loop = loop
        self._on_stop = on_stop
        self._on_reload = on_reload
        self._on_renew = on_renew

    def start(self) -> None:
        """Take the signals over."""
        at_terminal = sys.stdin is not None and sys.stdin.isatty()
        interrupt = Input.INTERRUPT if at_terminal else Input.STOP
        self._loop.add_signal_handler(signal.SIGTERM, self._stop, "SIGTERM", Input.STOP)
        self._loop.add_signal_handler(signal.SIGINT, self._stop, "SIGINT", interrupt)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._loop.add_signal_handler(signal.SIGUSR2, self._renew)

    def stop(self) -> None:
        """Give the signals back."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            self._loop.remove_signal_handler(number)

    def _stop(self, name: str, meaning: Input) -> None:
        _LOG.info("signal.received", signal=name)
        self._on_stop(meaning)

    def _reload(self) -> None:
        _LOG.info("signal.received", signal="SIGHUP")
        self._on_reload()

    def _renew(self) -> None:
        _LOG.info("signal.received", signal="SIGUSR2")
        if self._on_renew is not None:
            self._on_renew()
        else:
            _LOG.warning("rolling.ignored", remedy="a rolling restart wants workers.count above 1")
