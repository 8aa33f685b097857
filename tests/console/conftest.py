"""Without a browser these tests cannot say anything; where one is demanded, that is a failure.

`EARHOOK_BROWSER=required` demands it.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from console.looking import CHROMIUM


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here."""
    missing = [
        name
        for name, is_there in (
            ("playwright", importlib.util.find_spec("playwright") is not None),
            ("chromium", CHROMIUM is not None),
        )
        if not is_there
    ]
    if not missing or os.environ.get("EARHOOK_BROWSER") == "required":
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            reason = f"not installed: {', '.join(missing)}"
            item.add_marker(pytest.mark.skip(reason=reason))
