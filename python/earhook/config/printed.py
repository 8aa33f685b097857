"""The configuration in force as TOML, with every secret redacted."""

from __future__ import annotations

from pydantic import BaseModel, SecretStr

from earhook.ops.redaction import REDACTED

from .sections import as_toml

__all__ = ["printed"]


def printed(settings: BaseModel) -> str:
    """TOML text of resolved settings. It can be read again, but for the secrets."""
    return "\n".join(_table(settings, "")).lstrip("\n") + "\n"


def _table(settings: BaseModel, name: str) -> list[str]:
    lines: list[str] = []
    tables: list[str] = []
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        path = f"{name}.{key}".removeprefix(".")
        if isinstance(value, BaseModel):
            tables += ["", f"[{path}]", *_table(value, path)]
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for item in value:
                tables += ["", f"[[{path}]]", *_table(item, path)]
        elif value is not None:
            lines.append(f"{key} = {_scalar(value, key)}")
    return lines + tables


def _scalar(value: object, key: str = "") -> str:
    if isinstance(value, SecretStr):
        return as_toml(REDACTED)
    if isinstance(value, tuple):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    return as_toml(value, key)
