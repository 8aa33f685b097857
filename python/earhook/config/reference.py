"""Writes the reference pages from the declarations: `python -m earhook.config.reference`.

With `--check` nothing is written, and the exit code is 1 when a page is not what it should be.
"""

from __future__ import annotations

import sys
from pathlib import Path

from earhook.ops.metrics import reference_page as metrics_page

from .schema import Configuration
from .sections import Row, Section, sections

__all__ = ["configuration_page", "main"]

DIRECTORY = Path("docs/reference")


def main() -> int:
    """Write or check the pages below the working directory."""
    pages = {"config.md": configuration_page(), "metrics.md": metrics_page()}
    stale = [DIRECTORY / name for name, text in pages.items() if _text_of(DIRECTORY / name) != text]
    if "--check" not in sys.argv[1:]:
        for path in stale:
            path.write_text(pages[path.name])
        return 0
    for path in stale:
        sys.stderr.write(f"{path} is stale: run python -m earhook.config.reference\n")
    return 1 if stale else 0


def configuration_page() -> str:
    """`docs/reference/config.md`, made from the schema."""
    return "\n".join([_INTRODUCTION, *map(_section, sections(Configuration))])


def _section(section: Section) -> str:
    kind = f' with `kind = "{section.kind}"`' if section.kind else ""
    lines = [f"## `{section.header}`{kind}", "", section.text, ""]
    if section.rows:
        lines += ["| key | value | default | |", "|---|---|---|---|"]
        lines += [_row(row) for row in section.rows]
        lines.append("")
    return "\n".join(lines)


def _row(row: Row) -> str:
    default = "required" if row.required else "none" if row.default is None else f"`{row.default}`"
    text = row.text.replace("|", "\\|")
    return f"| `{row.name}` | {row.accepts} | {default} | {text} |"


def _text_of(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


_INTRODUCTION = """\
# Configuration

Made from the settings of each room by `python -m earhook.config.reference`; do not edit.

`earhook serve` reads `--config FILE`, or the file that `$EARHOOK_CONFIG` names, or `earhook.toml`
in the working directory. Over the file lie environment variables, and over these `--set`:

```sh
EARHOOK__MEDIA__PORT=9443 earhook serve --config earhook.toml --set drain.grace_seconds=60
```

- A variable is named `EARHOOK__SECTION__KEY`, with one more `__KEY` per nested table. Lists and
  `[[tables]]` are given whole, as JSON: `EARHOOK__KEYS='[{"api_key_file": "/run/key", …}]'`.
- Every secret can lie in a file of its own (`…_file`), which SIGHUP reads again.
- Relative paths count from the directory of the configuration file.
- All faults are reported at once; an unknown key is a fault and names the nearest known one.

`earhook config init` writes a starter file, `earhook config print` shows what is in force (secrets
redacted), `earhook config schema` writes the JSON Schema, `earhook check` tries everything out.
"""

if __name__ == "__main__":
    sys.exit(main())
