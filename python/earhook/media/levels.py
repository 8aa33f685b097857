"""How loud audio is, per channel. The function is the native one."""

from __future__ import annotations

from earhook._core import measure_levels

__all__ = ["measure_levels"]
