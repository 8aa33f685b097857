"""Writes docs/reference/genesys.md out of the schema of a description, or checks that it is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .example import EXAMPLE
from .wanted import WantedAudioHook, WantedIntegration, WantedState

__all__ = ["genesys_page"]

PAGE: Final = Path("docs/reference/genesys.md")


def genesys_page() -> str:
    """The page."""
    about = (
        "What `earhook genesys plan`, `apply`, `probe`, `destroy`, `terraform` and `keys` read, in "
        "TOML. All faults are reported at once; an unknown key is one. Paths count from the file. "
        "How it is used: [Set AudioHook up in Genesys Cloud](../howto/set-up-genesys-cloud.md)."
    )
    parts = [
        "# The description of a Genesys Cloud organization",
        f"This page is generated: `{_COMMAND}`.",
        about,
        "```toml\n" + EXAMPLE + "```",
        *_section("At the top", WantedState, left_out={"integrations", "audiohooks"}),
        *_section("`[[integrations]]`", WantedIntegration),
        *_section("`[[audiohooks]]`", WantedAudioHook),
    ]
    return "\n\n".join(parts) + "\n"


def _section(
    title: str, schema: type[BaseModel], left_out: frozenset[str] | set[str] = frozenset()
) -> list[str]:
    rows = [
        f"| `{name}` | {_kind(field.annotation)} | {_default(field)} | {_cell(field.description)} |"
        for name, field in schema.model_fields.items()
        if name not in left_out
    ]
    head = "| key | type | default | meaning |\n|---|---|---|---|\n"
    about = re.sub(r"\s+", " ", schema.__doc__ or "")
    return [f"## {title}", about, head + "\n".join(rows)]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(annotation: Any) -> str:  # noqa: ANN401 - whatever stands in a schema
    if get_args(annotation) and all(isinstance(one, str) for one in get_args(annotation)):
        return " / ".join(f"`{one}`" for one in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list of texts"
    if get_origin(annotation) is dict:
        return "table"
    plain = [one for one in get_args(annotation) if one is not type(None)] or [annotation]
    return {str: "text", bool: "true / false", Path: "path"}.get(plain[0], "text")


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def _main() -> int:
    text = genesys_page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.read_text() == text:
        return 0
    sys.stderr.write(f"{PAGE} is not what its generator writes: {_COMMAND}\n")
    return 1


_COMMAND: Final = "python -m earhook.genesys.page"

if __name__ == "__main__":
    sys.exit(_main())
