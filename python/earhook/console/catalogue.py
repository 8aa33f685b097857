"""The recordings on disk, as far as they may be named from outside. Everything here waits for it.

Names are ours or they are nothing: a path is walked one name at a time, each has the form that
recording gives it, and no symbolic link is followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from earhook.errors import RecordingError
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sidecar import MAX_SIDECAR_BYTES, read_sidecar

__all__ = ["Catalogue", "Recorded"]

MAX_DAYS: Final = 400
"""How far a search goes back."""


class Recorded(NamedTuple):
    """Where the sidecar of a recording is. In the order of `day` and `stem`, calls opened."""

    day: str
    stem: str
    sink: str
    organization: str

    @property
    def id(self) -> str:
        """What it is called outside."""
        return f"{self.sink}/{self.organization}/{self.day}/{self.stem}"

    @property
    def session(self) -> str:
        """The id of its session, or what stands for it."""
        return self.stem.partition("-")[2].partition("~")[0]

    @classmethod
    def from_id(cls, text: str) -> Recorded | None:
        """Read an id; None if it is none."""
        found = _ID.fullmatch(text)
        if found is None:
            return None
        return cls(found["day"], found["stem"], found["sink"], found["organization"])


class Catalogue:
    """Finds what sinks have recorded. Any thread may use it.

    Args:
        sinks: Where they record to.
    """

    def __init__(self, sinks: Sequence[RecordingSettings]) -> None:
        self._directories = {sink.name: sink.directory for sink in sinks}

    @property
    def has_any(self) -> bool:
        """Whether anything is recorded at all."""
        return bool(self._directories)

    def newest(
        self, limit: int, before: Recorded | None = None, session: str = ""
    ) -> tuple[list[dict[str, Any]], bool]:
        """Recordings as JSON values, the newest first; and whether there are older ones."""
        found: list[dict[str, Any]] = []
        for recorded in self._all(before):
            if session and recorded.session != session:
                continue
            if len(found) == limit:
                return found, True
            fields = self.sidecar(recorded)
            if fields is not None:
                found.append(_as_json(recorded, fields))
        return found, False

    def sidecar(self, recorded: Recorded) -> dict[str, Any] | None:
        """The sidecar; None where there is none that can be read."""
        try:
            with self._folder(recorded) as folder:
                file = _open(f"{recorded.stem}.json", folder)
            with os.fdopen(file, "rb") as opened:
                return read_sidecar(opened.read(MAX_SIDECAR_BYTES + 1))
        except (OSError, RecordingError):
            return None

    def audio(self, name: str) -> int | None:
        """A descriptor of a finished file, the caller's; None where there is none."""
        found = _WAV.fullmatch(name)
        recorded = None if found is None else Recorded.from_id(found["id"])
        if found is None or recorded is None:
            return None
        try:
            with self._folder(recorded) as folder:
                return _open(f"{recorded.stem}{found['part'] or ''}.wav", folder)
        except OSError:
            return None

    @contextmanager
    def _folder(self, recorded: Recorded) -> Iterator[int]:
        directory = self._directories.get(recorded.sink)
        if directory is None:
            raise FileNotFoundError(recorded.sink)
        names = (recorded.organization, recorded.day)
        descriptor = os.open(directory, _FOLDER)
        try:
            for name in names:
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _all(self, before: Recorded | None) -> Iterator[Recorded]:
        days: dict[str, list[tuple[str, str]]] = {}
        for sink, directory in self._directories.items():
            for organization in _names(directory, _ORGANIZATION):
                for day in _names(directory / organization, _DAY):
                    days.setdefault(day, []).append((sink, organization))
        for day in sorted(days, reverse=True)[:MAX_DAYS]:
            if before is not None and day > before.day:
                continue
            yield from self._of_day(day, days[day], before)

    def _of_day(
        self, day: str, places: list[tuple[str, str]], before: Recorded | None
    ) -> list[Recorded]:
        found = [
            Recorded(day, name.removesuffix(".json"), sink, organization)
            for sink, organization in places
            for name in _names(self._directories[sink] / organization / day, _SIDECAR)
        ]
        found = [recorded for recorded in found if before is None or recorded < before]
        return sorted(found, reverse=True)


def _names(folder: Path, form: re.Pattern[str]) -> list[str]:
    """Names of a form in a folder that is no symbolic link."""
    try:
        if folder.is_symlink() and form is not _ORGANIZATION:
            return []
        return [name for name in os.listdir(folder) if form.fullmatch(name)]  # noqa: PTH208
    except OSError:
        return []


def _open(name: str, folder: int) -> int:
    """Open a regular file, or nothing."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(name)
    return file


def _as_json(recorded: Recorded, fields: dict[str, Any]) -> dict[str, Any]:
    call = fields.get("call") or {}
    stem = recorded.id.removesuffix(recorded.stem)
    rate = call.get("rate")
    position = fields.get("position")
    seconds = None
    if isinstance(rate, int) and rate > 0 and isinstance(position, int):
        seconds = round(position / rate, 3)
    return {
        "id": recorded.id,
        "sink": recorded.sink,
        "session": call.get("session"),
        "conversation": call.get("conversation"),
        "state": fields.get("state"),
        "opened": call.get("opened"),
        "seconds": seconds,
        "reason": fields.get("reason"),
        "gaps": len(fields.get("gaps") or ()),
        "files": [
            {"name": stem + str(part.get("file")), "samples": part.get("samples")}
            for part in fields.get("parts") or ()
            if isinstance(part, dict) and part.get("state") == "complete"
        ],
    }


_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ORGANIZATION: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_STEM: Final = r"\d{6}Z-x?[0-9a-f-]{32,36}(?:~\d{1,4})?"
_SIDECAR: Final = re.compile(_STEM + r"\.json", re.ASCII)
_ID: Final = re.compile(
    r"(?P<sink>[A-Za-z0-9_.-]{1,32})/(?P<organization>[0-9a-f]{16})"
    rf"/(?P<day>\d{{4}}-\d{{2}}-\d{{2}})/(?P<stem>{_STEM})",
    re.ASCII,
)
_WAV: Final = re.compile(r"(?P<id>.+?)(?P<part>\.\d{3})?\.wav", re.ASCII)
