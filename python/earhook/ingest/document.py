"""The JSON that a sender gets about its call; `docs/reference/ingest.md` specifies it. Pure."""

from __future__ import annotations

from typing import Any

from .blocks import Standing
from .call import IngestCall, Opening, Taken

__all__ = ["answer_fields", "ended_fields"]


def answer_fields(call: IngestCall, taken: Taken, sequence: int | None) -> dict[str, Any]:
    """What became of one request.

    Args:
        call: The call it is about.
        taken: What became of its body.
        sequence: Of the block; None: it has none.
    """
    fields: dict[str, Any] = _ids(call.opening)
    if sequence is not None:
        fields["sequence"] = sequence
    fields |= {
        "accepted_samples": taken.accepted_samples,
        "gap_samples": taken.gap_samples,
        "position": call.position,
        "rate": call.opening.rate,
        "duplicate": taken.standing is Standing.DUPLICATE,
        "late": taken.standing is Standing.LATE,
        "ended": call.ending is not None,
        "total_samples": call.heard_samples,
    }
    if taken.fault is not None:
        fields["error"] = str(taken.fault)
    return fields


def ended_fields(opening: Opening, position: int, sequence: int | None) -> dict[str, Any]:
    """What a repeated last request gets: nothing of it was taken, because all of it was before."""
    fields: dict[str, Any] = _ids(opening)
    if sequence is not None:
        fields["sequence"] = sequence
    return fields | {
        "accepted_samples": 0,
        "gap_samples": 0,
        "position": position,
        "rate": opening.rate,
        "duplicate": True,
        "late": False,
        "ended": True,
    }


def _ids(opening: Opening) -> dict[str, Any]:
    return {
        "organization": opening.organization_id,
        "session": opening.session_id,
        "conversation": opening.conversation_id,
        "correlation": opening.correlation_id,
    }
