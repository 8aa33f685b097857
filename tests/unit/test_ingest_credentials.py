"""Tokens, issuers and encryption keys from settings and files: all faults at once, none shown."""

from __future__ import annotations

import base64
import datetime
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from earhook.control.bearer import token_digest
from earhook.control.ingest_credentials import (
    read_encryption_keys,
    read_issuers,
    read_tokens,
    secret_files,
)
from earhook.control.jwks import FetchedKeys
from earhook.control.jwt import Issuer
from earhook.errors import ConfigurationError
from earhook.ingest.credential_settings import (
    EncryptionKeySettings,
    IssuerSettings,
    TokenSettings,
)
from earhook.testing.clock import ManualClock

CANARY = "canary-token-2f61"
ORGANIZATION = "6F1C1F0E-9A5B-4C1D-8E2F-0A1B2C3D4E5F"
KEY = base64.b64encode(b"sixteen bytes ok").decode()
LONG = base64.b64encode(b"x" * 32).decode()


def faults(work: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        work()
    assert CANARY not in str(raised.value)
    assert all(fault.remedy for fault in raised.value.faults)
    return [f"{fault.where}: {fault.what}" for fault in raised.value.faults]


def write_keys(file: Path) -> Path:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    entry = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    file.write_text(json.dumps({"keys": [{**entry, "kid": "a"}]}))
    return file


def issuer_settings(**settings: Any) -> IssuerSettings:
    standard = {"name": "idp", "issuer": "https://idp.example", "audience": "earhook"}
    return IssuerSettings(**{**standard, **settings})


def issuer(**settings: Any) -> Issuer:
    (found,) = read_issuers([issuer_settings(**settings)], ManualClock())
    return found


def test_tokens_come_from_settings_and_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{CANARY}-2\n")
    one, two = read_tokens(
        [
            TokenSettings(name="a", token=CANARY, organizations=(ORGANIZATION,)),
            TokenSettings(name="a", token_file=tmp_path / "token"),
        ]
    )
    assert one.digest == token_digest(CANARY)
    assert two.digest == token_digest(f"{CANARY}-2")
    assert one.organizations == {ORGANIZATION.lower()}
    assert one.ends_wall_seconds is None
    assert CANARY not in repr((one, two))


@pytest.mark.parametrize(
    ("expires", "end"),
    [
        (datetime.date(2026, 1, 1), "2026-01-02T00:00:00+00:00"),
        ("2026-01-01", "2026-01-02T00:00:00+00:00"),
        ("2026-01-01T12:00:00+02:00", "2026-01-01T10:00:00+00:00"),
        ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00+00:00"),
    ],
)
def test_a_token_lasts_to_the_end_of_its_day_or_to_a_moment(expires: Any, end: str) -> None:
    (token,) = read_tokens([TokenSettings(name="a", token=CANARY, expires=expires)])
    assert token.ends_wall_seconds == datetime.datetime.fromisoformat(end).timestamp()


@pytest.mark.parametrize("expires", ["2026-01-01T12:00:00", "tomorrow", 7, "2026-02-30"])
def test_an_end_that_is_none_is_a_fault(expires: Any) -> None:
    with pytest.raises(ValidationError):
        TokenSettings(name="a", token=CANARY, expires=expires)


def test_every_fault_of_every_token_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    tables = [
        TokenSettings(name="a", token_file=tmp_path / "absent"),
        TokenSettings(name="b", token_file=tmp_path / "empty"),
        TokenSettings(name="c", token=f"{CANARY} with space"),
        TokenSettings(name="d", token="short"),
        TokenSettings(name="e", token=f"{CANARY}ä"),
        TokenSettings(name="f", token=CANARY),
        TokenSettings(name="g", token=CANARY),
        TokenSettings(name="h", token="x" * 5000),
    ]
    told = faults(lambda: read_tokens(tables))
    numbers = [fault.partition("[")[2].partition("]")[0] for fault in told]
    assert numbers == ["0", "1", "2", "3", "4", "6", "7"]


def test_keys_of_an_issuer_come_from_a_file(tmp_path: Path) -> None:
    found = issuer(algorithms=("ES256",), jwks_file=write_keys(tmp_path / "keys"))
    assert [key.key_id for key in found.keys.current.keys] == ["a"]


def test_a_shared_secret_is_base64_and_as_long_as_its_hash(tmp_path: Path) -> None:
    assert issuer(algorithms=("HS256",), secret=LONG).secret == b"x" * 32
    (tmp_path / "secret").write_text(LONG)
    found = issuer(algorithms=("HS256",), secret_file=tmp_path / "secret")
    assert found.secret == b"x" * 32
    assert "xxxx" not in repr(found)
    assert "at least 32 bytes" in faults(lambda: issuer(algorithms=("HS256",), secret=KEY))[0]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"jwks_url": "https://a/", "jwks_file": "/b"},
        {"jwks_url": "https://a/", "secret": LONG},
        {"algorithms": ("HS256",)},
        {"algorithms": ("HS256",), "secret": LONG, "jwks_url": "https://a/"},
        {"algorithms": ("HS256",), "secret": LONG, "secret_file": "/b"},
        {"algorithms": ("HS256", "RS256"), "secret": LONG},
        {"algorithms": ("none",), "jwks_url": "https://a/"},
        {"algorithms": (), "jwks_url": "https://a/"},
        {"jwks_url": "https://a/", "issuer": ""},
        {"jwks_url": "https://a/", "audience": ""},
        {"jwks_url": "https://a/", "organizations": ("all",)},
        {"jwks_url": "https://a/", "name": "two words"},
    ],
)
def test_an_issuer_that_contradicts_itself_is_a_fault(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        issuer_settings(**settings)


def test_faults_of_issuers_name_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "html").write_text("<html>")
    tables = [
        issuer_settings(jwks_file=tmp_path / "absent"),
        issuer_settings(jwks_file=tmp_path / "html"),
        issuer_settings(jwks_url="http://idp.example/keys"),
        issuer_settings(jwks_url="https://idp.example/keys", jwks_ca=tmp_path / "absent"),
    ]
    told = faults(lambda: read_issuers(tables, ManualClock()))
    assert len(told) == 4
    assert "cannot be read" in told[0]
    assert "is no JSON" in told[1]
    assert "plain http" in told[2]


def test_keys_that_were_fetched_serve_on_after_a_reload() -> None:
    clock = ManualClock()
    first = read_issuers([issuer_settings(jwks_url="https://a/keys")], clock)
    same = issuer_settings(jwks_url="https://a/keys", audience="other")
    moved = issuer_settings(jwks_url="https://b/keys")
    kept, fresh = read_issuers([same, moved], clock, first)
    assert isinstance(kept.keys, FetchedKeys)
    assert kept.keys is first[0].keys
    assert fresh.keys is not first[0].keys
    assert kept.audience == "other"


def test_encryption_keys_come_by_id(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(LONG)
    keys = read_encryption_keys(
        [
            EncryptionKeySettings(key_id="2026-01", key=KEY),
            EncryptionKeySettings(key_id="2026-02", key_file=tmp_path / "key"),
        ]
    )
    assert keys == {b"2026-01": b"sixteen bytes ok", b"2026-02": b"x" * 32}
    tables = [
        EncryptionKeySettings(key_id="a", key="c2hvcnQ="),
        EncryptionKeySettings(key_id="b", key=CANARY),
        EncryptionKeySettings(key_id="b", key_file=tmp_path / "absent"),
        EncryptionKeySettings(key_id="c", key=KEY),
        EncryptionKeySettings(key_id="c", key=KEY),
    ]
    told = faults(lambda: read_encryption_keys(tables))
    assert [fault.partition(":")[0] for fault in told] == [
        "ingest.encryption_keys[0].key",
        "ingest.encryption_keys[1].key",
        "ingest.encryption_keys[2].key_file",
        "ingest.encryption_keys[4]",
    ]


def test_every_secret_file_is_known(tmp_path: Path) -> None:
    files = secret_files(
        [TokenSettings(name="a", token_file=tmp_path / "1"), TokenSettings(name="b", token=CANARY)],
        [issuer_settings(algorithms=("HS256",), secret_file=tmp_path / "2")],
        [EncryptionKeySettings(key_id="a", key_file=tmp_path / "3")],
    )
    assert files == [tmp_path / "1", tmp_path / "2", tmp_path / "3"]


def test_settings_never_print_a_secret() -> None:
    tables = [
        TokenSettings(name="a", token=CANARY),
        issuer_settings(algorithms=("HS256",), secret=CANARY),
        EncryptionKeySettings(key_id="a", key=CANARY),
    ]
    for table in tables:
        assert CANARY not in f"{table!r} {table} {table.model_dump_json()}"
