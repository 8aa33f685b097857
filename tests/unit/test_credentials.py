"""Keys and tokens from settings and files: all faults at once, nothing shown, nothing half done."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from earhook.control.credentials import exposed_files, read_keyring, read_token
from earhook.control.settings import AdminSettings, KeySettings
from earhook.errors import ConfigurationError

CANARY = "canary-4b2e"
SECRET = base64.b64encode(b"0123456789abcdef").decode()


def test_keys_come_from_settings_and_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("file-key\n")
    (tmp_path / "secret").write_text(f"  {SECRET}\r\n")
    keyring = read_keyring(
        [
            KeySettings(api_key="inline-key", secrets=(SECRET,), organizations=("ABC",)),
            KeySettings(
                name="prod", api_key_file=tmp_path / "key", secret_files=(tmp_path / "secret",)
            ),
        ]
    )
    inline, from_file = keyring.find("inline-key"), keyring.find("file-key")
    assert inline is not None
    assert from_file is not None
    assert (inline.name, from_file.name) == ("key-1", "prod")
    assert from_file.secrets == (b"0123456789abcdef",)
    assert inline.organizations == {"abc"}


def test_every_fault_of_every_key_is_told_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "wrong").write_text(f"{CANARY}!")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_text("x" * 5000)
    keys = [
        KeySettings(api_key_file=tmp_path / "absent", secrets=(SECRET,)),
        KeySettings(api_key_file=tmp_path / "empty", secret_files=(tmp_path / "wrong",)),
        KeySettings(api_key=f"{CANARY} with space", secret_files=(tmp_path / "binary",)),
        KeySettings(api_key="k", secret_files=(tmp_path / "huge",)),
    ]
    with pytest.raises(ConfigurationError) as caught:
        read_keyring(keys)
    assert len(caught.value.faults) == 6
    assert {fault.where.partition(".")[0] for fault in caught.value.faults} == {
        f"keys[{number}]" for number in range(4)
    }
    assert CANARY not in str(caught.value)


def test_the_same_key_from_two_files_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(CANARY)
    key = KeySettings(api_key_file=tmp_path / "key", secrets=(SECRET,))
    with pytest.raises(ConfigurationError) as caught:
        read_keyring([key, key])
    assert CANARY not in str(caught.value)


def test_the_token_comes_from_settings_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    assert read_token(AdminSettings()) is None
    assert read_token(AdminSettings(token="inline")) == "inline"
    assert read_token(AdminSettings(token_file=tmp_path / "token")) == "from-file"
    with pytest.raises(ConfigurationError):
        read_token(AdminSettings(token_file=tmp_path / "absent"))


def test_files_that_everybody_can_read_are_named(tmp_path: Path) -> None:
    shut, wide = tmp_path / "shut", tmp_path / "wide"
    for file, mode in ((shut, 0o600), (wide, 0o644)):
        file.write_text("x")
        file.chmod(mode)
    keys = [KeySettings(api_key_file=shut, secret_files=(wide,))]
    assert exposed_files(keys, AdminSettings(token_file=tmp_path / "absent")) == [wide]


def test_settings_never_print_a_secret() -> None:
    key = KeySettings(api_key=CANARY, secrets=(SECRET,))
    assert CANARY not in f"{key!r} {key} {key.model_dump_json()}"
    assert SECRET not in f"{key!r} {key} {key.model_dump_json()}"


def test_a_bad_secret_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "good").write_text(SECRET)
    (tmp_path / "wrong").write_text(f"{CANARY}!")
    files = (tmp_path / "good", tmp_path / "wrong")
    with pytest.raises(ConfigurationError) as caught:
        read_keyring([KeySettings(api_key="k", secret_files=files)])
    (fault,) = caught.value.faults
    assert fault.where == f"keys[0].secret_files {tmp_path / 'wrong'}"
