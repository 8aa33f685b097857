"""Writes the configuration language of Terraform, laid out as `terraform fmt` does it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

__all__ = ["Block", "Raw", "Value", "json_expression", "quoted", "written"]


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression that is written as it stands, over one line or several."""

    text: str


Value: TypeAlias = str | bool | int | float | Raw


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its heading, its attributes, and the blocks in it."""

    heading: str
    attributes: Mapping[str, Value] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()


def written(blocks: Iterable[Block], remark: str = "") -> str:
    """The text of a file."""
    parts = ["\n".join(f"# {line}".rstrip() for line in remark.splitlines())] if remark else []
    parts += ["\n".join(_lines(block)) for block in blocks]
    return "\n\n".join(parts) + "\n"


def quoted(text: str) -> str:
    """A text as a literal; nothing in it is a template."""
    escaped = json.dumps(text, ensure_ascii=False)
    # JSON's escapes are HCL's, but for these two: one has no short form, one is left alone.
    escaped = escaped.replace("\\b", "\\u0008").replace("\\f", "\\u000c").replace("\x7f", "\\u007f")
    return escaped.replace("${", "$${").replace("%{", "%%{")


def json_expression(value: Mapping[str, Any]) -> Raw:
    """`jsonencode(…)` of a table, dates and the like written as the API's client writes them."""
    return Raw(f"jsonencode({_expression(orjson.loads(orjson.dumps(value)))})")


def _lines(block: Block) -> list[str]:
    inner = _aligned({name: _literal(value) for name, value in block.attributes.items()})
    for child in block.blocks:
        if inner:
            inner.append("")
        inner += _lines(child)
    if not inner:
        return [f"{block.heading} {{}}"]
    return [f"{block.heading} {{", *_indented(inner), "}"]


def _literal(value: Value) -> str:
    return value.text if isinstance(value, Raw) else _expression(value)


def _expression(value: object) -> str:
    """What JSON knows, as an expression; tables and lists with something in them take lines."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        lines = _aligned({_key(str(key)): _expression(one) for key, one in value.items()})
        return "\n".join(["{", *_indented(lines), "}"]) if lines else "{}"
    if isinstance(value, list | tuple):
        lines = [line for one in value for line in f"{_expression(one)},".split("\n")]
        return "\n".join(["[", *_indented(lines), "]"]) if lines else "[]"
    return quoted(str(value))


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) and name not in _WORDS else quoted(name)


def _aligned(assignments: Mapping[str, str]) -> list[str]:
    """One assignment after the other; neighbours of one line each have their `=` in one column."""
    lines: list[str] = []
    run: list[tuple[str, str]] = []

    def flush() -> None:
        width = max((len(name) for name, _ in run), default=0)
        lines.extend(f"{name:<{width}} = {value}" for name, value in run)
        run.clear()

    for name, value in assignments.items():
        if "\n" in value:
            flush()
            lines.extend(f"{name} = {value}".split("\n"))
        else:
            run.append((name, value))
    flush()
    return lines


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Final = frozenset({"null", "true", "false", "for"})
