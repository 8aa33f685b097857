"""One house a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from .house import House


@pytest.fixture
def house(tmp_path: Path, certificate_authority: trustme.CA) -> House:
    """A gateway with both doors, not opened yet."""
    return House(tmp_path, certificate_authority)
