"""What one worker may take, where a setting is about all of them together. Pure.

Numbers of calls hold for the sum, whatever worker has them (`control/board.py`), and so does the
table of used signatures. What is memory is divided, so that all workers together keep within what
was set: the kernel spreads connections evenly. What protects one event loop, or is about a single
connection or one address, holds in each worker as it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from earhook.control.pressure_watch import memory_limit_bytes

if TYPE_CHECKING:
    from earhook.config.schema import Configuration
    from earhook.settings import Settings

__all__ = ["share_of"]


def share_of(configuration: Configuration, workers: int) -> Configuration:
    """The configuration of one of so many workers."""
    shedding, ring = configuration.shedding, configuration.ring
    memory_mib = shedding.memory_mib or memory_limit_bytes() >> 20
    update: dict[str, Settings] = {
        "ring": ring.model_copy(update={"budget_mib": _divided(ring.budget_mib, workers)}),
        "shedding": shedding.model_copy(
            update={"memory_mib": max(_LEAST_MEMORY_MIB, memory_mib // workers)}
        ),
    }
    ingest = configuration.ingest
    if ingest is not None:
        # Half of it is for one sender, and a block must fit into that.
        buffer_mib = max(_divided(ingest.buffer_mib, workers), _LEAST_BUFFER_MIB)
        buffer_mib = min(buffer_mib, ingest.buffer_mib)
        update["ingest"] = ingest.model_copy(update={"buffer_mib": buffer_mib})
    # `auto` is one thing for all of them, however many cores one of them may use.
    update["workers"] = configuration.workers.model_copy(update={"count": workers})
    return configuration.model_copy(update=update)


def _divided(amount: int, workers: int) -> int:
    return max(1, -(-amount // workers))


_LEAST_MEMORY_MIB: Final = 64
"""What the setting itself takes at least."""
_LEAST_BUFFER_MIB: Final = 8
