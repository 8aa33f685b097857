"""Connections that are read by the core: `Switchboard` and `Line` are the native classes."""

from __future__ import annotations

from earhook._core import Line, Switchboard

__all__ = ["Line", "Switchboard"]
