"""What the settings of a PCM stream allow: nothing by which a stranger hears calls."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from earhook.sinks.pcm_stream.settings import PcmStreamSettings

UNIX = "unix:/run/earhook/pcm.sock"
LOOPBACK = "tcp:127.0.0.1:9300"
PUBLIC = "tcp:0.0.0.0:9300"
PAIR = {"certificate": "a.crt", "private_key": "a.key"}

GOOD: list[tuple[dict[str, Any], bool]] = [
    ({"listen": UNIX}, True),
    ({"connect": UNIX}, True),
    ({"listen": UNIX, "commands": False}, False),
    ({"listen": LOOPBACK}, False),
    ({"listen": LOOPBACK, "commands": True}, True),
    ({"listen": LOOPBACK, "token": "t"}, True),
    ({"listen": LOOPBACK, "tls": PAIR}, False),
    ({"listen": PUBLIC, "tls": {**PAIR, "client_ca": "ca.crt"}}, True),
    ({"listen": PUBLIC, "tls": PAIR, "token_file": "token"}, True),
    ({"listen": PUBLIC, "insecure": True}, False),
    ({"connect": "tcp:asr.example:9300", "tls": {}}, True),
    ({"connect": "tcp:asr.example:9300", "insecure": True}, False),
]

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "exactly one of listen and connect"),
    ({"listen": UNIX, "connect": UNIX}, "exactly one of listen and connect"),
    ({"listen": "9300"}, "is no address"),
    ({"listen": "tls:0.0.0.0:9300"}, "give a tls table"),
    ({"listen": PUBLIC}, "in the clear"),
    ({"listen": PUBLIC, "token": "t"}, "in the clear"),
    ({"connect": "tcp:asr.example:9300"}, "in the clear"),
    ({"listen": PUBLIC, "tls": PAIR}, "could hear every call"),
    ({"listen": LOOPBACK, "tls": {}}, "needs certificate"),
    ({"listen": LOOPBACK, "tls": {"certificate": "a.crt"}}, "belong together"),
    ({"listen": LOOPBACK, "tls": {**PAIR, "server_ca": "ca"}}, "is for connect"),
    ({"connect": LOOPBACK, "tls": {"client_ca": "ca"}}, "is for listen"),
    ({"listen": UNIX, "tls": PAIR}, "tcp addresses"),
    ({"listen": LOOPBACK, "token": "t", "token_file": "f"}, "one of token"),
    ({"listen": UNIX, "unix_mode": "rw"}, "octal"),
    ({"listen": UNIX, "unix_mode": 0o1777}, "less than or equal"),
    ({"listen": UNIX, "name": "a b"}, "pattern"),
]


@pytest.mark.parametrize(("table", "commands"), GOOD)
def test_what_is_safe_is_allowed(table: dict[str, Any], commands: bool) -> None:
    assert PcmStreamSettings(**table).allows_commands is commands


@pytest.mark.parametrize(("table", "why"), BAD)
def test_what_is_not_is_refused_with_the_reason(table: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PcmStreamSettings(**table)


def test_modes_are_octal_however_they_are_written() -> None:
    for mode in (0o600, "600", "0600", "0o600"):
        assert PcmStreamSettings(listen=UNIX, unix_mode=mode).unix_mode == 0o600


def test_a_token_is_not_shown() -> None:
    assert "sesame" not in repr(PcmStreamSettings(listen=LOOPBACK, token="sesame"))
