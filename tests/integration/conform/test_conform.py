"""`earhook conform`: our gateway keeps every clause, and some server breaks each of them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trustme
import uvloop

from earhook.conform.clauses import ALL
from earhook.conform.stage import Patience, Target
from earhook.conform.suite import run_clauses
from earhook.conform.verdicts import Clause, Finding, Verdict
from earhook.testing.peer_setup import PeerCredential

from .faults import FAULTS, Fault
from .scripted_server import KEY, SECRET, Script, scripted_server

Run = Callable[[Coroutine[Any, Any, Any]], Any]
CREDENTIAL = PeerCredential(KEY, SECRET)
PATIENCE = Patience(
    open_seconds=1.5,
    prompt_seconds=0.5,
    pong_seconds=0.7,
    close_seconds=0.7,
    refusal_seconds=0.25,
    quiet_seconds=0.1,
    end_seconds=1.2,
)
# A server is asked about the family of what it breaks; with this set, about everything.
EVERYTHING = "EARHOOK_CONFORM_EVERYTHING" in os.environ
SIDE_BY_SIDE = 4 if EVERYTHING else 12
BROKEN = {Verdict.FAIL, Verdict.NOTE}


def selected(name: str) -> list[Clause]:
    families = {name.partition(".")[0], "update"}
    if "envelope" in families:
        families.add("disconnect")
    return [each for each in ALL if EVERYTHING or each.family in families]


async def ask(url: str, clauses: list[Clause], **target: Any) -> list[Finding]:
    return await run_clauses(Target(url, CREDENTIAL, **target), clauses, PATIENCE, at_once=32)


def broken(findings: list[Finding]) -> dict[str, str]:
    return {each.clause.id: each.evidence for each in findings if each.verdict in BROKEN}


async def ask_broken(name: str, fault: Fault, authority: trustme.CA) -> dict[str, str]:
    clauses = selected(name)
    if not fault.tls:
        async with scripted_server(fault.make()) as url:
            return broken(await ask(url, clauses, product=fault.product))
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    async with scripted_server(fault.make(), server) as url:
        return broken(await ask(url, clauses, ssl_context=client, verifies=False))


@pytest.fixture(scope="module")
def broken_by(certificate_authority: trustme.CA) -> dict[str, dict[str, str]]:
    """What was found at the server that breaks each clause; several servers run side by side."""

    async def work() -> dict[str, dict[str, str]]:
        turns = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(name: str, fault: Fault) -> dict[str, str]:
            async with turns:
                return await ask_broken(name, fault, certificate_authority)

        found = await asyncio.gather(*(one(*each) for each in FAULTS.items()))
        return dict(zip(FAULTS, found, strict=True))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


def test_every_clause_has_a_server_that_breaks_it() -> None:
    assert set(FAULTS) == {each.id for each in ALL}


@pytest.mark.parametrize("name", FAULTS)
def test_a_server_breaks_that_clause_and_no_other(
    broken_by: dict[str, dict[str, str]], name: str
) -> None:
    asked = {each.id for each in selected(name)}
    expected = ({name} | FAULTS[name].also) & asked
    assert set(broken_by[name]) == expected, broken_by[name]


@pytest.mark.parametrize("product", ["monitor", "transcription", "audio-connector"])
def test_a_server_that_keeps_all_of_them_passes(run: Run, product: Any) -> None:
    async def work() -> list[Finding]:
        async with scripted_server() as url:
            return await ask(url, list(ALL), product=product)

    findings = run(work())
    assert broken(findings) == {}
    assert not [each for each in findings if each.verdict is Verdict.NOT_REACHED]


def test_a_server_that_refuses_after_the_upgrade_passes(run: Run) -> None:
    async def work() -> list[Finding]:
        async with scripted_server(Script(in_band=True)) as url:
            return await ask(url, list(ALL))

    assert broken(run(work())) == {}
