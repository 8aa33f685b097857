"""`earhook conform` as a command, against our gateway and a server that breaks a rule."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
import trustme

from commands import Ended, earhook
from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.conform.clauses import ALL
from earhook.conform.page import GUIDE, with_clauses

from .faults import FAULTS
from .scripted_server import KEY as SCRIPTED_KEY
from .scripted_server import SECRET as SCRIPTED_SECRET
from .scripted_server import scripted_server

conform = partial(earhook, "conform")
Run = Callable[[Coroutine[Any, Any, Any]], Any]
ROOT = Path(__file__).parents[3]
KEY, SECRET = secrets.token_urlsafe(16), base64.b64encode(secrets.token_bytes(32)).decode()
OURS = {"EARHOOK_API_KEY": KEY, "EARHOOK_SECRET": SECRET}
SCRIPTED = {
    "EARHOOK_API_KEY": SCRIPTED_KEY,
    "EARHOOK_SECRET": base64.b64encode(SCRIPTED_SECRET).decode(),
}
ENDS = {"open_seconds": 0.5, "disconnect_seconds": 0.8, "close_seconds": 0.8}


@asynccontextmanager
async def gateway(tls: dict[str, Path] | None = None, **media: Any) -> AsyncIterator[str]:
    configuration = Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0, "tls": tls, **media},
            "admin": {"port": 0},
            "keys": [{"api_key": KEY, "secrets": [SECRET]}],
            "protocol": {"timeouts": ENDS, "supported_languages": ["en-US"]},
            "signature": {"replay": "enforce"},
        }
    )
    async with Gateway(configuration) as running:
        scheme = "ws" if tls is None else "wss"
        yield f"{scheme}://localhost:{running.media_port}/audiohook"


def verdicts(report: dict[str, Any], *wanted: str) -> dict[str, str]:
    """Clauses that came out so, and why."""
    return {e["id"]: e["evidence"] for e in report["clauses"] if e["verdict"] in wanted}


def test_our_gateway_keeps_every_clause(
    run: Run, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    certificate = certificate_authority.issue_cert("localhost")
    files = {"certificate": tmp_path / "crt", "private_key": tmp_path / "key"}
    files["certificate"].write_bytes(b"".join(b.bytes() for b in certificate.cert_chain_pems))
    files["private_key"].write_bytes(certificate.private_key_pem.bytes())
    authority, junit = tmp_path / "ca", tmp_path / "conform.xml"
    authority.write_bytes(certificate_authority.cert_pem.bytes())

    async def scenario() -> Ended:
        async with gateway(files) as url:
            return await conform(
                f"{url}?token=hidden", "--cafile", str(authority), "--patience", "5", "--json",
                "--at-once", "32",
                "--junit", str(junit), **OURS,
            )  # fmt: skip

    ended = run(scenario())
    report = orjson.loads(ended.output)
    assert verdicts(report, "fail", "not reached", "note") == {}
    assert ended.code == 0
    assert report["ok"] is True
    assert set(verdicts(report, "not applicable")) == {
        "refusal.in-band", "connector.dtmf", "connector.playback", "playback.size",
        "playback.rate", "playback.opened",
    }  # fmt: skip
    suite = ElementTree.parse(junit).getroot()[0]
    assert int(suite.attrib["tests"]) == len(ALL) == len(suite)
    assert suite.attrib["failures"] == suite.attrib["errors"] == "0"
    for secret in (KEY, SECRET, "hidden"):
        assert secret not in ended.output + junit.read_text()


@pytest.mark.parametrize("product", ["transcription", "audio-connector"])
def test_our_gateway_keeps_them_for_every_product_and_in_band(run: Run, product: str) -> None:
    async def scenario() -> Ended:
        async with gateway(refusal="disconnect") as url:
            return await conform(
                url, "--json", "--product", product, "--at-once", "32", "--patience", "5", **OURS
            )

    ended = run(scenario())
    report = orjson.loads(ended.output)
    assert verdicts(report, "fail", "not reached", "note") == {}
    assert "refusal.in-band" in verdicts(report, "pass")
    assert ("connector.dtmf" in verdicts(report, "pass")) is (product == "audio-connector")


def test_a_broken_clause_is_a_line_with_evidence_and_cure_and_a_failure(
    run: Run, tmp_path: Path
) -> None:
    junit = tmp_path / "conform.xml"

    async def scenario() -> Ended:
        async with scripted_server(FAULTS["tolerance.field"].make()) as url:
            return await conform(
                url, "--only", "tolerance", "--only", "close.c*", "--junit", str(junit), **SCRIPTED
            )

    ended = run(scenario())
    assert ended.code == 3
    lines = ended.output.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["pass", "tolerance.type"], ["FAIL", "tolerance.field"], ["pass", "tolerance.parameter"],
    ]  # fmt: skip
    assert "`disconnect` error: no" in lines[1]
    assert "Ignore what you do not know." in lines[1]
    assert "does not conform" in lines[-1]
    failures = ElementTree.parse(junit).getroot().findall(".//failure")
    assert ["`disconnect` error" in each.attrib["message"] for each in failures] == [True]


def test_what_could_not_be_reached_is_no_success(run: Run) -> None:
    async def scenario() -> Ended:
        async with scripted_server(FAULTS["upgrade.accepted"].make()) as url:
            return await conform(url, "--only", "ping.answered", **SCRIPTED)

    ended = run(scenario())
    assert ended.code == 3
    assert "HTTP 307" in ended.output


def test_without_credentials_their_clauses_do_not_apply(run: Run) -> None:
    async def scenario() -> Ended:
        async with gateway() as url:
            return await conform(url, "--only", "key", "--only", "signature", "--json")

    report = orjson.loads(run(scenario()).output)
    assert len(verdicts(report, "not applicable")) == len(report["clauses"]) > 20


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ws://localhost:1/audiohook"], "nothing listens"),
        (["http://localhost:1/"], "no ws:// or wss:// URL"),
        ([], "is missing"),
        (["ws://localhost:1/", "--only", "pingg"], "no clause is called 'pingg'"),
        (["ws://localhost:1/", "--organization-id", "7"], "no UUID"),
    ],
)
def test_where_there_is_nothing_to_ask(run: Run, arguments: list[str], complaint: str) -> None:
    ended = run(conform(*arguments))
    assert ended.code == 1
    assert complaint in " ".join(ended.complaint.split())


def test_the_list(run: Run) -> None:
    lines = run(conform("--list")).output.splitlines()
    assert [line.split()[0] for line in lines] == [each.id for each in ALL]
    listed = orjson.loads(run(conform("--list", "--json", "--only", "ping")).output)
    assert {each["id"].partition(".")[0] for each in listed} == {"ping"}


def test_every_clause_has_its_own_id_and_cites_a_section_that_exists() -> None:
    protocol = (ROOT / "docs" / "protocol" / "audiohook.md").read_text()
    assert len({each.id for each in ALL}) == len(ALL) > 150
    for each in ALL:
        cited = each.section
        known = cited.startswith("RFC ") or any(
            mark in protocol for mark in (f"## {cited} ", f"**{cited}**")
        )
        assert known, f"{each.id} cites {cited}"


def test_the_guide_lists_the_clauses() -> None:
    text = (ROOT / GUIDE).read_text(encoding="utf-8")
    assert text == with_clauses(text), "run python -m earhook.conform.page"
