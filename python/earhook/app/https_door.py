"""The ingest as one piece: its calls, who may send to it, and its server."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from earhook.clock import Clock
from earhook.control.admission import Admissions
from earhook.control.authentication import Authenticator
from earhook.control.doorkeeper import IngestDoorkeeper
from earhook.control.lifecycle import Stage
from earhook.control.pressure import Pressure
from earhook.control.view import IngestParts
from earhook.edge.admission import Admission
from earhook.edge.arrival import EdgeRules
from earhook.hub.hub import Hub
from earhook.ingest.calls import IngestCalls
from earhook.ingest.door import DoorQuestions, IngestDoor
from earhook.ingest.server import IngestServer
from earhook.ingest.settings import IngestSettings
from earhook.ingest.shares import CallCap

from .files import Files

__all__ = ["HttpsDoor", "Shared", "Shares"]


class Shared(NamedTuple):
    """What the doors have in common."""

    hub: Hub
    clock: Clock
    rules: EdgeRules
    authenticator: Authenticator
    pressure: Pressure
    stage: Callable[[], Stage]


class Shares(NamedTuple):
    """How many calls may come in: of all senders, and of a credential."""

    admissions: Admissions
    cap: CallCap


class HttpsDoor:
    """The second door. Nothing behind it knows that a call came in here.

    Attributes:
        admissions: Whether one more call may come in.
        calls: Those that did.
        doorkeeper: Who may send.
        payload_keys: What bodies may be encrypted with.
        server: The port.
        parts: All of that, to be shown.
    """

    def __init__(
        self,
        settings: IngestSettings,
        shares: Shares,
        files: Files,
        shared: Shared,
        ring_seconds: float,
    ) -> None:
        self.admissions = shares.admissions
        self.calls = IngestCalls(
            settings, shared.hub, shared.clock, ring_seconds, lambda: shared.pressure.is_busy
        )
        self.doorkeeper = IngestDoorkeeper(files.bearer_tokens, shared.authenticator, shared.clock)
        self.payload_keys = files.payload_keys
        self._stage = shared.stage
        questions = DoorQuestions(
            self.doorkeeper.judge, self._admit, lambda: self.payload_keys, shares.cap
        )
        self.door = IngestDoor(self.calls, questions)
        self.server = IngestServer(
            settings, shared.rules, self.door.answer, certificate=files.ingest_certificate
        )
        self.parts = IngestParts(
            server=self.server,
            door=self.door,
            calls=self.calls,
            admissions=shares.admissions,
            doorkeeper=self.doorkeeper,
            certificate=files.ingest_certificate,
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        await self.server.start()
        self.doorkeeper.start()

    async def stop(self, deadline_seconds: float) -> None:
        """End every call and cut every connection."""
        self.calls.disconnect()
        await self.server.stop(deadline_seconds)
        await self.doorkeeper.stop()

    def replace(self, settings: IngestSettings) -> None:
        """Put other settings in service, for what comes from now on; the rate stays."""
        settings = settings.model_copy(update={"rate": self.calls.settings.rate})
        self.calls.replace(settings)
        self.door.replace_limits()
        self.server.replace_limits(settings)

    def _admit(self) -> Admission:
        return self.admissions.judge(self._stage(), self.calls.count)
