"""Runs the clauses: those that stand alone side by side, then those that judge all of it."""

from __future__ import annotations

import asyncio
import fnmatch
import time
from collections.abc import Callable, Sequence

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.transport.dial import DialedSocket, DialError, dial

from .clauses import ALL
from .stage import Patience, Stage, Target
from .verdicts import Broken, Clause, Finding, NotApplicable, NotReached, Verdict, printable

__all__ = ["choose", "run_clauses"]


def choose(patterns: Sequence[str]) -> list[Clause]:
    """The clauses that were asked for: ids, families, or patterns such as `*.seq*`.

    Raises:
        ConfigurationError: A pattern fits none.
    """
    if not patterns:
        return list(ALL)
    faults = [
        ConfigurationFault("--only", f"no clause is called {pattern!r}", "see --list")
        for pattern in patterns
        if not any(_fits(each, pattern) for each in ALL)
    ]
    if faults:
        raise ConfigurationError(faults)
    return [each for each in ALL if any(_fits(each, pattern) for pattern in patterns)]


def _fits(clause: Clause, pattern: str) -> bool:
    return clause.family == pattern or fnmatch.fnmatchcase(clause.id, pattern)


async def run_clauses(
    target: Target,
    clauses: Sequence[Clause],
    patience: Patience,
    at_once: int,
    on_finding: Callable[[Finding], None] | None = None,
) -> list[Finding]:
    """Ask a server about each clause; findings come back in the order of `clauses`.

    Args:
        target: The server.
        clauses: What to ask.
        patience: How long to wait.
        at_once: So many clauses are asked side by side.
        on_finding: Told of each finding as it is made.

    Raises:
        DialError: Nothing answers there, so that nothing can be said.
    """
    stage = Stage(target, patience)
    await _reach(stage)
    turns = asyncio.Semaphore(at_once)

    async def ask(clause: Clause) -> Finding:
        async with turns:
            finding = await _ask(clause, stage)
        if on_finding is not None:
            on_finding(finding)
        return finding

    alone = [each for each in clauses if not each.judges_all]
    # Those that mostly wait for the server begin first, so that the others fill their time.
    alone.sort(key=lambda clause: clause.family != "end")
    found = list(await asyncio.gather(*map(ask, alone)))
    found += await asyncio.gather(*(ask(each) for each in clauses if each.judges_all))
    places = {clause.id: place for place, clause in enumerate(clauses)}
    return sorted(found, key=lambda finding: places[finding.clause.id])


async def _ask(clause: Clause, stage: Stage) -> Finding:
    began = time.monotonic()
    limit = stage.patience.clause_seconds
    try:
        async with asyncio.timeout(limit):
            evidence = await clause.check(stage)
        verdict = Verdict.PASS
    except Broken as broken:
        verdict = Verdict.FAIL if clause.level == "must" else Verdict.NOTE
        evidence = str(broken)
    except NotApplicable as reason:
        verdict, evidence = Verdict.NOT_APPLICABLE, str(reason)
    except NotReached as reason:
        verdict, evidence = Verdict.NOT_REACHED, str(reason)
    except TimeoutError:
        verdict, evidence = Verdict.NOT_REACHED, f"no end in {limit:g} s"
    return Finding(clause, verdict, printable(evidence), time.monotonic() - began)


async def _reach(stage: Stage) -> None:
    """Dial once, for the good explanations of `dial`; what HTTP says is left to the clauses."""
    url, context = stage.target.url, stage.target.ssl_context
    try:
        socket = await dial(url, stage.headers(stage.setup()), _Nobody(), context)
        socket.abort()
    except DialError as error:
        if error.fault != "http":
            raise


class _Nobody:
    """Listens to nothing."""

    def on_connected(self, socket: DialedSocket) -> None:
        """Nothing to say."""

    def on_text(self, payload: bytes) -> None:
        """Nobody listens."""

    def on_audio(self, payload: bytes) -> None:
        """Nobody listens."""

    def on_closed(self, code: int | None) -> None:
        """It is over."""

    def on_writable(self) -> None:
        """Nothing waits."""
