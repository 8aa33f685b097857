"""Takes recordings away as they are finished, so that a soak fills no disk, and looks at each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earhook.media.wav import read_header

__all__ = ["Collector"]


class Collector:
    """Looks at finished recordings and deletes them.

    Args:
        directory: Of the sink.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.collected = 0
        self.samples = 0
        self.faults: list[str] = []

    def collect(self) -> None:
        """All that are finished by now."""
        for sidecar in self._directory.rglob("*.json"):
            fields = _read(sidecar)
            if fields is None or fields.get("state") == "recording":
                continue
            self.faults += [f"{sidecar.name}: {fault}" for fault in _faults(sidecar, fields)]
            self.collected += 1
            self.samples += fields.get("books", {}).get("forwarded", 0)
            for part in fields["parts"]:
                (sidecar.parent / part["file"]).unlink(missing_ok=True)
            sidecar.unlink()

    def left(self) -> list[str]:
        """What should not be there once every call is over."""
        return sorted(path.name for path in self._directory.rglob("*") if path.is_file())


def _read(sidecar: Path) -> dict[str, Any] | None:
    try:
        fields: dict[str, Any] = json.loads(sidecar.read_bytes())
    except (OSError, ValueError):
        return None  # it is being put in its place this very moment
    return fields


def _faults(sidecar: Path, fields: dict[str, Any]) -> Iterator[str]:
    books, arrived = fields["books"], fields.get("arrived", {})
    if fields["state"] != "complete":
        yield f"is {fields['state']}: {fields.get('lost')}, {books['dropped']}"
    if books["received"] != books["forwarded"] + books["buffered"] + sum(books["dropped"].values()):
        yield "its books do not balance"
    if arrived.get("written") != books["received"]:
        yield f"{arrived.get('written')} samples reached the ring, {books['received']} were meant"
    for part in fields["parts"]:
        path = sidecar.parent / part["file"]
        with path.open("rb") as file:
            header = read_header(file)
        held = (path.stat().st_size - header.audio_offset) // _group_bytes(fields)
        if held != part["samples"]:
            yield f"{part['file']} holds {held} samples, not {part['samples']}"


def _group_bytes(fields: dict[str, Any]) -> int:
    form = fields["format"]
    return len(form["channels"]) * (2 if form["codec"] == "L16" else 1)
