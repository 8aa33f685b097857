"""Names of files. Nothing that a peer chose becomes a name unless it is a UUID.

    <directory>/<organization>/<date>/<time>-<session>.wav        the first file of a call
                                      <time>-<session>.002.wav    the second, and so on
                                      <time>-<session>.json       the sidecar of all of them

`<organization>` is the first 16 hexadecimal digits of the SHA-256 of the organization's id in
lower case; date and time are the call's opening in UTC. A file that is being written, or was when
the gateway died, has `.part` after its name.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from earhook.ids import is_uuid
from earhook.sinks.base import CallFacts

__all__ = [
    "MAX_PARTS",
    "PART_SUFFIX",
    "SIDECAR_SUFFIX",
    "Folder",
    "PartName",
    "folder_of",
    "parse_part",
    "part_name",
    "stem_of",
]

PART_SUFFIX: Final = ".part"
SIDECAR_SUFFIX: Final = ".json"
MAX_PARTS: Final = 999
"""Files of one call. A peer whose clock jumps back and forth must not make more."""


class Folder(NamedTuple):
    """Where under the configured directory a call's files lie."""

    organization: str
    date: str


class PartName(NamedTuple):
    """What the name of a WAV file says."""

    stem: str
    number: int
    is_open: bool


def folder_of(facts: CallFacts) -> Folder:
    """Choose the folder of a call."""
    opened = datetime.fromtimestamp(facts.opened_wall_seconds, UTC)
    return Folder(_digest(facts.organization_id.lower())[:16], f"{opened:%Y-%m-%d}")


def stem_of(facts: CallFacts, attempt: int = 1) -> str:
    """Choose what the names of a call's files begin with.

    Args:
        facts: Of the call.
        attempt: 1, or higher if the names of the earlier attempts are taken.
    """
    opened = datetime.fromtimestamp(facts.opened_wall_seconds, UTC)
    session = facts.session_id.lower()
    if not is_uuid(session):
        session = "x" + _digest(session)[:32]
    again = f"~{attempt}" if attempt > 1 else ""
    return f"{opened:%H%M%SZ}-{session}{again}"


def part_name(stem: str, number: int) -> str:
    """Name a finished file of a call; numbers begin at 1."""
    return f"{stem}.wav" if number == 1 else f"{stem}.{number:03}.wav"


def parse_part(name: str) -> PartName | None:
    """Read the name of a WAV file, finished or not; None if it is no name of ours or theirs."""
    found = _PART.fullmatch(name)
    if found is None:
        return None
    return PartName(found["stem"], int(found["number"] or 1), found["open"] is not None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_PART: Final = re.compile(
    r"(?P<stem>[^/]+?)(?:\.(?P<number>\d{3}))?\.wav(?P<open>\.part)?", re.ASCII | re.DOTALL
)
