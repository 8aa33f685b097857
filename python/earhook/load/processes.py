"""Starts generators and those who check them, each in a process of its own, and adds up."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import resource
import signal
import socket as sockets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import uvloop

from earhook.clock import SystemClock
from earhook.errors import EarhookError, OperatorError

from .addresses import Addresses
from .generator import Generator, Progress
from .outcome import Outcome
from .plan import LoadPlan
from .tally import Counts, Recent, Tally
from .usage import ProcessTree
from .verify import Announcer, Findings, verify

__all__ = ["Look", "run_load"]

Look: TypeAlias = Callable[[Progress, float], None]
"""Told once a second how all processes stand, and how long the load has run."""
Role: TypeAlias = Literal["generator", "verifier"]

READY_SECONDS: Final = 30.0
LEAD_SECONDS: Final = 0.2
"""From when all are ready until the first call is due."""
LOOK_SECONDS: Final = 1.0
COLLECT_AFTER: Final = (5_000, 1_000_000, 1_000_000)
"""Only what is young is collected by itself. The rest, a million objects with thousands of calls,
would stop us for a tenth of a second each time: the generator does that once in many minutes."""
_CLOCK: Final = SystemClock()


class _Child(NamedTuple):
    role: Role
    process: BaseProcess
    link: Connection


class _Begin(NamedTuple):
    """Said to a generator: the moment that all dues count from, on the monotonic clock."""

    at: float


def run_load(
    plan: LoadPlan, look: Look | None = None, server: ProcessTree | None = None
) -> Outcome:
    """Carry a plan out. Ctrl-C hangs up all calls; a second one drops them.

    Raises:
        OperatorError: A process did not come up.
    """
    outcome = Outcome(plan, server=server)
    if plan.verify is not None:
        outcome.findings = Findings()
    children = list(_start(plan))
    try:
        _await_ready(children)
        begins = _Begin(_CLOCK.monotonic_seconds() + LEAD_SECONDS)
        outcome.began_wall_seconds = _CLOCK.wall_seconds() + LEAD_SECONDS
        for child in children:
            if child.role == "generator":
                child.link.send(begins)
        with _interrupted(outcome):
            _Watch(children, outcome, look).run(begins.at)
    finally:
        for child in children:
            child.process.terminate()
        for child in children:
            child.process.join()
            child.link.close()
    return outcome


class _Watch:
    """Listens to the processes until all of them have said their last word."""

    def __init__(self, children: list[_Child], outcome: Outcome, look: Look | None) -> None:
        self._children = {child.link: child for child in children}
        self._outcome = outcome
        self._look = look
        self._counts: dict[Connection, Counts] = {}
        self._recent: dict[str, Recent] = {}

    def run(self, began: float) -> None:
        """Watch."""
        looked = began
        links = list(self._children)
        while links:
            for link in wait(links, timeout=LOOK_SECONDS / 4):
                assert isinstance(link, Connection)
                if self._take(link):
                    links.remove(link)
            now = _CLOCK.monotonic_seconds()
            generating = any(self._children[link].role == "generator" for link in links)
            if generating:
                self._outcome.seconds = now - began
            if now >= looked + LOOK_SECONDS and generating:
                looked += LOOK_SECONDS
                self._show(now - began)

    def _show(self, seconds: float) -> None:
        if self._outcome.server is not None:
            self._outcome.server.look()
        counts, self._recent, recent = Counts(), {}, self._recent
        for own in self._counts.values():
            counts.add(own)
        if self._look is not None:
            self._look(Progress(counts, recent), seconds)

    def _take(self, link: Connection) -> bool:
        """Take a word; whether it was the last one."""
        child, outcome = self._children[link], self._outcome
        try:
            word = link.recv()
        except EOFError:
            outcome.troubles.append(f"a {child.role} died without a word")
            return True
        if isinstance(word, Progress):
            self._counts[link] = word.counts
            for name, recent in word.recent.items():
                self._recent.setdefault(name, Recent()).add(recent)
            return False
        if isinstance(word, Tally):
            outcome.tally.add(word)
        elif isinstance(word, Findings) and outcome.findings is not None:
            outcome.findings.add(word)
        elif isinstance(word, EarhookError):
            outcome.troubles.append(str(word))
        return True


def _start(plan: LoadPlan) -> Iterator[_Child]:
    context = multiprocessing.get_context("spawn")
    for number in range(plan.processes):
        ends = sockets.socketpair() if plan.verify is not None else (None, None)
        roles: tuple[Role, ...] = ("generator",) if ends[0] is None else ("verifier", "generator")
        for role, end in zip(reversed(roles), ends, strict=False):
            ours, theirs = context.Pipe()
            target = _generate if role == "generator" else _verify
            arguments = (plan, number, end, theirs)
            process = context.Process(target=target, args=arguments, name=f"{role} {number}")
            process.daemon = True
            process.start()
            theirs.close()
            if end is not None:
                end.close()
            yield _Child(role, process, ours)


def _await_ready(children: list[_Child]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    for child in children:
        if not child.link.poll(max(deadline - time.monotonic(), 0.0)):
            raise OperatorError(f"a {child.role} is not ready after {READY_SECONDS:g} s")
        try:
            word = child.link.recv()
        except EOFError:
            raise OperatorError(f"a {child.role} did not come up") from None
        if isinstance(word, EarhookError):
            raise word


@contextmanager
def _interrupted(outcome: Outcome) -> Iterator[None]:
    """Ctrl-C reaches the generators by itself; here it is noted only."""

    def note(_number: int, _frame: FrameType | None) -> None:
        outcome.interrupted = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# -- in the child


def _generate(plan: LoadPlan, number: int, socket: sockets.socket | None, link: Connection) -> None:
    _allow_many_files()
    _collect_rarely()

    async def work() -> Tally:
        witness = None if socket is None else await Announcer.open(socket)
        addresses = await Addresses.look_up(plan.target.url)
        generator = Generator(
            plan, addresses, number, witness, lambda progress: _tell(link, progress)
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, generator.interrupt)
        link.send(None)
        begins = await loop.run_in_executor(None, link.recv)
        tally = await generator.run(begins.at)
        if witness is not None:
            await witness.close()
        return tally

    _run(work, link)


def _verify(plan: LoadPlan, number: int, socket: sockets.socket, link: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work() -> Findings:
        return await verify(plan, number, socket, lambda: link.send(None))

    _run(work, link)


def _run(work: Callable[[], Any], link: Connection) -> None:
    """Run to the end and say how it was."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(work())
    except EarhookError as error:
        # Its own class need not survive the way to the other process.
        result = OperatorError(str(error))
    _tell(link, result)


def _tell(link: Connection, word: object) -> None:
    try:
        link.send(word)
    except OSError:
        raise SystemExit(1) from None  # whoever started us is gone


def _collect_rarely() -> None:
    """Do not stop for a heap that is as old as its calls."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _allow_many_files() -> None:
    """A call is a descriptor: take as many as we may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
