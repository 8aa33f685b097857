"""The ingest as one piece: its calls, who may send to it, and its server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from earhook.clock import Clock
from earhook.control.admission import Admissions
from earhook.control.authentication import Authenticator
from earhook.control.doorkeeper import IngestDoorkeeper
from earhook.control.lifecycle import Stage
from earhook.control.pressure import Pressure
from earhook.control.together import Alone, SharedCalls
from earhook.control.view import IngestParts
from earhook.edge.admission import Admission
from earhook.edge.arrival import EdgeRules
from earhook.hub.hub import Hub
from earhook.ingest.calls import IngestCalls
from earhook.ingest.door import DoorQuestions, IngestDoor
from earhook.ingest.passed import PassedServer, passed_path
from earhook.ingest.passing import Passing
from earhook.ingest.server import IngestServer
from earhook.ingest.settings import IngestSettings
from earhook.ingest.shares import CallCap

from .files import Files

if TYPE_CHECKING:
    from earhook.control.claims import Claims

__all__ = ["HttpsDoor", "Neighbours", "Shared", "Shares"]


class Neighbours(NamedTuple):
    """What worker processes need of each other to answer for each other's calls.

    Attributes:
        claims: Which of them has which call.
        directory: Where their sockets are; nobody else may enter it.
    """

    claims: Claims
    directory: Path


class Shared(NamedTuple):
    """What the doors have in common."""

    hub: Hub
    clock: Clock
    rules: EdgeRules
    authenticator: Authenticator
    pressure: Pressure
    stage: Callable[[], Stage]
    neighbours: Neighbours | None = None
    together: Alone | SharedCalls = Alone()


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
        passing: The way to calls of other processes; None where there are none.
        passed: What other processes pass on to us; None likewise.
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
        neighbours = shared.neighbours
        self.calls = IngestCalls(
            settings,
            shared.hub,
            shared.clock,
            ring_seconds,
            lambda: shared.pressure.is_busy,
            None if neighbours is None else neighbours.claims,
        )
        if isinstance(shared.together, SharedCalls):
            self.calls.shares.others = shared.together
        self.passing: Passing | None = None
        if neighbours is not None:
            self.passing = Passing(neighbours.directory, lambda: self.server.is_ending)
        self.doorkeeper = IngestDoorkeeper(files.bearer_tokens, shared.authenticator, shared.clock)
        self.payload_keys = files.payload_keys
        self._stage = shared.stage
        questions = DoorQuestions(
            self.doorkeeper.judge,
            self._admit,
            lambda: self.payload_keys,
            shares.cap,
            self.passing,
        )
        self.door = IngestDoor(self.calls, questions)
        self.server = IngestServer(
            settings, shared.rules, self.door.answer, certificate=files.ingest_certificate
        )
        self.passed: PassedServer | None = None
        if neighbours is not None:
            path = passed_path(neighbours.directory, neighbours.claims.generation)
            self.passed = PassedServer(path, self.door.answer_passed, self.server.tally)
        self.parts = IngestParts(
            server=self.server,
            door=self.door,
            calls=self.calls,
            admissions=shares.admissions,
            doorkeeper=self.doorkeeper,
            certificate=files.ingest_certificate,
            passing=self.passing,
        )

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen, on sockets made elsewhere if there are any.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        if self.passed is not None:
            await self.passed.start()
        await self.server.start(sockets)
        self.doorkeeper.start()

    @property
    def unproven(self) -> int:
        """Connections that have not shown who they are."""
        return self.server.entrance.unproven

    async def stop(self, deadline_seconds: float) -> None:
        """End every call and cut every connection."""
        self.calls.disconnect()
        stops = [self.server.stop(deadline_seconds)]
        if self.passed is not None:
            stops.append(self.passed.stop(deadline_seconds))
        await asyncio.gather(*stops)
        if self.passing is not None:
            self.passing.stop()
        await self.doorkeeper.stop()

    async def wait_idle(self) -> None:
        """Wait until no call is here, and no request on its way to one that is elsewhere."""
        await self.calls.wait_idle()
        if self.passing is not None:
            await self.passing.wait_idle()

    def replace(self, settings: IngestSettings) -> None:
        """Put other settings in service, for what comes from now on; the rate stays."""
        settings = settings.model_copy(update={"rate": self.calls.settings.rate})
        self.calls.replace(settings)
        self.door.replace_limits()
        self.server.replace_limits(settings)

    def _admit(self) -> Admission:
        return self.admissions.judge(self._stage(), self.calls.count)
