"""The command line: help, exit codes, faults as a list, nothing slow that is not asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from earhook import __version__
from earhook.cli.main import COMMANDS, app

RUNNER = CliRunner()


def earhook(*arguments: str, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "earhook", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=directory,
        check=False,
    )


def test_version_is_one_line_and_imports_no_engine() -> None:
    probe = (
        "import sys\n"
        "from earhook.cli.main import app\n"
        "try: app(['version'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'numpy', 'aiohttp', 'picows', 'uvloop', 'orjson'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"earhook {__version__}\n"), done.stderr


def test_version_as_json_says_what_it_runs_on() -> None:
    facts = json.loads(RUNNER.invoke(app, ["version", "--json"]).stdout)
    assert facts["earhook"] == __version__
    assert facts["libraries"]["picows"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page(name: str) -> None:
    result = RUNNER.invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert name in result.stdout
    assert "bool" not in result.stdout


def test_the_first_page_lists_every_command() -> None:
    page = RUNNER.invoke(app, ["--help"]).stdout
    assert all(f" {name} " in page for name in COMMANDS)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert RUNNER.invoke(app, ["dmeo"]).exit_code == 2


def test_faults_go_to_standard_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "earhook.toml").write_text("[media]\nprot = 1\n[medai]\n")
    done = earhook("config", "print", directory=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("earhook: 2 faults to correct\n")
    assert "did you mean 'port'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_init_print_and_check_follow_each_other(tmp_path: Path) -> None:
    begun = earhook("config", "init", directory=tmp_path)
    assert begun.returncode == 0
    assert "wss://HOST:8443/audiohook" in begun.stdout
    assert begun.stdout.endswith("next: earhook check, then earhook serve\n")
    printed = earhook("config", "print", directory=tmp_path)
    assert printed.returncode == 0
    assert '[[sinks]]\nkind = "recording"' in printed.stdout
    ports = ("--set", "media.port=0", "--set", "admin.port=0")
    checked = earhook("check", "--json", *ports, directory=tmp_path)
    assert json.loads(checked.stdout)["faults"] == 0, checked.stdout
    assert checked.returncode == 0
    again = earhook("config", "init", directory=tmp_path)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    secret = (tmp_path / "keys" / "genesys.secret").read_text().strip()
    assert secret not in begun.stdout + printed.stdout + checked.stdout


def test_check_lists_faults_and_ends_with_1(tmp_path: Path) -> None:
    done = earhook("check", "--json", "--set", "media.prot=1", directory=tmp_path)
    report = json.loads(done.stdout)
    assert (done.returncode, report["faults"]) == (1, 1)
    plain = earhook("check", directory=tmp_path)
    assert plain.returncode == 1
    assert "no [[keys]] table" in plain.stdout


def test_the_schema_is_json() -> None:
    schema = json.loads(RUNNER.invoke(app, ["config", "schema"]).stdout)
    assert "media" in schema["properties"]


def test_the_reference_is_the_page() -> None:
    assert RUNNER.invoke(app, ["config", "reference"]).stdout.startswith("# Configuration")


def test_the_version_is_an_option_too() -> None:
    shown = earhook("--version")
    assert (shown.returncode, shown.stdout) == (0, f"earhook {__version__}\n")
    assert earhook().returncode == 2
    assert earhook("--").returncode == 2
