"""Whether this process is to go on with what another program in it has begun. Imports little.

A rolling restart first runs the same command line as a child with `CANDIDATE` set, which proves
that the new program and the configuration load and does nothing else. Then the parent executes
that command line itself, with `TAKEOVER` set: same process, same descriptors, new program.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["CANDIDATE", "TAKEOVER", "is_successor"]

CANDIDATE: Final = "EARHOOK_CANDIDATE"
"""JSON: what the parent that asks has, and the descriptor to answer on."""
TAKEOVER: Final = "EARHOOK_TAKEOVER"
"""The descriptor of a piece of memory that says what there is to go on with."""


def is_successor() -> bool:
    """Whether there are workers already, whatever the configuration says of their number."""
    return CANDIDATE in os.environ or TAKEOVER in os.environ
