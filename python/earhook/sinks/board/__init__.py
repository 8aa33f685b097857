"""What people are shown of live calls: a row each, and a short list of what happened."""

from .board import Board

__all__ = ["Board"]
