"""The gateway as the admin port shows it: checks, calls, sinks, and the figures of a scrape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from earhook.edge.access import Access
from earhook.edge.tls import ServerCertificate
from earhook.hub.books import LiveBooks
from earhook.hub.hub import Hub
from earhook.ingest.calls import IngestCalls
from earhook.ingest.door import IngestDoor
from earhook.ingest.passing import Passing
from earhook.ingest.server import IngestServer
from earhook.ops.logging import PEER_LINES, lost_lines
from earhook.ops.readings import Readings, metrics_registry
from earhook.ops.watchdog import LoopWatch
from earhook.protocol.events import Ending
from earhook.protocol.stream import DropReason
from earhook.sinks.base import LiveCall, Sink, SinkSnapshot
from earhook.sinks.signal.sink import SignalSink
from earhook.transport.server import MediaServer
from earhook.transport.tally import TransportSnapshot

from . import figures
from .admin import CallList, Check, SinkList
from .admission import FULL, Admissions
from .authentication import Authenticator
from .doorkeeper import IngestDoorkeeper
from .ip_ranges import IpRanges
from .jwks import FetchedKeys
from .lifecycle import Lifecycle, Stage
from .pressure import Pressure
from .reload import Reloader

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from earhook.clock import Clock
    from earhook.edge.redirect import RedirectServer

__all__ = ["AloneView", "GatewayView", "IngestParts"]


class IngestParts(NamedTuple):
    """What the ingest port is made of."""

    server: IngestServer
    door: IngestDoor
    calls: IngestCalls
    admissions: Admissions
    doorkeeper: IngestDoorkeeper
    certificate: ServerCertificate | None
    passing: Passing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayView:
    """Reads the rooms' snapshots when somebody asks; holds nothing of its own.

    `certificate` is that of the media port. `ingest`, `ip_ranges` and `redirect` are None where
    they are not configured.
    """

    clock: Clock
    lifecycle: Lifecycle
    admissions: Admissions
    pressure: Pressure
    authenticator: Authenticator
    reloader: Reloader[Any]
    certificate: ServerCertificate | None
    access: Access
    media: MediaServer
    hub: Hub
    sinks: Sequence[Sink]
    watch: LoopWatch
    ingest: IngestParts | None = None
    ip_ranges: IpRanges | None = None
    redirect: RedirectServer | None = None
    signal: SignalSink | None = None

    def checks(self) -> list[Check]:
        """What readiness depends on."""
        stage = self.lifecycle.stage
        return [
            Check("stage", stage is Stage.SERVING, str(stage)),
            *self._check_room(),
            Check("reload", passes=True, detail=_reload_detail(self.reloader)),
            *self._check_access(),
            *(
                Check(f"sink:{snapshot.name}", snapshot.healthy, snapshot.detail)
                for snapshot in self._sink_snapshots()
            ),
        ]

    def calls(self, offset: int, limit: int) -> CallList:
        """Live calls, the oldest first, nothing personal."""
        live = self.hub.snapshot().live
        return CallList(len(live), [_call_as_json(call) for call in live[offset : offset + limit]])

    def sinks_as_json(self) -> list[dict[str, Any]]:
        """The ways out and their books."""
        return [_sink_as_json(snapshot) for snapshot in self._sink_snapshots()]

    def read(self, readings: Readings) -> None:
        """Write down every figure of a scrape."""
        transport = self.media.snapshot()
        self._read_control(readings)
        self._read_doors(readings, transport)
        self._read_hub(readings, transport)
        for snapshot in self._sink_snapshots():
            figures.read_sink(readings, snapshot)
        if self.signal is not None:
            figures.read_signal(readings, self.signal)

    def _check_room(self) -> Iterator[Check]:
        """Whether a call would be let in, but for the stage."""
        for name, admissions, counted in self._doors():
            is_full = admissions.reason(counted) == FULL
            held = admissions.counted(counted)
            yield Check(name, not is_full, f"{held} of {admissions.max_calls}")
        for strain, level in self.pressure.levels.items():
            if level.exceeded:
                yield Check(strain, passes=False, detail=level.text)

    def _check_access(self) -> Iterator[Check]:
        """Whether anybody may knock. An old list is a reason to look, not to go elsewhere."""
        if self.access.is_open:
            return
        ranges = self.ip_ranges
        detail = f"networks: {len(self.access)}"
        if ranges is not None and ranges.is_old:
            age = ranges.age_seconds
            since = "never fetched" if age is None else f"fetched {age / 3600:.0f} hours ago"
            detail += f"; the published ones were {since}: the log says why (ip_ranges)"
        yield Check("access", len(self.access) > 0, detail)

    def _doors(self) -> Iterator[tuple[str, Admissions, int]]:
        """Each door's check of room, its admissions, and what counts as calls there."""
        yield FULL, self.admissions, self.media.proven_connections
        if self.ingest is not None:
            yield f"ingest-{FULL}", self.ingest.admissions, self.ingest.calls.count

    def _sink_snapshots(self) -> list[SinkSnapshot]:
        return [sink.snapshot() for sink in self.sinks]

    def _read_control(self, readings: Readings) -> None:
        stage = self.lifecycle.stage
        ready = all(check.passes for check in self.checks())
        readings.put("earhook_ready", float(ready))
        readings.put("earhook_draining", float(stage not in {Stage.STARTING, Stage.SERVING}))
        figures.read_pressure(readings, self.pressure)
        figures.read_access(readings, self.access, self.ip_ranges)
        figures.read_replays(readings, self.authenticator.replays, self.clock.wall_seconds())
        readings.put_each("earhook_reloads_total", self.reloader.count, label="reason")
        readings.put("earhook_reload_good", float(self.reloader.last_is_good))
        readings.put_histogram("earhook_loop_lag_seconds", self.watch.lag)
        worst = self.watch.recent_maximum_seconds
        readings.put("earhook_loop_lag_max_seconds", worst)
        # No socket is left unread on purpose but those whose body the ingest has not taken yet,
        # which it counts itself: for all others the loop's lag is the pause.
        readings.put("earhook_read_pause_max_seconds", worst)
        suppressed = PEER_LINES.suppressed_total + self.hub.suppressed_lines
        readings.put("earhook_log_lines_suppressed_total", suppressed)
        readings.put("earhook_log_lines_lost_total", lost_lines())

    def _read_doors(self, readings: Readings, transport: TransportSnapshot) -> None:
        figures.read_transport(readings, transport)
        counted = self.media.proven_connections
        figures.read_admissions(readings, "media", self.admissions, counted)
        _read_certificate(readings, "media", self.certificate)
        if self.redirect is not None:
            figures.read_edge(readings, "redirect", self.redirect.tally, self.redirect.unproven)
        if self.ingest is None:
            return
        server, door, calls, admissions, doorkeeper, certificate, passing = self.ingest
        figures.read_ingest_server(readings, server.snapshot())
        figures.read_ingest_calls(readings, calls)
        figures.read_delay(readings, door.delay)
        if passing is not None:
            figures.read_passing(readings, passing.tally)
        figures.read_admissions(readings, "ingest", admissions, calls.count)
        fetched = [
            (str(issuer.name), issuer.keys)
            for issuer in doorkeeper.tokens.issuers
            if isinstance(issuer.keys, FetchedKeys)
        ]
        figures.read_doorkeeper(readings, doorkeeper, fetched)
        _read_certificate(readings, "ingest", certificate)

    def _read_hub(self, readings: Readings, transport: TransportSnapshot) -> None:
        hub = self.hub.snapshot()
        live: list[LiveBooks] = [transport.live]
        if self.ingest is not None:
            live.append(self.ingest.calls.books())
        readings.put("earhook_calls", len(hub.live))
        readings.put("earhook_calls_opened_total", hub.opened_calls)
        readings.put_each(
            "earhook_calls_closed_total", hub.closed_calls, label="reason", known=Ending
        )
        readings.put("earhook_calls_unbalanced_total", hub.unbalanced_calls)
        readings.put(
            "earhook_samples_received_total",
            hub.samples_in + sum(books.samples_in for books in live),
        )
        readings.put(
            "earhook_samples_written_total",
            hub.samples_written + sum(books.written for books in live),
        )
        for dropped in (hub.samples_dropped, *(books.dropped for books in live)):
            readings.put_each(
                "earhook_samples_dropped_total", dropped, label="reason", known=_DROPS
            )
        readings.put("earhook_ring_bytes", hub.ring_bytes)
        readings.put("earhook_ring_limit_bytes", hub.ring_limit_bytes)


class AloneView:
    """The admin port of a gateway of one process: everything is known here, at once."""

    def __init__(self, view: GatewayView) -> None:
        self._view = view
        self._registry = metrics_registry(view.read)

    async def checks(self) -> list[Check]:
        """As `GatewayView.checks`."""
        return self._view.checks()

    async def calls(self, offset: int, limit: int) -> CallList:
        """As `GatewayView.calls`."""
        return self._view.calls(offset, limit)

    async def sinks(self) -> SinkList:
        """As `GatewayView.sinks_as_json`."""
        return SinkList(self._view.sinks_as_json())

    async def registry(self) -> CollectorRegistry:
        """Reads the view when it is encoded."""
        return self._registry


def _read_certificate(readings: Readings, door: str, certificate: ServerCertificate | None) -> None:
    if certificate is not None:
        expires = certificate.facts.expires_wall_seconds
        readings.put("earhook_certificate_expiry_seconds", expires, door=door)


def _reload_detail(reloader: Reloader[Any]) -> str:
    if reloader.last_is_good:
        return ""
    return (
        "the last one was refused, what was there before serves; the log says why (reload.refused)"
    )


_DROPS: Final = (*DropReason, "fault", "late")
"""Reasons that are exported as 0 before they first happen; see `Readings.put_each`."""


def _call_as_json(call: LiveCall) -> dict[str, Any]:
    facts = call.facts
    return {**facts.as_json(personal=False), "door": facts.door, **call.as_json()}


def _sink_as_json(snapshot: SinkSnapshot) -> dict[str, Any]:
    return {
        "name": snapshot.name,
        "kind": snapshot.kind,
        "healthy": snapshot.healthy,
        "detail": snapshot.detail,
        "calls": snapshot.calls,
        "books": snapshot.books.as_json(),
        "counters": dict(snapshot.counters),
        "gauges": dict(snapshot.gauges),
        "subscribers": [dict(subscriber) for subscriber in snapshot.subscribers],
    }
