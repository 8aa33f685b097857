"""Every metric, declared once: name, kind, labels, help; and what it is of several processes.

Nothing is counted here. The owners of the figures keep plain ints; at a scrape the composition
writes them into `Readings`, which refuses a name or a label that the table does not declare.
`docs/reference/metrics.md` is made from the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DECLARED", "MAX_SERIES", "METRICS", "Metric", "reference_page"]

MAX_SERIES: Final = 64
"""Label sets per metric; what comes on top is added up under `other`."""


class Metric(NamedTuple):
    """One declaration.

    Attributes:
        name: What it is called.
        kind: Counters and histograms of several processes add up.
        labels: Names of its labels.
        text: What it says.
        together: What a gauge of several processes is: their sum, or the worst of them. Every
            gauge has a rule; nothing else has one.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str
    together: Literal["sum", "max", "min"] | None = None


def reference_page() -> str:
    """`docs/reference/metrics.md`, made from the table."""
    lines = [
        "# Metrics",
        "",
        "Made from `python/earhook/ops/metrics.py` by `python -m earhook.config.reference`; do not",
        "edit. Served as `/metrics` on the admin port, in the text format of Prometheus, together",
        "with the usual `process_*` and `python_gc_*` figures.",
        "",
        "No label ever holds anything a peer chose: what is known of one call is at",
        "`/api/v1/calls`. A `door` is `media` (WebSocket), `ingest` (HTTPS POST) or `redirect`.",
        "Samples are counted per channel: 8,000 or 16,000 are one second of a call.",
        "",
        "With several worker processes, the port answers for all of them. Counters and histograms",
        "add up and never go backwards, whatever worker ends or dies; what a gauge is of several",
        "is in its row: their `sum`, or the `max` or the `min` of them. The `process_*` and",
        "`python_gc_*` figures are then those of the parent process alone.",
        "",
        "| metric | kind | labels | of several workers | what it says |",
        "|---|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        cells = (f"`{metric.name}`", metric.kind, labels, metric.together or "sum", metric.text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_INGEST: Final = (
    Metric("earhook_ingest_requests_total", "counter", (), "Requests whose head was read."),
    Metric(
        "earhook_ingest_responses_total", "counter", ("status",), "Requests answered, by status."
    ),
    Metric(
        "earhook_ingest_checks_total",
        "counter",
        (),
        "Connectivity checks answered; they are no calls.",
    ),
    Metric(
        "earhook_ingest_authenticated_total",
        "counter",
        ("kind",),
        "Requests let in, by kind of credential.",
    ),
    Metric(
        "earhook_ingest_requests_refused_total",
        "counter",
        ("reason",),
        "Requests refused, by the word they got.",
    ),
    Metric(
        "earhook_ingest_open_requests",
        "gauge",
        (),
        "Requests whose body is not at its end.",
        together="sum",
    ),
    Metric(
        "earhook_ingest_buffered_bytes",
        "gauge",
        (),
        "Memory held for blocks that are being read.",
        together="sum",
    ),
    Metric(
        "earhook_ingest_slow_total",
        "counter",
        ("reason",),
        "Connections ended because the peer was too slow.",
    ),
    Metric("earhook_ingest_body_bytes_total", "counter", (), "Bytes of bodies received."),
    Metric(
        "earhook_ingest_bodies_cut_total", "counter", (), "Bodies that did not come to their end."
    ),
    Metric(
        "earhook_ingest_blocks_total",
        "counter",
        ("kind",),
        "Blocks: `taken`, `duplicate` (had come before), `late` (their place was given away), "
        "`missing` (numbers that were skipped).",
    ),
    Metric(
        "earhook_ingest_passed_total",
        "counter",
        ("reason",),
        "Requests about a call of another worker process, by what came of it: `answered` there, "
        "`not-there` any more, `unreachable`, or `owner-lost` in the middle. Senders that keep "
        "their connections cause none.",
    ),
    Metric(
        "earhook_ingest_streams_total",
        "counter",
        ("kind",),
        "Requests that carried a whole call: those that were `cut`, and the other (`whole`).",
    ),
    Metric(
        "earhook_ingest_packets_total",
        "counter",
        ("kind",),
        "What decoders and decryption counted in ended calls: packets, such as were concealed, "
        "records refused and so on.",
    ),
    Metric(
        "earhook_ingest_suspect_calls_total",
        "counter",
        ("reason",),
        "Calls whose audio plainly is not what their Content-Type says, by what it probably is.",
    ),
    Metric(
        "earhook_ingest_delay_seconds",
        "histogram",
        (),
        "How long audio was on its way, by the sender's timestamps: delay and the difference of "
        "the clocks.",
    ),
    Metric(
        "earhook_ingest_delay_smoothed_seconds",
        "gauge",
        (),
        "The same, smoothed; above the limit no new calls.",
        together="max",
    ),
    Metric(
        "earhook_ingest_timestamps_ignored_total", "counter", (), "Timestamps that could not be."
    ),
    Metric(
        "earhook_ingest_read_pause_max_seconds",
        "gauge",
        (),
        "The longest time since the start in which a connection was left unread because its body "
        "was not taken.",
        together="max",
    ),
    Metric(
        "earhook_ingest_read_pauses_total",
        "counter",
        (),
        "Times that a connection was left unread for that.",
    ),
)
"""Metrics of the second door alone."""

_WORKERS: Final = (
    Metric(
        "earhook_workers",
        "gauge",
        ("state",),
        "Worker processes, by what they do. Where there is one process only, none of the figures "
        "of workers is exported.",
        together="sum",
    ),
    Metric(
        "earhook_workers_unheard",
        "gauge",
        (),
        "Workers that did not answer this scrape: their gauges are missing in it, their counters "
        "stand as they were.",
        together="sum",
    ),
    Metric(
        "earhook_worker_restarts_total",
        "counter",
        ("reason",),
        "Workers that were replaced, by reason.",
    ),
    Metric(
        "earhook_worker_lost_calls_total",
        "counter",
        (),
        "Calls that were live in workers that died. They are in no `earhook_calls_closed_total`.",
    ),
    Metric(
        "earhook_worker_calls",
        "gauge",
        ("slot",),
        "Live calls of one worker; a slot has two while a replaced one drains.",
        together="sum",
    ),
    Metric(
        "earhook_worker_resident_memory_bytes",
        "gauge",
        ("slot",),
        "Resident memory of one worker, and of the `relay` that consumers are connected to.",
        together="sum",
    ),
    Metric(
        "earhook_worker_cpu_seconds_total",
        "counter",
        ("slot",),
        "CPU time that the workers of a slot took, and the `relay`.",
    ),
)

METRICS: Final = (
    Metric(
        "earhook_build_info",
        "gauge",
        ("version", "python"),
        "Always 1; the labels say what runs.",
        together="max",
    ),
    Metric(
        "earhook_ready",
        "gauge",
        (),
        "1 while new calls are accepted and no sink is in trouble.",
        together="max",
    ),
    Metric(
        "earhook_draining", "gauge", (), "1 from the request to stop until the end.", together="min"
    ),
    Metric("earhook_calls", "gauge", (), "Live calls.", together="sum"),
    Metric(
        "earhook_calls_limit",
        "gauge",
        ("door",),
        "The configured number of live calls.",
        together="max",
    ),
    Metric(
        "earhook_calls_counted",
        "gauge",
        ("door",),
        "What is held against that number: at `media` with connections that open or close.",
        together="sum",
    ),
    Metric("earhook_calls_opened_total", "counter", (), "Calls opened, probes not counted."),
    Metric("earhook_calls_closed_total", "counter", ("reason",), "Calls ended, by reason."),
    Metric(
        "earhook_calls_unbalanced_total",
        "counter",
        (),
        "Ended calls whose books did not balance. Anything but 0 is a defect.",
    ),
    Metric(
        "earhook_calls_refused_total",
        "counter",
        ("door", "reason"),
        "Calls not admitted, by reason.",
    ),
    Metric(
        "earhook_shedding",
        "gauge",
        ("reason",),
        "1 while new calls are refused because that is short.",
        together="max",
    ),
    Metric(
        "earhook_pressure",
        "gauge",
        ("reason",),
        "How much of its limit in `[shedding]` is reached: above 1 new calls are refused.",
        together="max",
    ),
    Metric(
        "earhook_connections",
        "gauge",
        ("door",),
        "Open connections; at `media` WebSockets, probes included.",
        together="sum",
    ),
    Metric("earhook_connections_accepted_total", "counter", ("door",), "TCP connections accepted."),
    Metric(
        "earhook_connections_unauthenticated",
        "gauge",
        ("door",),
        "Connections that have not shown yet who they are.",
        together="sum",
    ),
    Metric(
        "earhook_connections_refused_total",
        "counter",
        ("door", "reason"),
        "Connections closed before they came to anything, by reason; at `media` also by the "
        "status that answered their request.",
    ),
    Metric(
        "earhook_connections_broken_total",
        "counter",
        ("reason",),
        "WebSockets ended because the peer broke a frame rule, by rule.",
    ),
    Metric(
        "earhook_authentication_refused_total",
        "counter",
        ("door", "reason"),
        "Requests that failed authentication, by reason. The peer never learns the reason.",
    ),
    Metric("earhook_signature_replays_total", "counter", (), "Signatures that were used before."),
    Metric(
        "earhook_signatures_unremembered_total",
        "counter",
        ("reason",),
        "Signatures that could not be remembered: the table was `full`, or another process held "
        'it (`busy`). With `replay = "enforce"` they were refused.',
    ),
    Metric(
        "earhook_replay_store_used",
        "gauge",
        (),
        "Signatures that are remembered, about.",
        together="max",
    ),
    Metric(
        "earhook_replay_store_slots",
        "gauge",
        (),
        "How many can be: the capacity, and as many again so that no corner fills early.",
        together="max",
    ),
    Metric(
        "earhook_issuer_keys_age_seconds",
        "gauge",
        ("issuer",),
        "Since the keys of an issuer of tokens were last fetched; none is exported before that.",
        together="max",
    ),
    Metric(
        "earhook_issuer_keys_failures_total",
        "counter",
        ("issuer",),
        "Times that they could not be fetched.",
    ),
    Metric(
        "earhook_access_networks",
        "gauge",
        (),
        "Networks that may connect; none is exported where anybody may.",
        together="min",
    ),
    Metric("earhook_ip_ranges_networks", "gauge", (), "Of these, published ones.", together="min"),
    Metric(
        "earhook_ip_ranges_age_seconds",
        "gauge",
        (),
        "Since the list of published networks in service was fetched.",
        together="max",
    ),
    Metric(
        "earhook_ip_ranges_refreshes_total",
        "counter",
        ("reason",),
        "Refreshes of that list: `good` or `bad`.",
    ),
    Metric(
        "earhook_request_faults_total",
        "counter",
        ("door", "reason"),
        "Malformed requests, by rule.",
    ),
    Metric(
        "earhook_faults_total",
        "counter",
        (),
        "Defects of ours that ended one connection. Anything but 0 is to be reported.",
    ),
    Metric("earhook_accept_errors_total", "counter", ("door",), "Times that accept failed."),
    Metric(
        "earhook_tls_handshake_failures_total", "counter", ("door",), "TLS handshakes that failed."
    ),
    Metric("earhook_probes_total", "counter", (), "Connection probes answered."),
    Metric(
        "earhook_frames_received_total",
        "counter",
        ("codec",),
        "Audio frames received; at the ingest, blocks and pieces of streams.",
    ),
    Metric("earhook_audio_received_bytes_total", "counter", ("codec",), "Audio bytes received."),
    Metric("earhook_samples_received_total", "counter", (), "Samples received in all calls."),
    Metric("earhook_samples_written_total", "counter", (), "Samples that reached a ring."),
    Metric(
        "earhook_samples_dropped_total",
        "counter",
        ("reason",),
        "Samples received and not written: received = written + dropped, at any moment.",
    ),
    Metric("earhook_ring_bytes", "gauge", (), "Memory reserved by all rings.", together="sum"),
    Metric(
        "earhook_ring_limit_bytes",
        "gauge",
        (),
        "The configured memory of all rings.",
        together="sum",
    ),
    Metric(
        "earhook_sink_healthy",
        "gauge",
        ("sink",),
        "1 while the sink does its work.",
        together="min",
    ),
    Metric(
        "earhook_sink_calls", "gauge", ("sink",), "Calls the sink is busy with.", together="sum"
    ),
    Metric(
        "earhook_sink_subscribers",
        "gauge",
        ("sink",),
        "Consumers connected to the sink.",
        together="sum",
    ),
    Metric(
        "earhook_sink_received_samples_total", "counter", ("sink",), "Samples meant for the sink."
    ),
    Metric("earhook_sink_forwarded_samples_total", "counter", ("sink",), "Samples passed on."),
    Metric(
        "earhook_sink_buffered_samples",
        "gauge",
        ("sink",),
        "Samples not yet passed on.",
        together="sum",
    ),
    Metric(
        "earhook_sink_dropped_samples_total",
        "counter",
        ("sink", "reason"),
        "Samples the sink lost: received = forwarded + buffered + dropped, at any moment.",
    ),
    Metric(
        "earhook_sink_late_samples_total",
        "counter",
        ("sink",),
        "Samples that were gone before a consumer came: neither received nor lost.",
    ),
    Metric("earhook_sink_events_total", "counter", ("sink", "reason"), "What else a sink counts."),
    Metric(
        "earhook_sink_pending",
        "gauge",
        ("sink", "reason"),
        "What a sink has yet to do.",
        together="sum",
    ),
    Metric(
        "earhook_signal_seconds_total",
        "counter",
        ("kind",),
        "Seconds of calls that have ended: `measured`, `talk_external`, `talk_internal`, "
        "`talk_over`, `dead_air`.",
    ),
    Metric(
        "earhook_signal_one_way_calls_total",
        "counter",
        (),
        "Calls that have ended in which one side carried nothing while the other spoke.",
    ),
    Metric(
        "earhook_signal_calls",
        "gauge",
        ("kind",),
        "Live calls with `dead_air` or `one_way` audio now.",
        together="sum",
    ),
    Metric(
        "earhook_signal_cpu_seconds_total",
        "counter",
        (),
        "Processor time of measuring calls, beside the loop.",
    ),
    Metric(
        "earhook_opened_latency_seconds",
        "histogram",
        (),
        "From the peer's `open` being read to our `opened` being written.",
    ),
    Metric(
        "earhook_signature_age_seconds",
        "histogram",
        (),
        "Age of accepted signatures when they arrived: the path and the difference of the clocks.",
    ),
    Metric(
        "earhook_read_pause_max_seconds",
        "gauge",
        (),
        "The longest time in which no connection was read, in the last minute.",
        together="max",
    ),
    *_INGEST,
    Metric("earhook_loop_lag_seconds", "histogram", (), "How late the event loop was."),
    Metric(
        "earhook_loop_lag_max_seconds",
        "gauge",
        (),
        "The worst lag of the last minute.",
        together="max",
    ),
    Metric("earhook_log_lines_suppressed_total", "counter", (), "Log lines above the limit."),
    Metric(
        "earhook_log_lines_lost_total",
        "counter",
        (),
        "Log lines that nobody took: standard error is closed, full, or its reader has stopped.",
    ),
    Metric(
        "earhook_reloads_total",
        "counter",
        ("reason",),
        "Reloads of the configuration: `good` or `bad`.",
    ),
    Metric(
        "earhook_reload_good",
        "gauge",
        (),
        "0 from a refused reload until the next good one: what was there before serves.",
        together="min",
    ),
    Metric(
        "earhook_certificate_expiry_seconds",
        "gauge",
        ("door",),
        "When the certificate in service expires, in seconds since the Unix epoch.",
        together="min",
    ),
    Metric(
        "earhook_token_expiry_seconds",
        "gauge",
        ("token",),
        "When a static token of the ingest expires, in seconds since the Unix epoch; of several "
        "with one name, the last. None is exported where it has no end.",
        together="min",
    ),
    *_WORKERS,
)

DECLARED: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
"""The same, by name."""
