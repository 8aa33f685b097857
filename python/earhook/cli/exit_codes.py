"""Exit codes that mean the same in every command; what is a command's own stands in its module."""

from __future__ import annotations

from typing import Final

__all__ = ["INTERRUPTED"]

INTERRUPTED: Final = 130
"""Ctrl-C; what shells make of a program that the signal has ended."""
