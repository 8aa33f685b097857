"""Paths of requests, compared as raw text. Pure."""

from __future__ import annotations

__all__ = ["is_below"]


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies below it, compared as raw text and without dot segments."""
    below = path == root or path.startswith(root if root == "/" else root + "/")
    return below and not {".", ".."} & set(path.split("/"))
