"""One worker as its parent knows it: a process, and a channel to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from earhook.errors import ConfigurationFault

from .channel import Channel
from .spawn import Process

__all__ = ["WorkerLink"]


@dataclass(eq=False, slots=True)
class WorkerLink:
    """What the parent holds of a worker until its process has ended.

    Attributes:
        generation: Its number.
        process: The process.
        channel: To talk to it.
        slot: Its place; None until it has one.
        serves: Whether it has said that it serves; it may be draining since.
        faults: Why it could not.
    """

    generation: int
    process: Process
    channel: Channel
    slot: int | None = None
    serves: bool = False
    faults: list[ConfigurationFault] = field(default_factory=list)
