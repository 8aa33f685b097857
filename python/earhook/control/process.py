"""What the process does to itself before it serves."""

from __future__ import annotations

import resource
from typing import Final

from earhook.ops.logging import get_logger

__all__ = ["harden", "raise_open_files"]

_LOG: Final = get_logger(__name__)


def harden() -> None:
    """Leave no core file: it would hold audio and secrets."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def raise_open_files() -> None:
    """Take as many open files as the user may have; the default is meant for shells."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _LOG.warning("process.open_files", limit=soft, reason=type(error).__name__)
