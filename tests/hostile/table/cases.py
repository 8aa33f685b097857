"""What the tables are made of: a case, and builders of the bytes that several tables send."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

SESSION_ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
ORGANIZATION_ID = "d7934305-0972-4844-938e-9060eef73d05"
OPEN_KEY = "table-key-without-a-signature"
"""The API key that lets the tables in, where getting in is not what they are about."""


class Case(NamedTuple):
    """One bad input.

    Attributes:
        name: What is bad about it; unique in its family.
        sent: The bytes, sent at once.
        expected: What comes back, in the words of the family's driver.
    """

    name: str
    sent: bytes
    expected: str


def message(type_name: Any, parameters: Any, **envelope: Any) -> bytes:
    """A text message of the protocol; `envelope` replaces what is right in it."""
    written = {
        "version": "2",
        "type": type_name,
        "id": SESSION_ID,
        "seq": 1,
        "serverseq": 0,
        "position": "PT0S",
        "parameters": parameters,
        **envelope,
    }
    return json.dumps({name: value for name, value in written.items() if value is not ...}).encode()


def open_parameters(**changed: Any) -> dict[str, Any]:
    """The parameters of an `open` that is in order; `...` leaves one out."""
    written = {
        "organizationId": ORGANIZATION_ID,
        "conversationId": "3c9a4b1e-5d27-4c66-9f10-6f0f2b7c1a55",
        "participant": participant(),
        "media": [
            {
                "type": "audio",
                "format": "PCMU",
                "channels": ["external", "internal"],
                "rate": 8000,
            }
        ],
        **changed,
    }
    return {name: value for name, value in written.items() if value is not ...}


def participant(**changed: Any) -> dict[str, Any]:
    """A participant that is in order; `...` leaves a field out."""
    written = {
        "id": "9e4d2c77-1b0a-4d3f-8a61-2f5b6c7d8e90",
        "ani": "tel:+15550100",
        "aniName": "",
        "dnis": "+15550199",
        **changed,
    }
    return {name: value for name, value in written.items() if value is not ...}


OPEN = message("open", open_parameters())
