"""What the calls of the ingest count: plain ints on the way, plain values when somebody asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["CallTally"]


@dataclass(slots=True)
class CallTally:
    """The counters of all calls of one ingest port. Written on the loop's thread only.

    Attributes:
        checks: Connectivity checks answered.
        blocks: Blocks that were taken.
        duplicate_blocks: Blocks that had come before.
        late_blocks: Blocks that came after their place was given away.
        missing_blocks: Numbers that were skipped.
        streams: Requests that carried a call, or what was left of one.
        streams_cut: Of these, those that did not come to their end.
        unauthorized: Requests with no credential that opens this port.
        refusals: Requests refused, by `Word` or `HeadFault`.
        calls_refused: Calls refused by this room or the hub, by `Word`.
        suspects: Calls whose audio plainly is not what was announced, by what it probably is.
        packets: What the intakes of ended calls counted; see `earhook._core.Intake.tally`.
        blocks_by_codec: Blocks and pieces of streams that reached a ring, of ended calls.
        audio_bytes: Bytes of bodies, by codec, of ended calls.
    """

    checks: int = 0
    blocks: int = 0
    duplicate_blocks: int = 0
    late_blocks: int = 0
    missing_blocks: int = 0
    streams: int = 0
    streams_cut: int = 0
    unauthorized: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    calls_refused: Counter[str] = field(default_factory=Counter)
    suspects: Counter[str] = field(default_factory=Counter)
    packets: Counter[str] = field(default_factory=Counter)
    blocks_by_codec: Counter[str] = field(default_factory=Counter)
    audio_bytes: Counter[str] = field(default_factory=Counter)
