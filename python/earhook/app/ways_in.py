"""All doors, and what they share: one allow-list, one trust in proxies, one set of limits."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from earhook.config.schema import Configuration
from earhook.control.admission import Admissions
from earhook.control.board import Counts
from earhook.control.call_caps import CallCaps
from earhook.control.ip_ranges import IpRanges
from earhook.control.together import Present
from earhook.edge.admission import Admission
from earhook.edge.redirect import RedirectServer
from earhook.ids import KeyName
from earhook.ingest.credentials import Party
from earhook.ops.logging import get_logger
from earhook.transport.connection import CallListeners
from earhook.transport.server import MediaServer
from earhook.transport.tally import TransportTally
from earhook.transport.upgrade import Doors

from .files import Files
from .https_door import HttpsDoor, Shared, Shares

__all__ = ["WaysIn"]


class WaysIn:
    """The media port, the ingest and the redirect port, as far as they are configured.

    Attributes:
        rules: What is asked of every connection of every door.
        caps: How many calls a credential may have.
        admissions: Whether one more call may come in at the media port.
        media: AudioHook over WebSocket.
        https: Call audio over HTTPS POST; None without `[ingest]`.
        redirect: The plain HTTP port; None without `[redirect]`.
        ip_ranges: The published networks; None without `[access.ip_ranges]`.
    """

    def __init__(self, configuration: Configuration, files: Files, shared: Shared) -> None:
        media, ingest, shedding = configuration.media, configuration.ingest, configuration.shedding
        tally = TransportTally()
        self.rules = rules = shared.rules
        self.caps = CallCaps()
        self._replace_caps(configuration)
        self._stage = shared.stage
        self._hub = shared.hub
        self._together = together = shared.together
        self.admissions = Admissions(
            media.max_calls, shedding, shared.pressure, together.at("media")
        )
        listeners = CallListeners(
            shared.hub,
            configuration.protocol,
            configuration.limits.frames,
            tally,
            shared.clock,
        )
        self.media = MediaServer(
            media,
            rules,
            Doors(shared.authenticator.judge, self._admit, listeners, has_room=self._has_room),
            clock=shared.clock,
            tally=tally,
            certificate=files.certificate,
        )
        self.https: HttpsDoor | None = None
        if ingest is not None:
            admissions = Admissions(
                ingest.max_calls, shedding, shared.pressure, together.at("ingest")
            )
            ring_seconds = configuration.ring.seconds
            shares = Shares(admissions, self.caps.of)
            self.https = HttpsDoor(ingest, shares, files, shared, ring_seconds)
        redirect, access = configuration.redirect, configuration.access
        self.redirect = None if redirect is None else RedirectServer(redirect, rules)
        ranges = None if access is None else access.ip_ranges
        self.ip_ranges = None if ranges is None else IpRanges(ranges, rules.access, shared.clock)

    @property
    def connections(self) -> int:
        """Connections and calls that an end would cut."""
        return self.media.connections + (self.https.calls.count if self.https else 0)

    @property
    def strangers(self) -> int:
        """Connections that have come in and have not shown who they are."""
        doors = (self.media, self.https, self.redirect)
        return sum(door.unproven for door in doors if door is not None)

    def starts(
        self, sockets: Mapping[str, Sequence[socket.socket]]
    ) -> Sequence[Callable[[], Awaitable[None]]]:
        """What opens each of them; they may raise `ConfigurationError`.

        Args:
            sockets: What a door listens on, where it is not to make that for itself.
        """
        doors = {"media": self.media, "ingest": self.https, "redirect": self.redirect}
        ranges = [] if self.ip_ranges is None else [self.ip_ranges.start]
        return [self._share_calls, *ranges] + [
            partial(room.start, sockets.get(door))
            for door, room in doors.items()
            if room is not None
        ]

    def stop_accepting(self) -> None:
        """Close the listening sockets; what has come in goes on.

        Connections of the ingest that carry no call end with their next answer, so that their
        senders go where somebody listens.
        """
        self.media.stop_accepting()
        if self.https is not None:
            self.https.server.stop_accepting()
            self.https.server.refuse()
        if self.redirect is not None:
            self.redirect.stop_accepting()

    def refuse_calls(self) -> None:
        """New calls are refused from now on; everything else goes on."""
        self.media.refuse_calls()
        if self.https is not None:
            self.https.server.refuse()

    def disconnect_calls(self, spread_seconds: float) -> None:
        """Ask every call to end."""
        self.media.disconnect_calls(spread_seconds)
        if self.https is not None:
            self.https.calls.disconnect()

    def cut_calls(self) -> None:
        """End every call, without asking."""
        self.media.cut_calls()
        if self.https is not None:
            self.https.calls.disconnect()

    async def wait_idle(self) -> None:
        """Wait until no call is live at any door."""
        await self.media.wait_idle()
        if self.https is not None:
            await self.https.wait_idle()

    async def stop(self, deadline_seconds: float) -> None:
        """Close all of it; after the deadline connections are cut.

        Whatever fails in one of them, the others are closed, and the sinks get their turn.
        """
        stops: list[Awaitable[None]] = [self.media.stop(deadline_seconds)]
        if self.https is not None:
            stops.append(self.https.stop(deadline_seconds))
        stops += [room.stop() for room in (self.redirect, self.ip_ranges) if room is not None]
        for failed in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(failed, Exception):
                _LOG.error("door.stop_failed", exc_info=failed)
        self._together.stop()

    def sweep(self) -> None:
        """To be called about once a second."""
        if self.https is not None:
            self.https.calls.sweep()

    def replace_limits(self, fresh: Configuration) -> None:
        """Put the limits of another configuration in service, for what comes from now on."""
        limits = fresh.limits.connections
        self.admissions.replace(fresh.media.max_calls, fresh.shedding)
        self._replace_caps(fresh)
        self.media.replace_limits(limits)
        if self.redirect is not None:
            self.redirect.replace_limits(limits)
        if self.https is not None and fresh.ingest is not None:
            self.https.admissions.replace(fresh.ingest.max_calls, fresh.shedding)
            self.https.server.entrance.replace_limits(limits)
            self.https.replace(fresh.ingest)

    async def _share_calls(self) -> None:
        """Tell other workers what is live here, from now on."""
        media, calls = self.media, None if self.https is None else self.https.calls

        def counts() -> Counts:
            ingest = 0 if calls is None else calls.count
            return Counts(media.proven_connections, media.probe_connections, ingest)

        def of_sender(whose: Party | KeyName) -> int:
            return 0 if calls is None else calls.shares.calls_of(whose)

        self._together.start(
            Present(counts, lambda: self._hub.live_calls, media.calls_of, of_sender)
        )

    def _replace_caps(self, configuration: Configuration) -> None:
        ingest = configuration.ingest
        self.caps.replace(
            configuration.keys,
            () if ingest is None else ingest.tokens,
            () if ingest is None else ingest.issuers,
        )

    def _has_room(self, key_name: KeyName) -> bool:
        own = self.media.calls_of(key_name)
        return self._together.has_room(key_name, own, self.caps.of(key_name))

    def _admit(self) -> Admission:
        return self.admissions.judge(
            self._stage(), self.media.proven_connections, self.media.probe_connections
        )


_LOG: Final = get_logger(__name__)
