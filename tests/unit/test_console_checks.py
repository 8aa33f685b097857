"""`earhook check` on `[console]`: what cannot be, and what shows more than its owner may think."""

from __future__ import annotations

from typing import Any

import pytest

from earhook.config.checks.console import check_console
from earhook.config.schema import Configuration


@pytest.mark.parametrize(
    ("console", "admin", "found"),
    [
        ({}, {}, []),
        ({"listen": True}, {}, ["console.listen"]),
        ({"recordings": True}, {}, ["console.recordings"]),
        ({"listen": True, "recordings": True}, {"token": "t"}, []),
        ({"listen": True, "recordings": True}, {"token_file": "t"}, []),
        ({"listen": True, "recordings": True, "enabled": False}, {}, []),
    ],
)
def test_what_only_a_token_makes_sense_of_is_named(
    console: dict[str, Any], admin: dict[str, Any], found: list[str]
) -> None:
    configuration = Configuration.model_validate({"console": console, "admin": admin})
    assert [finding.where for finding in check_console(configuration)] == found
