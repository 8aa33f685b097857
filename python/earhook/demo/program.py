"""What somebody types or pastes to run this very program again, from where they are."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["program", "short"]


def program() -> str:
    """`earhook` if that is what the shell finds, else the path of what is running."""
    own = Path(sys.argv[0])
    if own.name == "__main__.py" or not own.is_file():
        return f"{shlex.quote(_runnable(Path(sys.executable)))} -m earhook"
    found = shutil.which(own.name)
    if found is not None and Path(found).samefile(own):
        return own.name
    return shlex.quote(_runnable(own))


def short(path: Path) -> str:
    """A path as it is called from here, if it lies below."""
    try:
        # Not resolved: the Python of a virtual environment is a link to another.
        return str(Path(os.path.abspath(path)).relative_to(Path.cwd()))  # noqa: PTH100
    except ValueError:
        return str(path)


def _runnable(path: Path) -> str:
    """A shell looks up a word without a slash on its path, and not here."""
    text = short(path)
    return text if os.sep in text else f".{os.sep}{text}"
