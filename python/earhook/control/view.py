"""The gateway as the admin port shows it: checks, calls, sinks, and the figures of a scrape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from earhook.edge.tally import Closing
from earhook.edge.tls import ServerCertificate
from earhook.hub.hub import Hub
from earhook.media.format import Channel
from earhook.ops.logging import PEER_LINES, lost_lines
from earhook.ops.metrics import Readings
from earhook.ops.watchdog import LoopWatch
from earhook.protocol.events import Ending
from earhook.protocol.signature import Refusal
from earhook.protocol.stream import DropReason
from earhook.sinks.base import LiveCall, Sink, SinkSnapshot
from earhook.transport.server import MediaServer
from earhook.transport.tally import Broken, TransportSnapshot

from .admin import Check
from .admission import Admissions
from .authentication import Authenticator
from .lifecycle import Lifecycle, Stage
from .reload import Reloader

__all__ = ["GatewayView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayView:
    """Reads the rooms' snapshots when somebody asks; holds nothing of its own."""

    lifecycle: Lifecycle
    admissions: Admissions
    authenticator: Authenticator
    reloader: Reloader
    certificate: ServerCertificate | None
    media: MediaServer
    hub: Hub
    sinks: Sequence[Sink]
    watch: LoopWatch

    def checks(self) -> list[Check]:
        """What readiness depends on."""
        stage = self.lifecycle.stage
        connections = self.media.proven_connections
        full = connections >= self.admissions.max_calls
        limit = f"{connections} of {self.admissions.max_calls}"
        return [
            Check("stage", stage is Stage.SERVING, str(stage)),
            Check("max-calls", not full, limit),
            Check("reload", passes=True, detail=_reload_detail(self.reloader)),
            *(
                Check(f"sink:{snapshot.name}", snapshot.healthy, snapshot.detail)
                for snapshot in self._sink_snapshots()
            ),
        ]

    def calls(self, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """Live calls, the oldest first, nothing personal."""
        live = self.hub.snapshot().live
        return len(live), [_call_as_json(call) for call in live[offset : offset + limit]]

    def sinks_as_json(self) -> list[dict[str, Any]]:
        """The ways out and their books."""
        return [_sink_as_json(snapshot) for snapshot in self._sink_snapshots()]

    def read(self, readings: Readings) -> None:
        """Write down every figure of a scrape."""
        transport = self.media.snapshot()
        self._read_control(readings)
        self._read_hub(readings, transport)
        _read_transport(readings, transport)
        for snapshot in self._sink_snapshots():
            _read_sink(readings, snapshot)

    def _sink_snapshots(self) -> list[SinkSnapshot]:
        return [sink.snapshot() for sink in self.sinks]

    def _read_control(self, readings: Readings) -> None:
        stage = self.lifecycle.stage
        ready = all(check.passes for check in self.checks())
        readings.put("earhook_ready", float(ready))
        readings.put("earhook_draining", float(stage not in {Stage.STARTING, Stage.SERVING}))
        readings.put("earhook_calls_limit", self.admissions.max_calls)
        readings.put_each(
            "earhook_calls_refused_total", self.admissions.refused, label="reason", known=_REFUSALS
        )
        readings.put("earhook_signature_replays_total", self.authenticator.replays.repeats)
        readings.put_each("earhook_reloads_total", self.reloader.count, label="reason")
        readings.put("earhook_reload_good", float(self.reloader.last_is_good))
        readings.put_histogram("earhook_loop_lag_seconds", self.watch.lag)
        worst = self.watch.recent_maximum_seconds
        readings.put("earhook_loop_lag_max_seconds", worst)
        # Nothing ever stops reading a socket on purpose, so the loop's lag is the pause.
        readings.put("earhook_read_pause_max_seconds", worst)
        readings.put("earhook_log_lines_suppressed_total", PEER_LINES.suppressed_total)
        readings.put("earhook_log_lines_lost_total", lost_lines())
        if self.certificate is not None:
            expires = self.certificate.facts.expires_wall_seconds
            readings.put("earhook_certificate_expiry_seconds", expires)

    def _read_hub(self, readings: Readings, transport: TransportSnapshot) -> None:
        hub, live = self.hub.snapshot(), transport.live
        readings.put("earhook_calls", len(hub.live))
        readings.put("earhook_calls_opened_total", hub.opened_calls)
        readings.put_each(
            "earhook_calls_closed_total", hub.closed_calls, label="reason", known=Ending
        )
        readings.put("earhook_calls_unbalanced_total", hub.unbalanced_calls)
        readings.put("earhook_samples_received_total", hub.samples_in + live.samples_in)
        readings.put("earhook_samples_written_total", hub.samples_written + live.written)
        for dropped in (hub.samples_dropped, live.dropped):
            readings.put_each(
                "earhook_samples_dropped_total", dropped, label="reason", known=_DROPS
            )
        readings.put("earhook_ring_bytes", hub.ring_bytes)
        readings.put("earhook_ring_limit_bytes", hub.ring_limit_bytes)


def _read_transport(readings: Readings, transport: TransportSnapshot) -> None:
    readings.put("earhook_connections", transport.connections)
    readings.put("earhook_connections_unauthenticated", transport.unproven)
    readings.put("earhook_connections_accepted_total", transport.accepted)
    readings.put("earhook_tls_handshake_failures_total", transport.handshakes_failed)
    readings.put("earhook_accept_errors_total", transport.accept_errors)
    readings.put("earhook_probes_total", transport.probes)
    readings.put("earhook_faults_total", transport.faults)
    by_reason: dict[str, tuple[Mapping[str, int], Iterable[str]]] = {
        "earhook_connections_refused_total": (transport.refused, (*Closing, *_STATUSES)),
        "earhook_connections_broken_total": (transport.broken, Broken),
        "earhook_authentication_refused_total": (transport.refusals, Refusal),
        "earhook_request_faults_total": (transport.request_faults, ()),
        "earhook_calls_refused_total": (transport.calls_refused, ()),
    }
    for name, (counts, known) in by_reason.items():
        readings.put_each(name, counts, label="reason", known=known)
    readings.put_each("earhook_frames_received_total", transport.frames, label="codec")
    readings.put_each("earhook_audio_received_bytes_total", transport.audio_bytes, label="codec")
    readings.put_histogram("earhook_opened_latency_seconds", transport.opened_latency)
    readings.put_histogram("earhook_signature_age_seconds", transport.signature_age)


def _read_sink(readings: Readings, snapshot: SinkSnapshot) -> None:
    sink, books = snapshot.name, snapshot.books
    readings.put("earhook_sink_healthy", float(snapshot.healthy), sink=sink)
    readings.put("earhook_sink_calls", snapshot.calls, sink=sink)
    readings.put("earhook_sink_subscribers", len(snapshot.subscribers), sink=sink)
    readings.put("earhook_sink_received_samples_total", books.received, sink=sink)
    readings.put("earhook_sink_forwarded_samples_total", books.forwarded, sink=sink)
    readings.put("earhook_sink_buffered_samples", books.buffered, sink=sink)
    readings.put_each(
        "earhook_sink_dropped_samples_total",
        books.dropped,
        label="reason",
        known=_SINK_DROPS,
        sink=sink,
    )
    readings.put_each("earhook_sink_events_total", snapshot.counters, label="reason", sink=sink)
    readings.put_each("earhook_sink_pending", snapshot.gauges, label="reason", sink=sink)


def _reload_detail(reloader: Reloader) -> str:
    if reloader.last_is_good:
        return ""
    return (
        "the last one was refused, older keys and certificate serve; "
        "the log says why (reload.refused)"
    )


_REFUSALS: Final = ("max-calls", "draining", "BudgetExhausted", "DuplicateSession")
_STATUSES: Final = ("401", "404", "503")
_DROPS: Final = (*DropReason, "fault")
_SINK_DROPS: Final = ("overrun", "detached", "io_error", "part_limit", "fault")
"""Reasons that are exported as 0 before they first happen; see `Readings.put_each`."""


def _call_as_json(call: LiveCall) -> dict[str, Any]:
    pipeline = call.pipeline
    return {
        **call.facts.as_json(personal=False),
        "position": pipeline.position,
        "written": pipeline.written_samples,
        "frames": pipeline.frames,
        "gaps": len(pipeline.gaps()),
        "levels": {
            Channel(channel).word: {"peak": peak, "rms": round(rms, 1)}
            for channel, peak, rms in pipeline.levels()
        },
    }


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
