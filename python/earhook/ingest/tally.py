"""What the ingest port counts: plain ints on the way, plain values when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from earhook.edge.tally import EdgeTally

__all__ = ["IngestSnapshot", "IngestTally", "Slow"]


class Slow(StrEnum):
    """In which state a connection was too slow."""

    SILENT = "silent"
    """A new connection said nothing at all."""
    HEAD = "head"
    KEEP_ALIVE = "keep-alive"
    """It waited too long between two requests; no fault of anybody."""
    BODY = "body"
    """A body of told length, by its rate or in all."""
    STREAM_IDLE = "stream-idle"
    STREAM_RATE = "stream-rate"
    ANSWER = "answer"
    """The peer does not read what it is answered."""


@dataclass(slots=True)
class IngestTally(EdgeTally):
    """The counters of one ingest port's server. Written on the loop's thread only.

    Attributes:
        requests: Requests whose head was read.
        faults: Exceptions of ours that ended one connection. Anything but 0 is a defect.
        body_bytes: Bytes of bodies that were read, without their framing.
        bodies_cut: Bodies that did not come to their end.
        read_pauses: Times that a socket was left unread because its body was not taken.
        read_pause_max_seconds: The longest of these.
        responses: Final answers by status.
        request_faults: Requests refused by the rule they break: `Fault` and `BodyFault`.
        slow: Connections ended because the peer was too slow, by `Slow`.
    """

    requests: int = 0
    faults: int = 0
    body_bytes: int = 0
    bodies_cut: int = 0
    read_pauses: int = 0
    read_pause_max_seconds: float = 0.0
    responses: Counter[int] = field(default_factory=Counter)
    request_faults: Counter[str] = field(default_factory=Counter)
    slow: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class IngestSnapshot:
    """The ingest port's server as plain values, at one moment.

    Attributes:
        connections: Open connections.
        unproven: Of these and of those in their TLS handshake, such as have not shown who they
            are yet.
        open_requests: Requests that are not answered, or whose body is not at its end.
        accepted: TCP connections accepted so far.
        accept_errors: Times that accept failed, as it does when file descriptors run out.
        handshakes_failed: TLS handshakes that failed, health checks that only connect included.
        closed_early: Connections closed before they came to a request, by `Closing`.

    The others are those of `IngestTally`; `read_pause_max_seconds` counts pauses that last.
    """

    connections: int
    unproven: int
    open_requests: int
    accepted: int
    accept_errors: int
    handshakes_failed: int
    requests: int
    faults: int
    body_bytes: int
    bodies_cut: int
    read_pauses: int
    read_pause_max_seconds: float
    closed_early: Mapping[str, int]
    responses: Mapping[int, int]
    request_faults: Mapping[str, int]
    slow: Mapping[str, int]
