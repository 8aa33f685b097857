"""Paths of requests, compared as raw text. Pure."""

from __future__ import annotations

__all__ = ["as_root", "is_below"]


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies below it, compared as raw text and without dot segments."""
    below = path == root or path.startswith(root if root == "/" else root + "/")
    return below and not {".", ".."} & set(path.split("/"))


def as_root(path: str) -> str:
    """The path of a door's settings, without a slash at its end.

    Raises:
        ValueError: It has a query or a fragment.
    """
    if "?" in path or "#" in path:
        raise ValueError("a path without query and fragment: they differ from call to call")
    return path.rstrip("/") or "/"
