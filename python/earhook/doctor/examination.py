"""The order of things: what is looked at when, and what is left out because of what came before."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from earhook.testing.peer_setup import CallSetup

from .approach import Approach, Door, Knock
from .belief import believe
from .call import judge_probe, place_call
from .client_certificate import check_client_certificate
from .clock import check_clock, judge_date
from .credentials import Visit, check_host, check_refusals, visit
from .errand import Errand
from .finding import Finding, Step, Verdict, doubtful, skipped
from .handshake import Handshake, check_tls
from .hearing import listening
from .http import check_http, check_upgrade
from .network import Reached, check_name, check_tcp
from .wire import Endpoint

__all__ = ["examine"]


async def examine(errand: Errand) -> AsyncIterator[Finding]:
    """Examine a server from its name to its audio; findings come as they are made.

    Every step has one finding, in the order of `Step`.
    """
    examination = _Examination(errand)
    for stage in _STAGES:
        reason = examination.obstacle or stage.left_out(examination)
        if reason:
            findings = [skipped(step, reason) for step in stage.steps]
        else:
            findings = await stage.run(examination)
        for finding in findings:
            yield finding


class _Examination:
    """What is known so far. `obstacle` set: everything that follows is left out for it."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.obstacle = ""
        self.is_trusted = not errand.target.is_secure or errand.trust.insecure
        self.endpoints: list[Endpoint] = []
        self.date_offset_seconds: float | None = None
        self.entered: Knock | None = None
        self.approach = Approach()
        self._reached: Reached | None = None
        self._handshake: Handshake | None = None
        self._visited: Visit | None = None

    @property
    def reached(self) -> Reached:
        assert self._reached is not None
        return self._reached

    @property
    def handshake(self) -> Handshake:
        assert self._handshake is not None
        return self._handshake

    @property
    def visited(self) -> Visit:
        assert self._visited is not None
        return self._visited

    @property
    def door(self) -> Door:
        return Door(self.errand, self.reached)

    async def name(self) -> list[Finding]:
        finding, self.endpoints = await check_name(self.errand)
        return [self._needed(finding, "the name leads nowhere")]

    async def tcp(self) -> list[Finding]:
        finding, self._reached = await check_tcp(self.errand, self.endpoints)
        return [self._needed(finding, "no connection came about")]

    async def tls(self) -> list[Finding]:
        if not self.errand.target.is_secure:
            secure = "https" if self.errand.target.is_ingest else "wss"
            cure = f"Genesys Cloud dials {secure}:// only: end TLS here or in front, examine that"
            return [doubtful(Step.TLS, "the URL has none: keys and audio go in the clear", cure)]
        finding, self._handshake = await check_tls(self.errand, self.reached)
        if self._handshake is None:
            self.obstacle = "no TLS came about"
        return [finding]

    async def belief(self) -> list[Finding]:
        findings, believed = await believe(self.errand, self.reached, self.handshake)
        self.is_trusted = self.is_trusted or believed
        return findings

    async def client_certificate(self) -> list[Finding]:
        finding = await check_client_certificate(self.errand, self.reached, self.handshake)
        return [self._needed(finding, "the server wants another certificate of ours")]

    async def http(self) -> list[Finding]:
        context = self._bare_context()
        finding, reply = await check_http(self.errand, self.reached, context)
        if reply is not None:
            self.date_offset_seconds = reply.date_offset_seconds
        else:
            self._needed(finding, "no HTTP is spoken")
        return [finding]

    async def upgrade(self) -> list[Finding]:
        door, errand = self.door, self.errand
        headers = door.headers(Approach(errand.credential), door.probe_setup())
        finding = await check_upgrade(errand, self.reached, door.context(), headers)
        return [self._needed(finding, "no WebSocket came about")]

    async def signature(self) -> list[Finding]:
        self._visited = await visit(self.door, self.date_offset_seconds)
        self.approach = self._visited.approach
        if self._visited.is_admitted:
            self.entered = self._visited.knock
        return [self._visited.finding]

    async def refusals(self) -> list[Finding]:
        findings = await check_refusals(self.door, self.visited)
        if self.visited.knock is None and findings[-1].verdict is Verdict.WRONG:
            # Whoever has no credentials can still see what those see who came in with none.
            self.entered = await self.door.knock(Approach())
        return findings

    async def host(self) -> list[Finding]:
        return [await check_host(self.door, self.visited)]

    async def clock(self) -> list[Finding]:
        visited = self.visited
        if visited.is_signed and (visited.is_admitted or visited.window):
            door, date = self.door, self.date_offset_seconds
            return [await check_clock(door, visited.approach, visited.window, date)]
        reason = "no signature was accepted" if visited.is_signed else "nothing was signed"
        return [judge_date(reason, self.date_offset_seconds)]

    async def probe(self) -> list[Finding]:
        assert self.entered is not None
        finding = judge_probe(self.entered, self.errand.limits)
        return [self._needed(finding, "the probe failed")]

    async def call(self) -> list[Finding]:
        door, errand = self.door, self.errand
        setup = CallSetup(organization_id=errand.organization_id)
        if errand.far_end is None:
            placed = await place_call(door, self.approach, setup)
            return [placed.finding, skipped(Step.AUDIO, "no --verify was given")]
        patience = errand.limits.patience_seconds
        async with listening(errand.far_end, setup.session_id, patience) as hearing:
            placed = await place_call(door, self.approach, setup)
            if not placed.sent_samples:
                return [placed.finding, skipped(Step.AUDIO, "the call brought no audio")]
            await hearing.ended(patience)
            return [placed.finding, hearing.judge(placed)]

    def _needed(self, finding: Finding, obstacle: str) -> Finding:
        if finding.verdict is Verdict.WRONG:
            self.obstacle = obstacle
        return finding

    def _bare_context(self) -> ssl.SSLContext | None:
        return self.errand.trust.bare_context() if self.errand.target.is_secure else None


_Reason: TypeAlias = Callable[[_Examination], str]


class _Stage(NamedTuple):
    """Steps that are looked at together, and why they may be left out."""

    steps: tuple[Step, ...]
    run: Callable[[_Examination], Awaitable[list[Finding]]]
    left_out: _Reason = lambda _: ""


def _in_the_clear(examination: _Examination) -> str:
    return "" if examination.errand.target.is_secure else "the URL has no TLS"


def _untrusted(examination: _Examination) -> str:
    if examination.is_trusted:
        return ""
    return "no key is shown to a server that is not trusted: see above, or give --insecure"


def _no_websocket(examination: _Examination) -> str:
    if examination.errand.target.is_ingest:
        return "an ingest is no WebSocket"
    return _untrusted(examination)


def _outside(examination: _Examination) -> str:
    if examination.errand.target.is_ingest:
        return "an ingest is not probed like that"
    return "" if examination.entered is not None else "we were not let in"


def _beyond(examination: _Examination) -> str:
    return "not wished for" if examination.errand.is_brief else _untrusted(examination)


def _no_call(examination: _Examination) -> str:
    if not examination.errand.call_seconds:
        return "not wished for"
    return "" if examination.entered is not None else "we were not let in"


_STAGES: Final = (
    _Stage((Step.NAME,), _Examination.name),
    _Stage((Step.TCP,), _Examination.tcp),
    _Stage((Step.TLS,), _Examination.tls),
    _Stage((Step.CHAIN, Step.NAMES, Step.EXPIRY), _Examination.belief, _in_the_clear),
    _Stage((Step.CLIENT_CERTIFICATE,), _Examination.client_certificate, _in_the_clear),
    _Stage((Step.HTTP,), _Examination.http),
    _Stage((Step.UPGRADE,), _Examination.upgrade, _no_websocket),
    _Stage((Step.SIGNATURE,), _Examination.signature, _untrusted),
    _Stage((Step.WRONG_SECRET, Step.UNSIGNED), _Examination.refusals, _beyond),
    _Stage((Step.CLOCK,), _Examination.clock, _beyond),
    _Stage((Step.PROBE,), _Examination.probe, _outside),
    _Stage((Step.HOST,), _Examination.host, _beyond),
    _Stage((Step.CALL, Step.AUDIO), _Examination.call, _no_call),
)
