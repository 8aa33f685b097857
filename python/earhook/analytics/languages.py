"""Which language something is in, by BCP 47 tags such as `en` and `es-US`."""

from __future__ import annotations

__all__ = ["is_in"]


def is_in(tag: str | None, wanted: str | None) -> bool:
    """Whether what is tagged so may be in the wanted language; None: nobody says, so it may.

    `en-GB` is in `en`; `en` may be `en-GB`; `en-US` is not.
    """
    if not tag or not wanted:
        return True
    spoken, asked = tag.lower().split("-"), wanted.lower().split("-")
    return all(one == other for one, other in zip(spoken, asked, strict=False))
