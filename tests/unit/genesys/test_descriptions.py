"""Descriptions of what is wanted, the keys they name, and the files that are made of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from earhook.config.load import load_configuration
from earhook.errors import ConfigurationError
from earhook.genesys.example import EXAMPLE
from earhook.genesys.gateway_keys import add_keys
from earhook.genesys.hcl import Block, json_expression, written
from earhook.genesys.keys import write_keys
from earhook.genesys.page import genesys_page
from earhook.genesys.terraform import module_files, write_module
from earhook.genesys.wanted_file import Wanted, read_wanted

ROOT = Path(__file__).parents[3]
TERRAFORM = shutil.which("terraform")


def described(directory: Path, text: str) -> Path:
    file = directory / "genesys.toml"
    file.write_text(text)
    return file


def faults(file: Path) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        read_wanted(file)
    return {one.where: f"{one.what} ({one.remedy})" for one in caught.value.faults}


def test_every_fault_of_the_fields_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary key\n")
    (tmp_path / "short").write_text("Y2FuYXJ5\n")
    found = faults(
        described(
            tmp_path,
            """
            monitored_queues = ["q", "Q"]
            [[integrations]]
            name = " a"
            connection_uri = "ws://h/?ts=1"
            api_key_file = "key"
            client_secret_file = "nowhere"
            [[integrations]]
            name = "b"
            connection_uri = "wss://h/"
            api_key_file = "short"
            [[audiohooks]]
            name = "B"
            destination_url = "https://u:canary@h/{id}"
            encryption_key_file = "short"
            [[audiohooks]]
            name = "b"
            destination_url = "https://h/"
            """,
        )
    )
    assert set(found) == {
        "integrations[0].name",
        "integrations[0].connection_uri",
        "integrations[0].api_key_file",
        "integrations[0].client_secret_file",
        "audiohooks[0].destination_url",
        "audiohooks[0].encryption_key_file",
        "audiohooks[1]",
        "monitored_queues[1]",
    }
    assert "earhook genesys keys" in found["integrations[0].client_secret_file"]
    assert "has 6 bytes" in found["audiohooks[0].encryption_key_file"]
    assert "canary" not in str(found).replace(str(tmp_path), "")


def test_the_shape_is_told_with_the_nearest_name_and_without_values(tmp_path: Path) -> None:
    found = faults(
        described(
            tmp_path,
            """
            regoin = "canary"
            [[integrations]]
            name = "a"
            conection_uri = "wss://h/"
            api_key = "canary"
            api_key_file = "x"
            channel = "canary"
            [[audiohooks]]
            name = "a"
            destination_url = "https://h/"
            format = "opus"
            """,
        )
    )
    assert "did you mean 'region'" in found["regoin"]
    assert "did you mean 'connection_uri'" in found["integrations[0].conection_uri"]
    assert "is missing" in found["integrations[0].connection_uri"]
    assert "did you mean 'api_key_file'" in found["integrations[0].api_key"]
    assert "'both', 'internal' or 'external'" in found["integrations[0].channel"]
    assert "'OPUS' or 'PCMU'" in found["audiohooks[0].format"]
    assert "canary" not in str(found)


@pytest.mark.parametrize("text", ["[[integrations]", 'x = "\\q"', "integrations = 3"])
def test_what_is_no_description_is_told(tmp_path: Path, text: str) -> None:
    assert faults(described(tmp_path, text))
    assert "does not exist" in str(faults(tmp_path / "nowhere.toml"))


def test_the_example_is_a_description_and_the_page_shows_it(tmp_path: Path) -> None:
    wanted = read_wanted(described(tmp_path, EXAMPLE), make_keys=True)
    assert [one.wish.name for one in wanted.monitors] == ["earhook"]
    # What is commented out is right as well.
    whole = re.sub(r"^# (?=\[\[|[a-z_]+ = )", "", EXAMPLE, flags=re.MULTILINE)
    wanted = read_wanted(described(tmp_path, whole), make_keys=True)
    assert [one.wish.name for one in wanted.hooks] == ["earhook-posts"]
    assert wanted.monitors[0].wish.custom_config == {"tenant": "blue"}
    assert EXAMPLE in genesys_page()
    assert (ROOT / "docs/reference/genesys.md").read_text() == genesys_page()


def test_missing_keys_are_made_once_and_only_we_can_read_them(tmp_path: Path) -> None:
    file = described(tmp_path, EXAMPLE)
    first = read_wanted(file, make_keys=True)
    assert not (tmp_path / "keys").exists(), "reading writes nothing"
    write_keys(first.fresh_keys)
    for path in first.fresh_keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    again = read_wanted(file, make_keys=True)
    assert not again.fresh_keys
    wish, before = again.monitors[0].wish, first.monitors[0].wish
    assert wish.api_key.reveal() == before.api_key.reveal()
    assert wish.client_secret is not None
    assert len(wish.client_secret.reveal()) == 44
    assert wish.api_key.reveal() not in f"{again}{first}"
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_keys(first.fresh_keys)


def test_the_gateway_learns_the_keys_once_and_can_use_them(tmp_path: Path) -> None:
    gateway = tmp_path / "etc/earhook.toml"
    gateway.parent.mkdir()
    gateway.write_text('# mine\n[[sinks]]\nkind = "recording"\ndirectory = "r"')
    gateway.chmod(0o640)
    text = EXAMPLE.replace('"keys/', '"etc/keys/')
    text += '[[integrations]]\nname = "plain"\nconnection_uri = "wss://h/"\napi_key_file = "k"\n'
    file = described(tmp_path, text)
    wanted = read_wanted(file, make_keys=True)
    write_keys(wanted.fresh_keys)
    assert add_keys(gateway, wanted.state, tmp_path) == ["earhook", "plain"]
    after = gateway.read_text()
    assert after.startswith("# mine\n[[sinks]]")
    assert stat.S_IMODE(gateway.stat().st_mode) == 0o640
    assert add_keys(gateway, wanted.state, tmp_path) == []
    assert gateway.read_text() == after
    known = load_configuration(gateway, {}, []).keys
    assert [one.name for one in known] == ["earhook", "plain"]
    assert known[0].api_key_file == gateway.parent / "keys/genesys.api-key"
    assert known[1].unsigned
    assert [path.name for path in gateway.parent.iterdir() if path.is_file()] == ["earhook.toml"]


@pytest.mark.parametrize("text", ["keys = []\n", "[[keys\n", None])
def test_a_gateway_file_that_cannot_be_extended_stays_as_it_is(
    tmp_path: Path, text: str | None
) -> None:
    gateway = tmp_path / "earhook.toml"
    if text is not None:
        gateway.write_text(text)
    wanted = read_wanted(described(tmp_path, EXAMPLE), make_keys=True)
    with pytest.raises(ConfigurationError):
        add_keys(gateway, wanted.state, tmp_path)
    assert gateway.exists() == (text is not None)
    assert text is None or gateway.read_text() == text


AWKWARD: dict[str, Any] = {
    "plain": 1,
    "a_long_name": [1, 2.5, {"text": 'y ${z} %{b} " \\ \n\t ü €', "none_of_it": True}, []],
    "true": False,
    "with space": "$${x}",
    "1st": {"nested": {"deep": "\x7f\x01"}, "n": -3},
    "empty": {},
    "dash-ed": "%",
}


def awkward(directory: Path) -> Wanted:
    text = EXAMPLE.partition("[integrations.custom_config]")[0]
    text = text.replace('name = "earhook"', 'name = "Ear hook: \\"1\\" ${x}"')
    text += f"custom_config = {_toml(AWKWARD)}\n"
    text += '[[integrations]]\nname = "ear hook 1 x"\nconnection_uri = "wss://h/"\n'
    text += 'api_key_file = "k"\nenabled = false\n'
    return read_wanted(described(directory, text), make_keys=True)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value).replace("\x7f", "\\u007f")


def test_a_module_has_the_resources_of_the_provider_and_no_secret(tmp_path: Path) -> None:
    wanted = awkward(tmp_path)
    assert wanted.monitors[0].wish.custom_config == AWKWARD
    files = module_files(wanted)
    main = files["main.tf"]
    heads = re.findall(r'^resource "(\w+)" "(\w+)"', main, re.MULTILINE)
    assert heads == [
        ("genesyscloud_integration_credential", "ear_hook_1_x"),
        ("genesyscloud_integration", "ear_hook_1_x"),
        ("genesyscloud_integration_credential", "ear_hook_1_x_2"),
        ("genesyscloud_integration", "ear_hook_1_x_2"),
    ]
    for part in (
        'credential_type_name = "audioHook"',
        "apiKey       = var.ear_hook_1_x_api_key",
        "clientSecret = var.ear_hook_1_x_client_secret",
        'integration_type = "audiohook"',
        'connectionUri = "wss://gateway.example.com/audiohook"',
        "audioHook = genesyscloud_integration_credential.ear_hook_1_x.id",
        'intended_state   = "DISABLED"',
    ):
        assert part in main
    assert files["variables.tf"].count("sensitive   = true") == 3
    assert "var.ear_hook_1_x_2_client_secret" not in main
    assert 'source  = "mypurecloud/genesyscloud"' in files["versions.tf"]
    for text in files.values():
        assert text.count("{") == text.count("}")
        assert not re.search(r"[ \t]$|\n\n\n", text, re.MULTILINE)
    write_module(tmp_path / "module", files)
    with pytest.raises(ConfigurationError, match="--force"):
        write_module(tmp_path / "module", files)
    write_module(tmp_path / "module", files, overwrite=True)
    with pytest.raises(ConfigurationError, match="integrations"):
        module_files(read_wanted(described(tmp_path, "")))


def terraform(directory: Path, *words: str) -> str:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        [TERRAFORM or "", *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(TERRAFORM is None, reason="terraform is not installed")
def test_terraform_finds_nothing_to_format_and_reads_what_was_meant(tmp_path: Path) -> None:
    write_module(tmp_path / "module", module_files(awkward(tmp_path)))
    assert terraform(tmp_path / "module", "fmt", "-check", "-diff") == ""
    alone = tmp_path / "alone"
    alone.mkdir()
    text = written([Block('output "config"', {"value": json_expression(AWKWARD)})])
    (alone / "main.tf").write_text(text)
    assert terraform(alone, "fmt", "-check", "-diff") == ""
    terraform(alone, "apply", "-auto-approve", "-no-color")
    assert json.loads(terraform(alone, "output", "-raw", "config")) == AWKWARD
