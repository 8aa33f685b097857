"""What an imagined gateway answers about itself: latencies, sinks, recordings."""

from __future__ import annotations

import math
import uuid
from typing import Any

from .script import RATE


def latencies(age: float) -> dict[str, Any]:
    """Histograms of a gateway that has run for so many seconds."""
    bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
    names = {
        "earhook_open_seconds": ("From open to opened.", 3),
        "earhook_loop_lag_seconds": ("How late the loop was.", 1),
        "earhook_upgrade_seconds": ("From the connection to the answer.", 4),
        "earhook_drain_seconds": ("A turn of a sink.", 2),
    }
    histograms = {}
    for name, (description, middle) in names.items():
        counts = [int(40 * age * math.exp(-((place - middle) ** 2) / 3)) for place in range(12)]
        total = sum(count * bound for count, bound in zip(counts, bounds, strict=False))
        histograms[name] = {
            "description": description,
            "bounds": bounds,
            "counts": counts,
            "total": total,
        }
    return {"histograms": histograms}


def sinks(calls: int, *, losing: bool) -> dict[str, Any]:
    """Two sinks, of which one may be losing audio."""
    samples = calls * RATE * 60
    lost = {"overrun": 48_000} if losing else {}
    books = {
        "received": samples,
        "forwarded": samples - 1600 - sum(lost.values()),
        "buffered": 1600,
        "dropped": lost,
    }
    readers = [
        {
            "address": "unix:/run/earhook/pcm.sock",
            "consumer": "earhook analyze",
            "calls": calls,
            "lag_samples": 1600,
            "unacked_samples": 0,
            "control_backlog_bytes": 0,
            **books,
        }
    ]
    common = {"healthy": True, "detail": "", "calls": calls, "books": books}
    return {
        "sinks": [
            {
                "name": "pcm",
                "kind": "pcm-stream",
                **common,
                "counters": {"resumed": 2},
                "gauges": {"connections": 1},
                "subscribers": readers,
            },
            {
                "name": "recording",
                "kind": "recording",
                **common,
                "counters": {"files": 812},
                "gauges": {"open_files": calls},
                "subscribers": [],
            },
        ]
    }


def recordings() -> dict[str, Any]:
    """A list of recordings that all sound like the script."""
    entry = {
        "id": "recording/3f1c/2026-01-31/120501Z-a",
        "sink": "recording",
        "session": "3f1c0e7a-9b2d-4c55-8d10-4be1c2f0a001",
        "state": "complete",
        "opened": 1769850301.25,
        "seconds": 42.0,
        "reason": "ended",
        "files": [{"name": "recording/3f1c/2026-01-31/120501Z-a.wav", "samples": 42 * RATE}],
    }
    others = [
        {
            **entry,
            "id": f"recording/3f1c/2026-01-31/{n}",
            "session": str(uuid.UUID(int=n)),
            "opened": entry["opened"] - 97 * n,
        }
        for n in range(1, 30)
    ]
    return {"recordings": [entry, *others], "more": False}
