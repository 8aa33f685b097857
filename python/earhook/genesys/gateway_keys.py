"""Lets the gateway know the keys of a description: tables at the end of its configuration."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from earhook.errors import ConfigurationError

from .wanted import WantedIntegration, WantedState

__all__ = ["add_keys"]


def add_keys(configuration: Path, state: WantedState, directory: Path) -> list[str]:
    """Name the key files of every integration in the gateway's configuration, once.

    Args:
        configuration: The gateway's file, in TOML. What stands there stays as it is.
        state: What is described.
        directory: What paths of the description are relative to.

    Returns:
        Names of the keys that were added.

    Raises:
        ConfigurationError: The file cannot be read, extended or written; nothing is changed.
    """
    try:
        text = configuration.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "is no TOML"
        raise _fault(configuration, f"cannot be extended: {what}") from None
    known = _known_files(table, configuration.parent)
    added: list[str] = []
    for one in state.integrations:
        key_file = (directory / one.api_key_file).resolve()
        if key_file not in known:
            known.add(key_file)
            text = text.rstrip("\n") + "\n\n" + _table(one, directory, configuration.parent)
            added.append(one.name)
    if added:
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            what = "has its keys in one line, where no table can be added"
            raise _fault(configuration, what, "write each as a table [[keys]]") from None
        _replace(configuration, text)
    return added


def _known_files(table: dict[str, Any], directory: Path) -> set[Path]:
    keys = table.get("keys")
    files = [
        one.get("api_key_file")
        for one in (keys if isinstance(keys, list) else [])
        if isinstance(one, dict)
    ]
    return {(directory / file).resolve() for file in files if isinstance(file, str)}


def _table(one: WantedIntegration, described_in: Path, configured_in: Path) -> str:
    def shown(file: Path) -> str:
        path = (described_in / file).resolve()
        base = configured_in.resolve()
        # Paths of the gateway count from its file; so they go on working when both are moved.
        return _quoted(str(path.relative_to(base) if path.is_relative_to(base) else path))

    lines = ["[[keys]]", f"name = {_quoted(one.name)}", f"api_key_file = {shown(one.api_key_file)}"]
    if one.client_secret_file is None:
        lines.append("unsigned = true")
    else:
        lines.append(f"secret_files = [{shown(one.client_secret_file)}]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string: its escapes are JSON's, but for one character that JSON leaves alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(path: Path, text: str) -> None:
    """Replace a file as a whole; who may read it stays as it was."""
    try:
        mode = path.stat().st_mode & 0o777
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8"
        ) as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
        Path(file.name).replace(path)
    except OSError as error:
        raise _fault(path, f"cannot be written: {error.strerror}") from None


def _fault(path: Path, what: str, remedy: str = "") -> ConfigurationError:
    return ConfigurationError.of(str(path), what, remedy)
