"""What the rooms count, written down for a scrape. Nothing is counted here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from earhook.edge.tally import Closing, EdgeTally
from earhook.ingest.refusal import Word
from earhook.ingest.shares import SENDER_CALLS, SENDER_RATE
from earhook.ingest.tally import IngestSnapshot, Slow
from earhook.protocol.signature import Refusal
from earhook.sinks.base import SinkSnapshot
from earhook.transport.tally import Broken, NoCall, TransportSnapshot

from .admission import FULL
from .doorkeeper import REFUSALS
from .lifecycle import Stage
from .pressure import Strain

if TYPE_CHECKING:
    from earhook.edge.access import Access
    from earhook.ingest.call_tally import CallTally
    from earhook.ingest.calls import IngestCalls
    from earhook.ingest.delay import DelayGauge
    from earhook.ingest.passing import PassingTally
    from earhook.ops.readings import Readings
    from earhook.sinks.signal.sink import SignalSink

    from .admission import Admissions
    from .doorkeeper import IngestDoorkeeper
    from .ip_ranges import IpRanges
    from .jwks import FetchedKeys
    from .pressure import Pressure
    from .replay import ReplayGuard

__all__ = [
    "read_access",
    "read_admissions",
    "read_delay",
    "read_doorkeeper",
    "read_edge",
    "read_ingest_calls",
    "read_ingest_server",
    "read_pressure",
    "read_replays",
    "read_signal",
    "read_sink",
    "read_transport",
]


def read_admissions(readings: Readings, door: str, admissions: Admissions, counted: int) -> None:
    """What one door lets in. `counted`: what is held against its number of calls."""
    readings.put("earhook_calls_limit", admissions.max_calls, door=door)
    readings.put("earhook_calls_counted", counted, door=door)
    readings.put_each(
        "earhook_calls_refused_total",
        admissions.refused,
        label="reason",
        known=(FULL, Stage.DRAINING, *Strain),
        door=door,
    )


def read_pressure(readings: Readings, pressure: Pressure) -> None:
    """What is short."""
    for strain, level in pressure.levels.items():
        readings.put("earhook_shedding", float(level.exceeded), reason=strain)
        readings.put("earhook_pressure", level.value / level.limit, reason=strain)


def read_access(readings: Readings, access: Access, ranges: IpRanges | None) -> None:
    """Who may knock."""
    if not access.is_open:
        readings.put("earhook_access_networks", len(access))
    if ranges is None:
        return
    readings.put("earhook_ip_ranges_networks", ranges.networks)
    readings.put_each("earhook_ip_ranges_refreshes_total", ranges.refreshes, label="reason")
    if ranges.age_seconds is not None:
        readings.put("earhook_ip_ranges_age_seconds", ranges.age_seconds)


def read_replays(readings: Readings, replays: ReplayGuard, wall_seconds: float) -> None:
    """Signatures that were used before."""
    readings.put("earhook_signature_replays_total", replays.repeats)
    readings.put("earhook_signatures_unremembered_total", replays.overflows, reason="full")
    readings.put("earhook_signatures_unremembered_total", replays.timeouts, reason="busy")
    readings.put("earhook_replay_store_used", replays.store.living(wall_seconds))
    readings.put("earhook_replay_store_slots", replays.store.slots)


def read_edge(readings: Readings, door: str, edge: EdgeCounts, unproven: int) -> None:
    """Connections of one port, before they come to anything."""
    readings.put("earhook_connections_unauthenticated", unproven, door=door)
    readings.put("earhook_connections_accepted_total", edge.accepted, door=door)
    readings.put("earhook_tls_handshake_failures_total", edge.handshakes_failed, door=door)
    readings.put("earhook_accept_errors_total", edge.accept_errors, door=door)
    readings.put_each(
        "earhook_connections_refused_total",
        edge.closed_early,
        label="reason",
        known=Closing,
        door=door,
    )


def read_transport(readings: Readings, transport: TransportSnapshot) -> None:
    """The media port."""
    read_edge(readings, "media", transport, transport.unproven)
    readings.put("earhook_connections", transport.connections, door="media")
    readings.put("earhook_probes_total", transport.probes)
    readings.put("earhook_faults_total", transport.faults)
    readings.put_each(
        "earhook_connections_broken_total", transport.broken, label="reason", known=Broken
    )
    statuses = {str(status): n for status, n in transport.responses.items() if status != 200}
    by_reason: dict[str, tuple[Mapping[str, int], Iterable[str]]] = {
        "earhook_connections_refused_total": (statuses, _STATUSES),
        "earhook_authentication_refused_total": (transport.refusals, Refusal),
        "earhook_request_faults_total": (transport.request_faults, ()),
        "earhook_calls_refused_total": (transport.calls_refused, NoCall),
    }
    for name, (counts, known) in by_reason.items():
        readings.put_each(name, counts, label="reason", known=known, door="media")
    readings.put_each("earhook_frames_received_total", transport.frames, label="codec")
    readings.put_each("earhook_audio_received_bytes_total", transport.audio_bytes, label="codec")
    readings.put_histogram("earhook_opened_latency_seconds", transport.opened_latency)
    readings.put_histogram("earhook_signature_age_seconds", transport.signature_age)


def read_ingest_server(readings: Readings, server: IngestSnapshot) -> None:
    """The ingest port, as far as it is HTTP."""
    read_edge(readings, "ingest", server, server.unproven)
    readings.put("earhook_connections", server.connections, door="ingest")
    readings.put("earhook_faults_total", server.faults)
    readings.put_each(
        "earhook_request_faults_total", server.request_faults, label="reason", door="ingest"
    )
    statuses = {str(status): count for status, count in server.responses.items()}
    readings.put_each("earhook_ingest_responses_total", statuses, label="status")
    readings.put_each("earhook_ingest_slow_total", server.slow, label="reason", known=Slow)
    readings.put("earhook_ingest_requests_total", server.requests)
    readings.put("earhook_ingest_open_requests", server.open_requests)
    readings.put("earhook_ingest_body_bytes_total", server.body_bytes)
    readings.put("earhook_ingest_bodies_cut_total", server.bodies_cut)
    readings.put("earhook_ingest_read_pauses_total", server.read_pauses)
    readings.put("earhook_ingest_read_pause_max_seconds", server.read_pause_max_seconds)


def read_ingest_calls(readings: Readings, calls: IngestCalls) -> None:
    """The ingest port, as far as it is calls; their samples are the hub's affair."""
    tally = calls.tally
    readings.put("earhook_ingest_checks_total", tally.checks)
    readings.put("earhook_ingest_buffered_bytes", calls.buffered_bytes)
    readings.put_each("earhook_ingest_blocks_total", _blocks(tally), label="kind")
    streams = {"whole": tally.streams - tally.streams_cut, "cut": tally.streams_cut}
    readings.put_each("earhook_ingest_streams_total", streams, label="kind")
    readings.put_each(
        "earhook_ingest_requests_refused_total", tally.refusals, label="reason", known=Word
    )
    readings.put_each("earhook_ingest_suspect_calls_total", tally.suspects, label="reason")
    readings.put_each("earhook_ingest_packets_total", tally.packets, label="kind")
    readings.put_each(
        "earhook_calls_refused_total",
        tally.calls_refused,
        label="reason",
        known=(Word.DELAYED, Word.NO_ROOM, Word.DUPLICATE_SESSION, SENDER_CALLS, SENDER_RATE),
        door="ingest",
    )
    live = calls.books()
    frames = Counter(tally.blocks_by_codec) + live.frames
    audio_bytes = Counter(tally.audio_bytes) + live.audio_bytes
    readings.put_each("earhook_frames_received_total", frames, label="codec")
    readings.put_each("earhook_audio_received_bytes_total", audio_bytes, label="codec")


def read_passing(readings: Readings, tally: PassingTally) -> None:
    """Requests that came in here and were about calls of other worker processes."""
    counted = {
        "answered": tally.passed,
        "not-there": tally.not_there,
        "unreachable": tally.unreachable,
        "owner-lost": tally.lost,
    }
    readings.put_each("earhook_ingest_passed_total", counted, label="reason")


def read_delay(readings: Readings, delay: DelayGauge) -> None:
    """How long audio is on its way to the ingest."""
    readings.put_histogram("earhook_ingest_delay_seconds", delay.histogram)
    readings.put("earhook_ingest_timestamps_ignored_total", delay.ignored)
    if delay.smoothed_seconds is not None:
        readings.put("earhook_ingest_delay_smoothed_seconds", delay.smoothed_seconds)


def read_doorkeeper(
    readings: Readings, doorkeeper: IngestDoorkeeper, fetched: Iterable[tuple[str, FetchedKeys]]
) -> None:
    """Who comes in at the ingest, and how old the keys are that this is judged by."""
    readings.put_each("earhook_ingest_authenticated_total", doorkeeper.accepted, label="kind")
    readings.put_each(
        "earhook_authentication_refused_total",
        doorkeeper.refused,
        label="reason",
        known=REFUSALS,
        door="ingest",
    )
    ends: dict[str, float] = {}
    for token in doorkeeper.tokens.static:
        end = math.inf if token.ends_wall_seconds is None else token.ends_wall_seconds
        ends[token.name] = max(end, ends.get(token.name, end))
    for name, end in ends.items():
        if end < math.inf:
            readings.put("earhook_token_expiry_seconds", end, token=name)
    for issuer, keys in fetched:
        readings.put("earhook_issuer_keys_failures_total", keys.failures, issuer=issuer)
        if keys.age_seconds is not None:
            readings.put("earhook_issuer_keys_age_seconds", keys.age_seconds, issuer=issuer)


def read_sink(readings: Readings, snapshot: SinkSnapshot) -> None:
    """One way out."""
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
    readings.put("earhook_sink_late_samples_total", books.late, sink=sink)
    readings.put_each("earhook_sink_events_total", snapshot.counters, label="reason", sink=sink)
    readings.put_each("earhook_sink_pending", snapshot.gauges, label="reason", sink=sink)


def read_signal(readings: Readings, signal: SignalSink) -> None:
    """What calls sounded like, of those that have ended; and what it took to find out."""
    readings.put_each("earhook_signal_seconds_total", signal.totals.seconds, label="kind")
    readings.put("earhook_signal_one_way_calls_total", signal.totals.one_way_calls)
    readings.put_each("earhook_signal_calls", signal.calls_with(), label="kind")
    readings.put("earhook_signal_cpu_seconds_total", signal.cpu_seconds)


def _blocks(tally: CallTally) -> dict[str, int]:
    return {
        "taken": tally.blocks,
        "duplicate": tally.duplicate_blocks,
        "late": tally.late_blocks,
        "missing": tally.missing_blocks,
    }


EdgeCounts = EdgeTally | TransportSnapshot | IngestSnapshot
"""Whatever has the counters of an edge."""

_STATUSES: Final = ("401", "404", "503")
_SINK_DROPS: Final = ("overrun", "detached", "io_error", "part_limit", "fault")
"""Reasons that are exported as 0 before they first happen; see `Readings.put_each`."""
