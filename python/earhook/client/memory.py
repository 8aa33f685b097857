"""What a stream remembers of a gateway between two connections. Pure."""

from __future__ import annotations

from collections import OrderedDict

from .progress import Progress

__all__ = ["Memories", "Memory"]

DONE_SESSIONS = 4096
"""Ended calls that are remembered, so that a gateway that still has their audio does not send it
again: far more than end within the longest ring."""


class Memory:
    """One run of one gateway."""

    def __init__(self) -> None:
        self.calls: dict[str, Progress] = {}
        """Open calls by session id in lower case."""
        self.done: OrderedDict[str, int] = OrderedDict()
        """Where ended calls ended, oldest first."""
        self.has_subscribed = False

    def close(self, session: str, end: int) -> None:
        """A call has had its close."""
        self.calls.pop(session, None)
        self.done[session] = end
        while len(self.done) > DONE_SESSIONS:
            self.done.popitem(last=False)


class Memories:
    """All gateways of a stream.

    Args:
        several: Whether several gateways may be connected at once, as where they dial us. If
            not, another instance means that the earlier one and its calls are gone.
    """

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self._by_instance: dict[str, Memory] = {}

    def recall(self, instance: str) -> tuple[Memory, list[Progress]]:
        """The memory of an instance, and the open calls of those that it shows to be gone."""
        lost: list[Progress] = []
        if not self._several and instance not in self._by_instance:
            lost = [call for memory in self._by_instance.values() for call in memory.calls.values()]
            self._by_instance.clear()
        return self._by_instance.setdefault(instance, Memory()), lost

    def forget(self, memory: Memory) -> list[Progress]:
        """A gateway is not expected back: its open calls."""
        for instance, known in list(self._by_instance.items()):
            if known is memory:
                del self._by_instance[instance]
        return list(memory.calls.values())
