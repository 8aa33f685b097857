"""The histograms of `/metrics`, as a page draws them. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["histograms"]


def histograms(registry: CollectorRegistry) -> dict[str, dict[str, Any]]:
    """Every histogram that there is, by its name; `counts` has one bucket more than `bounds`."""
    found = {}
    for metric in registry.collect():
        if metric.type != "histogram" or not metric.samples:
            continue
        cumulated = {
            sample.labels["le"]: sample.value
            for sample in metric.samples
            if sample.name.endswith("_bucket")
        }
        totals = [sample.value for sample in metric.samples if sample.name.endswith("_sum")]
        bounds = [float(bound) for bound in cumulated if bound != "+Inf"]
        running = [0.0, *cumulated.values()]
        found[metric.name] = {
            "description": metric.documentation,
            "bounds": bounds,
            "counts": [int(after - before) for before, after in pairwise(running)],
            "total": totals[0] if totals else 0.0,
        }
    return found
