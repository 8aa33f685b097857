"""What `earhook config init` writes: a commented file, made from the schema, and fresh keys."""

from __future__ import annotations

import base64
import os
import secrets
import textwrap
from collections.abc import Iterator
from pathlib import Path

from earhook.errors import ConfigurationError, ConfigurationFault

from .schema import Configuration
from .sections import Row, Section, sections

__all__ = ["Starter", "starter_text", "write_starter"]

KEY_FILE = "keys/genesys.api-key"
SECRET_FILE = "keys/genesys.secret"  # noqa: S105 - a path

_SHOWN = (
    *("media", "media.tls", "ingest", "ingest.tokens", "keys", "access", "sinks", "ring"),
    *("admin", "log", "drain"),
)
_CHOSEN = {
    ("keys", None): {"name": '"genesys"', "api_key_file": f'"{KEY_FILE}"'}
    | {"secret_files": f'["{SECRET_FILE}"]'},
    ("sinks", "recording"): {"kind": '"recording"', "directory": '"recordings"'},
    ("sinks", "pcm-stream"): {"kind": '"pcm-stream"', "listen": '"unix:pcm.sock"'},
}
"""What the starter switches on; everything else stands there as a comment with its default."""


class Starter:
    """The files that were written."""

    def __init__(self, configuration: Path) -> None:
        self.configuration = configuration
        self.key_file = configuration.parent / KEY_FILE
        self.secret_file = configuration.parent / SECRET_FILE


def write_starter(configuration: Path) -> Starter:
    """Write a starter file and, beside it, a fresh API key and secret that only we can read.

    Nothing that exists is overwritten.

    Raises:
        ConfigurationError: One of the files exists, or cannot be written.
    """
    starter = Starter(configuration)
    contents = {
        starter.configuration: starter_text(),
        starter.key_file: secrets.token_urlsafe(24) + "\n",
        # As many bytes as the hash gives out; what Genesys Cloud shows and takes is base64.
        starter.secret_file: base64.b64encode(secrets.token_bytes(32)).decode() + "\n",
    }
    faults = [
        ConfigurationFault(str(path), "exists already", "move it away, or choose another --output")
        for path in contents
        if path.exists()
    ]
    if faults:
        raise ConfigurationError(faults)
    try:
        starter.key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, text in contents.items():
            mode = 0o644 if path == starter.configuration else 0o600
            _write_new(path, text, mode)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise ConfigurationError.of(str(error.filename), what) from error
    return starter


def starter_text() -> str:
    """The commented starter file."""
    lines = [*_comment(_HEAD), ""]
    for section in sections(Configuration):
        if section.name in _SHOWN:
            lines.extend(_section(section))
            lines.append("")
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    chosen = _CHOSEN.get((section.name, section.kind), {})
    yield from _comment(section.text)
    # What is off by default stays off, and a table with a key that must be given is only opened
    # where the starter gives it.
    closed = not chosen and (section.is_optional or any(row.required for row in section.rows))
    yield f"# {section.header}" if closed else section.header
    for row in section.rows:
        yield from _comment(row.text)
        yield _assignment(row, chosen)


def _assignment(row: Row, chosen: dict[str, str]) -> str:
    if row.name in chosen:
        return f"{row.name} = {chosen[row.name]}"
    return f"# {row.name} = {row.default if row.default is not None else '…'}"


def _comment(text: str) -> list[str]:
    return [
        f"# {line}".rstrip()
        for paragraph in text.split("\n")
        for line in (textwrap.wrap(paragraph, 96) or [""])
    ]


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)


_HEAD = """\
Earhook. Try it out: earhook check. Run it: earhook serve.
What is commented out shows its default; all of it: earhook config reference.

The API key and the secret for Genesys Cloud lie in the directory keys beside this file: copy
both into the AudioHook integration. Genesys Cloud only dials wss:// with a certificate of a
public authority: fill in [media.tls], or end TLS in front of this gateway."""
