"""Every metric, declared once: name, kind, labels, help.

Nothing is counted here. The owners of the figures keep plain ints; at a scrape the composition
writes them into `Readings`, which refuses a name or a label that the table does not declare.
`docs/reference/metrics.md` is made from the table.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from earhook import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric as Family

    from .histogram import Histogram

__all__ = ["METRICS", "Metric", "Readings", "metrics_registry", "reference_page"]

MAX_SERIES: Final = 64
"""Label sets per metric; what comes on top is added up under `other`."""


class Metric(NamedTuple):
    """One declaration."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str


class Readings:
    """The figures of one scrape."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, Histogram] = {}

    def put(self, name: str, value: float, **labels: str) -> None:
        """Write down one number; the same name and labels add up.

        Raises:
            KeyError: The table declares no such metric, or other labels.
        """
        metric = _DECLARED[name]
        series = self._numbers.setdefault(name, {})
        values = tuple(labels.pop(label) for label in metric.labels)
        if labels or metric.kind == "histogram":
            raise KeyError(f"{name} is a {metric.kind} with the labels {metric.labels}")
        if values not in series and len(series) >= MAX_SERIES:
            values = (*values[:-1], "other")
        series[values] = series.get(values, 0.0) + value

    def put_each(
        self,
        name: str,
        values: Mapping[str, float],
        *,
        label: str,
        known: Iterable[str] = (),
        **labels: str,
    ) -> None:
        """Write down one number per value of `label`.

        Args:
            name: The metric.
            values: Numbers by value of `label`.
            label: The label that differs.
            known: Values that are exported from the start, as 0. A series that is born with its
                first event shows no increase, so an alert on it would miss that event.
            **labels: The other labels.
        """
        for value_of_label in known:
            self.put(name, 0.0, **{label: value_of_label}, **labels)
        for value_of_label, value in values.items():
            self.put(name, value, **{label: value_of_label}, **labels)

    def put_histogram(self, name: str, histogram: Histogram) -> None:
        """Write down a histogram, which must not change until the scrape is answered."""
        if _DECLARED[name].kind != "histogram":
            raise KeyError(f"{name} is no histogram")
        self._histograms[name] = histogram

    def families(self) -> Iterable[Family]:
        """Everything declared, in the order of the table; a metric nobody wrote has no series."""
        for metric in METRICS:
            yield self._family(metric)

    def _family(self, metric: Metric) -> Family:
        series = self._numbers.get(metric.name, {})
        if metric.kind == "histogram":
            family = HistogramMetricFamily(metric.name, metric.text)
            histogram = self._histograms.get(metric.name)
            if histogram is not None:
                family.add_metric([], histogram.cumulative(), histogram.total)
            return family
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        numbers = kind(metric.name, metric.text, labels=metric.labels)
        for values, number in series.items():
            numbers.add_metric(values, number)
        return numbers


def metrics_registry(read: Callable[[Readings], None]) -> CollectorRegistry:
    """A registry that calls `read` at every scrape, plus figures of the process itself."""
    registry = CollectorRegistry()
    registry.register(_GatewayCollector(read))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def put_build(readings: Readings) -> None:
    """Write down what runs here."""
    python = platform.python_version()
    readings.put("earhook_build_info", 1.0, version=__version__, python=python)


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
        "| metric | kind | labels | what it says |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(lines) + "\n"


class _GatewayCollector(Collector):
    def __init__(self, read: Callable[[Readings], None]) -> None:
        self._read = read

    def describe(self) -> Iterable[Family]:
        return Readings().families()

    def collect(self) -> Iterable[Family]:
        readings = Readings()
        put_build(readings)
        self._read(readings)
        return readings.families()


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
    Metric("earhook_ingest_open_requests", "gauge", (), "Requests whose body is not at its end."),
    Metric(
        "earhook_ingest_buffered_bytes", "gauge", (), "Memory held for blocks that are being read."
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
    ),
    Metric(
        "earhook_ingest_read_pauses_total",
        "counter",
        (),
        "Times that a connection was left unread for that.",
    ),
)
"""Metrics of the second door alone."""

METRICS: Final = (
    Metric(
        "earhook_build_info", "gauge", ("version", "python"), "Always 1; the labels say what runs."
    ),
    Metric(
        "earhook_ready", "gauge", (), "1 while new calls are accepted and no sink is in trouble."
    ),
    Metric("earhook_draining", "gauge", (), "1 from the request to stop until the end."),
    Metric("earhook_calls", "gauge", (), "Live calls."),
    Metric("earhook_calls_limit", "gauge", ("door",), "The configured number of live calls."),
    Metric(
        "earhook_calls_counted",
        "gauge",
        ("door",),
        "What is held against that number: at `media` with connections that open or close.",
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
    ),
    Metric(
        "earhook_pressure",
        "gauge",
        ("reason",),
        "How much of its limit in `[shedding]` is reached: above 1 new calls are refused.",
    ),
    Metric(
        "earhook_connections",
        "gauge",
        ("door",),
        "Open connections; at `media` WebSockets, probes included.",
    ),
    Metric("earhook_connections_accepted_total", "counter", ("door",), "TCP connections accepted."),
    Metric(
        "earhook_connections_unauthenticated",
        "gauge",
        ("door",),
        "Connections that have not shown yet who they are.",
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
    Metric("earhook_replay_store_used", "gauge", (), "Signatures that are remembered, about."),
    Metric(
        "earhook_replay_store_slots",
        "gauge",
        (),
        "How many can be: the capacity, and as many again so that no corner fills early.",
    ),
    Metric(
        "earhook_issuer_keys_age_seconds",
        "gauge",
        ("issuer",),
        "Since the keys of an issuer of tokens were last fetched; none is exported before that.",
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
    ),
    Metric("earhook_ip_ranges_networks", "gauge", (), "Of these, published ones."),
    Metric(
        "earhook_ip_ranges_age_seconds",
        "gauge",
        (),
        "Since the list of published networks in service was fetched.",
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
    Metric("earhook_ring_bytes", "gauge", (), "Memory reserved by all rings."),
    Metric("earhook_ring_limit_bytes", "gauge", (), "The configured memory of all rings."),
    Metric("earhook_sink_healthy", "gauge", ("sink",), "1 while the sink does its work."),
    Metric("earhook_sink_calls", "gauge", ("sink",), "Calls the sink is busy with."),
    Metric("earhook_sink_subscribers", "gauge", ("sink",), "Consumers connected to the sink."),
    Metric(
        "earhook_sink_received_samples_total", "counter", ("sink",), "Samples meant for the sink."
    ),
    Metric("earhook_sink_forwarded_samples_total", "counter", ("sink",), "Samples passed on."),
    Metric("earhook_sink_buffered_samples", "gauge", ("sink",), "Samples not yet passed on."),
    Metric(
        "earhook_sink_dropped_samples_total",
        "counter",
        ("sink", "reason"),
        "Samples the sink lost: received = forwarded + buffered + dropped, at any moment.",
    ),
    Metric("earhook_sink_events_total", "counter", ("sink", "reason"), "What else a sink counts."),
    Metric("earhook_sink_pending", "gauge", ("sink", "reason"), "What a sink has yet to do."),
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
    ),
    *_INGEST,
    Metric("earhook_loop_lag_seconds", "histogram", (), "How late the event loop was."),
    Metric("earhook_loop_lag_max_seconds", "gauge", (), "The worst lag of the last minute."),
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
    ),
    Metric(
        "earhook_certificate_expiry_seconds",
        "gauge",
        ("door",),
        "When the certificate in service expires, in seconds since the Unix epoch.",
    ),
    Metric(
        "earhook_token_expiry_seconds",
        "gauge",
        ("token",),
        "When a static token of the ingest expires, in seconds since the Unix epoch; of several "
        "with one name, the last. None is exported where it has no end.",
    ),
)

_DECLARED: Final = {metric.name: metric for metric in METRICS}
