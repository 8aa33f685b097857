"""Writes the list of clauses into the guide: `python -m earhook.conform.page`.

With `--check` nothing is written, and the exit code is 1 when the guide is not what it should be.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from .clauses import ALL
from .verdicts import Clause

__all__ = ["main", "with_clauses"]

GUIDE: Final = Path("docs/howto/check-a-server.md")
BEGIN: Final = "<!-- clauses, made by python -m earhook.conform.page -->\n"
END: Final = "<!-- end of clauses -->\n"


def main() -> int:
    """Write or check the guide below the working directory."""
    text = GUIDE.read_text(encoding="utf-8")
    right = with_clauses(text)
    if "--check" not in sys.argv[1:]:
        GUIDE.write_text(right, encoding="utf-8")
        return 0
    if text != right:
        sys.stderr.write(f"{GUIDE} is stale: run python -m earhook.conform.page\n")
    return int(text != right)


def with_clauses(text: str) -> str:
    """The guide with the list between its marks renewed."""
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError("the marks of the list are missing")
    return f"{before}{BEGIN}\n{_table()}\n{END}{after}"


def _table() -> str:
    rows = ["| clause | § | a server that keeps it |", "|---|---|---|", *map(_row, ALL)]
    return "\n".join(rows) + "\n"


def _row(clause: Clause) -> str:
    sentence = clause.sentence if clause.level == "must" else f"*{clause.sentence}*"
    return f"| `{clause.id}` | {clause.section} | {sentence} |"


if __name__ == "__main__":
    sys.exit(main())
