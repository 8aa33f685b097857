"""What a worker says of itself when its parent asks, and how it takes a new configuration."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from earhook.errors import ChannelRefused, ConfigurationError
from earhook.ops.readings import Readings

from .carried import unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earhook.config.schema import Configuration
    from earhook.control.admin import Check
    from earhook.control.reload import Prepared
    from earhook.control.view import GatewayView

    from .channel import Channel, Message

__all__ = ["Answers"]


class Answers:
    """Answers from memory, at once, on the loop's thread.

    Args:
        channel: Where the parent asks. It is answered from now on.
        view: The gateway that serves here.
        slot: Our place among the workers.
    """

    def __init__(self, channel: Channel, view: GatewayView, slot: int) -> None:
        self._channel = channel
        self._view = view
        self._slot = str(slot)
        self._prepared: tuple[int, Prepared[Configuration]] | None = None
        channel.on("figures", lambda _: self._figures())
        channel.on("checks", lambda _: [_as_row(check) for check in view.checks()])
        channel.on("calls", self._calls)
        channel.on("sinks", lambda _: view.sinks_as_json())
        channel.on("prepare_reload", self._prepare)
        channel.on("commit_reload", self._commit)
        channel.on("abort_reload", lambda _: self._abort())

    def say_goodbye(self) -> None:
        """Tell what was counted up to the end; to be said last, before the process ends."""
        self._channel.tell("last_figures", self._figures())

    def _figures(self) -> dict[str, Any]:
        readings = Readings()
        self._view.read(readings)
        own = {
            "earhook_worker_calls": float(self._view.hub.live_calls),
            "earhook_worker_resident_memory_bytes": float(_resident_bytes()),
            "earhook_worker_cpu_seconds_total": time.process_time(),
        }
        for name, value in own.items():
            readings.put(name, value, slot=self._slot)
        return readings.as_json()

    def _calls(self, message: Message) -> dict[str, Any]:
        found = self._view.calls(0, message.body["most"])
        return {"total": found.total, "calls": found.calls}

    def _prepare(self, message: Message) -> None:
        """Try a configuration; the last one that was prepared is the one that can be committed.

        Raises:
            ConfigurationError: With every fault; nothing has changed.
        """
        self._prepared = None
        try:
            configuration = unpacked(message.body["configuration"])
        except ValidationError as error:
            what = f"a worker cannot read it: {error.error_count()} faults"
            remedy = "restart the gateway: its processes are of two versions"
            raise ConfigurationError.of("workers", what, remedy) from None
        self._prepared = message.body["number"], self._view.reloader.prepare(configuration)

    def _commit(self, message: Message) -> Mapping[str, object]:
        """Put in service what was prepared."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared[0] != message.body["number"]:
            raise ChannelRefused("that configuration was not prepared here")
        return self._view.reloader.commit(prepared[1])

    def _abort(self) -> None:
        self._prepared = None


def _as_row(check: Check) -> tuple[str, bool, str]:
    return check.name, check.passes, check.detail


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
