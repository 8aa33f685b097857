"""The ways out of several workers as one list, as `/api/v1/sinks` shows them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

__all__ = ["add_relayed", "sinks_together"]


def sinks_together(found: Iterable[tuple[int, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Sinks by name, added up.

    Args:
        found: Each sink of each worker, with the worker's slot.
    """
    together: dict[str, dict[str, Any]] = {}
    for slot, sink in found:
        subscribers = [{**subscriber, "worker": slot} for subscriber in sink["subscribers"]]
        detail = f"worker {slot}: {sink['detail']}" if sink["detail"] else ""
        known = together.get(sink["name"])
        if known is None:
            together[sink["name"]] = {**sink, "detail": detail, "subscribers": subscribers}
            continue
        known["healthy"] = known["healthy"] and sink["healthy"]
        known["detail"] = "; ".join(text for text in (known["detail"], detail) if text)
        known["calls"] += sink["calls"]
        known["books"] = _books_together(known["books"], sink["books"])
        known["counters"] = _added(known["counters"], sink["counters"])
        known["gauges"] = _added(known["gauges"], sink["gauges"])
        known["subscribers"] += subscribers
    return together


def add_relayed(sinks: dict[str, dict[str, Any]], relayed: Iterable[dict[str, Any]]) -> None:
    """Show who is connected to the relay, where the workers only know the relay itself.

    Args:
        sinks: Of all workers, by name; changed.
        relayed: What the relay says of those that it stands in for: `name`, and any of `healthy`,
            `detail`, `subscribers`, `counters`, `gauges`.
    """
    for relay in relayed:
        known = sinks.get(relay["name"])
        if known is None:
            continue
        # Where it is well, a worker's detail is only where the relay finds it.
        theirs = "" if known["healthy"] else known["detail"]
        known["detail"] = "; ".join(text for text in (relay.get("detail", ""), theirs) if text)
        known["healthy"] = known["healthy"] and relay.get("healthy", True)
        known["subscribers"] = relay.get("subscribers", [])
        known["counters"] = _added(known["counters"], relay.get("counters", {}))
        known["gauges"] = _added(known["gauges"], relay.get("gauges", {}))


def _books_together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    late = one.get("late", 0) + other.get("late", 0)
    return {
        **{key: one[key] + other[key] for key in ("received", "forwarded", "buffered")},
        "dropped": _added(one["dropped"], other["dropped"]),
        **({"late": late} if late else {}),
    }


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    # Not `Counter + Counter`: that leaves out what is 0.
    together = Counter(one)
    together.update(other)
    return dict(together)
