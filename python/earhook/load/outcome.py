"""The results of a load: of all processes together, as JSON, and whether they say anything."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

from .histograms import Latency
from .plan import LoadPlan
from .tally import Tally
from .usage import ProcessTree
from .verify import Findings

__all__ = ["Outcome"]

LATE_MILLISECONDS: Final = 20.0
"""A generator whose frames leave later than this, one in a hundred, measures itself."""

FULL_SHARE: Final = 0.9
"""Of a core within a second: a process that uses more lets things wait."""


@dataclass(slots=True)
class Outcome:
    """What a load came to.

    Attributes:
        began_wall_seconds: When.
        seconds: How long it took, to the end of the last call.
        findings: None: nothing was verified.
        server: None: no process was named.
        interrupted: Somebody ended it before its time.
        troubles: Generators that died, and of what.
    """

    plan: LoadPlan
    began_wall_seconds: float = 0.0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    findings: Findings | None = None
    server: ProcessTree | None = None
    interrupted: bool = False
    troubles: list[str] = field(default_factory=list)

    @property
    def latencies(self) -> dict[str, Latency]:
        """All histograms that hold something."""
        every = dict(self.tally.latencies)
        if self.findings is not None:
            every["end_to_end"] = self.findings.end_to_end
        return {name: latency for name, latency in every.items() if latency.count}

    @property
    def bottleneck(self) -> str:
        """Why the figures say more of the generator than of the server; empty if they do not."""
        late = self.tally.latencies["lateness"].milliseconds("p99") or 0.0
        if late <= LATE_MILLISECONDS:
            if self.findings is None or self.findings.busiest <= FULL_SHARE:
                return ""
            share = self.findings.busiest
            return f"the far end was slow itself: it used {share:.0%} of a core; give --processes"
        share, starved = self.tally.busiest, self.tally.starved
        why = (
            "give it --processes, or fewer calls"
            if share > FULL_SHARE
            else f"for {starved:.0%} of a second it waited for a core: others use this machine"
        )
        return (
            f"the generator was late itself, p99 {late:.1f} ms; "
            f"it used up to {share:.0%} of a core; {why}"
        )

    @property
    def microseconds_per_frame(self) -> float | None:
        """CPU time of the generators per frame, connects and checks of answers included."""
        counts = self.tally.counts
        return counts.processor_seconds / counts.frames * 1e6 if counts.frames else None

    def figures(self) -> dict[str, float]:
        """Every single number that a threshold can name."""
        counts = self.tally.counts
        figures: dict[str, float] = {
            own.name: getattr(counts, own.name) for own in dataclasses.fields(counts)
        }
        if self.findings is not None:
            samples = self.findings.samples
            figures |= {own.name: getattr(samples, own.name) for own in dataclasses.fields(samples)}
            figures["unbalanced"] = self.findings.unbalanced
            figures["unproved"] = self.findings.calls - self.findings.proved
        return figures

    def as_json(self) -> dict[str, Any]:
        """All of it, without keys, secrets or audio."""
        plan, counts = self.plan, self.tally.counts
        per_frame = self.microseconds_per_frame
        report: dict[str, Any] = {
            "url": plan.target.url,
            "run": str(plan.run),
            "seed": plan.shape.seed,
            "carrier": plan.carrier,
            "processes": plan.processes,
            "frame_milliseconds": plan.frame_milliseconds,
            "media": plan.media_as_json(),
            "began": self.began_wall_seconds,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "counts": dataclasses.asdict(counts),
            "failures": dict(self.tally.failures.most_common()),
            "objections": dict(self.tally.objections.most_common()),
            "latencies": {name: own.as_json() for name, own in self.latencies.items()},
            "generator": {
                "cpu_us_per_frame": None if per_frame is None else round(per_frame, 2),
                "busiest_share_of_a_core": round(self.tally.busiest, 3),
                "longest_wait_share_of_a_second": round(self.tally.starved, 3),
                "bottleneck": self.bottleneck,
                "troubles": self.troubles,
            },
        }
        if self.findings is not None:
            report["verified"] = _proved(self.findings)
        if self.server is not None:
            report["server"] = self.server.as_json(self.seconds, counts.frames)
        return report


def _proved(findings: Findings) -> dict[str, Any]:
    return {
        "calls": findings.calls,
        "proved": findings.proved,
        "unbalanced": findings.unbalanced,
        "samples": dataclasses.asdict(findings.samples),
        "faulty_calls": [
            {"number": own.number, "session": own.session, **dataclasses.asdict(own.samples)}
            for own in findings.faulty
        ],
        "busiest_share_of_a_core": round(findings.busiest, 3),
        "trouble": findings.trouble,
    }
