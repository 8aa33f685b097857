"""All doors, and what they share: one allow-list, one trust in proxies, one set of limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from earhook.config.schema import Configuration
from earhook.control.admission import Admissions
from earhook.control.call_caps import CallCaps
from earhook.control.ip_ranges import IpRanges
from earhook.edge.admission import Admission
from earhook.edge.redirect import RedirectServer
from earhook.ids import KeyName
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
        self.admissions = Admissions(media.max_calls, shedding, shared.pressure)
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
            admissions = Admissions(ingest.max_calls, shedding, shared.pressure)
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
    def starts(self) -> list[Callable[[], Awaitable[None]]]:
        """What opens each of them; they may raise `ConfigurationError`."""
        rooms = (self.ip_ranges, self.media, self.https, self.redirect)
        return [room.start for room in rooms if room is not None]

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
            await self.https.calls.wait_idle()

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

    def _replace_caps(self, configuration: Configuration) -> None:
        ingest = configuration.ingest
        self.caps.replace(
            configuration.keys,
            () if ingest is None else ingest.tokens,
            () if ingest is None else ingest.issuers,
        )

    def _has_room(self, key_name: KeyName) -> bool:
        cap = self.caps.of(key_name)
        return cap is None or self.media.calls_of(key_name) < cap

    def _admit(self) -> Admission:
        return self.admissions.judge(
            self._stage(), self.media.proven_connections, self.media.probe_connections
        )


_LOG: Final = get_logger(__name__)
