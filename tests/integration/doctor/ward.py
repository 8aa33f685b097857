"""What the tests of the doctor share: an examination, and a gateway that is well."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from earhook.app import Gateway
from earhook.clock import Clock, SystemClock
from earhook.config.schema import Configuration
from earhook.doctor import (
    Authorities,
    Errand,
    Finding,
    Limits,
    Step,
    Target,
    Trust,
    Verdict,
    examine,
)
from earhook.testing.peer_setup import PeerCredential

from .certificates import ROOT

API_KEY = "canary-api-key-0123456789"
SECRET = b"canary-secret-0123456789abcdef!!"
SECRET_BASE64 = "Y2FuYXJ5LXNlY3JldC0wMTIzNDU2Nzg5YWJjZGVmISE="
TOKEN = "canary-token-0123456789"
PUBLIC = Trust(Authorities.of([ROOT.certificate], "the test's list"))
QUICK = Limits(patience_seconds=10.0, scan_seconds=24)
CREDENTIAL = PeerCredential(API_KEY, SECRET)


async def examined(url: str, **wishes: Any) -> dict[Step, Finding]:
    """Every finding; each step has exactly one, and they come in order."""
    asked: dict[str, Any] = {"trust": PUBLIC, "limits": QUICK, "call_seconds": 0.0} | wishes
    errand = Errand(target=Target.parse(url), **asked)
    findings = [finding async for finding in examine(errand)]
    assert [finding.step for finding in findings] == list(Step)
    for finding in findings:
        assert finding.evidence
        assert bool(finding.cure) or finding.verdict in {Verdict.FINE, Verdict.SKIPPED}
    return {finding.step: finding for finding in findings}


def verdicts(findings: dict[Step, Finding], *steps: Step) -> list[Verdict]:
    return [findings[step].verdict for step in steps]


class AheadClock(SystemClock):
    """A machine whose wall clock is wrong."""

    def __init__(self, seconds: float) -> None:
        self._ahead_seconds = seconds

    def wall_seconds(self) -> float:
        return SystemClock.wall_seconds() + self._ahead_seconds


@asynccontextmanager
async def gateway(clock: Clock | None = None, **tables: Any) -> AsyncIterator[Gateway]:
    """A gateway in the clear, both doors, quick refusals."""
    media = {"host": "127.0.0.1", "port": 0} | tables.pop("media", {})
    configuration = Configuration.model_validate(
        {
            "media": media,
            "ingest": {
                "host": "127.0.0.1",
                "port": 0,
                "plaintext": True,
                "tokens": [{"name": "doctor", "token": TOKEN}],
            },
            "admin": {"port": 0},
            "keys": [{"api_key": API_KEY, "secrets": [SECRET_BASE64]}],
            "limits": {"connections": {"refusal_seconds": 0.01}},
            **tables,
        }
    )
    async with Gateway(configuration, clock=clock) as running:
        yield running


def audiohook(running: Gateway) -> str:
    return f"ws://localhost:{running.media_port}/audiohook"


def random_secret() -> PeerCredential:
    return PeerCredential(API_KEY, secrets.token_bytes(32))
