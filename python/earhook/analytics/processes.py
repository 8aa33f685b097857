"""The parent of `earhook analyze`: starts processes, starts them again, and passes on their lines.

Every process is a subscriber of its own, and takes its share of the calls (`share` in the PCM
stream's filter). So no audio passes through the parent, the gateway sends each call once, a
process that dies takes nobody along, and one that comes back knows from here where it was. One
that is stuck is killed, and then is like any other that died.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import orjson

from earhook.client import ChannelName
from earhook.errors import ConfigurationError, ConfigurationFault, OperatorError

from .plan import AnalysisPlan, Order, order_to_json
from .pulse import MEMORY_BYTES, Pulse, Watch

__all__ = ["Analyze", "TakeLine"]

TakeLine: TypeAlias = Callable[[dict[str, Any]], None]
"""Told every line; may take its time: processes then drop lines, not audio."""

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 30.0
"""A process that ran for so long before it died is started again at once."""
START_SECONDS: Final = 300.0
"""For an engine to be made, before a process is taken for stuck."""
STOP_SECONDS: Final = 10.0
LINE_BYTES: Final = 1 << 20
DONE_SESSIONS: Final = 4096


class Analyze:
    """Carries a plan out.

    Args:
        plan: What to do.
        take: Told every line, in the order of its call.
        calls: End when so many calls have ended; None: go on until stopped.
    """

    def __init__(self, plan: AnalysisPlan, take: TakeLine, calls: int | None = None) -> None:
        self.restarts = 0
        self.stuck = 0
        """How many of them because a process was stuck."""
        self._plan = plan
        self._take = take
        self._calls_left = calls
        self._ledgers = [_Ledger() for _ in range(plan.processes)]
        self._processes: dict[int, Process] = {}
        self._listening: set[int] = set()
        """Processes that have had a connection."""
        self._waits_for: set[str] = set()
        """What has been told of a connection that there is not."""
        self._stopping = asyncio.Event()
        self._fault: Exception | None = None

    async def run(self) -> bool:
        """Run until stopped; whether a signal did it.

        Raises:
            ConfigurationError, OperatorError: A process cannot do what it was asked.
        """
        interrupted = False

        def on_signal() -> None:
            nonlocal interrupted
            if interrupted:
                self._kill()
                return
            interrupted = True
            self.stop()
            if any(self._ledgers[number].heard for number in self._listening):
                self._take({"type": "ending", "text": _HEARING_OUT})

        with _signals(on_signal):
            await asyncio.gather(*(self._keep(number) for number in range(self._plan.processes)))
        if self._fault is not None:
            raise self._fault
        return interrupted

    def stop(self) -> None:
        """Let all processes hear out what they have, for some seconds, and end."""
        self._stopping.set()
        for number, process in self._processes.items():
            if number not in self._listening:  # it makes its engine, or dials: it has heard nothing
                process.kill()
            elif process.stdin is not None:
                process.stdin.close()

    def _kill(self) -> None:
        for process in self._processes.values():
            process.kill()

    async def _keep(self, number: int) -> None:
        """Keep one process running."""
        loop = asyncio.get_running_loop()
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._run_once(number)
            if self._stopping.is_set():
                return
            if loop.time() - began >= STEADY_SECONDS:
                pause_seconds = FIRST_PAUSE_SECONDS
            self.restarts += 1
            self._tell_end(number, code)
            try:
                async with asyncio.timeout(pause_seconds):
                    await self._stopping.wait()
            except TimeoutError:
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    def _tell_end(self, number: int, code: int) -> None:
        ledger = self._ledgers[number]
        if ledger.was_stuck:
            seconds = self._plan.stuck_seconds
            ledger.why = f"process {number} gave no sign of life for {seconds:g} s and was killed"
        else:
            ledger.why = f"process {number} ended with {code}"
        line: dict[str, Any] = {"type": "trouble", "process": number}
        text = f"{ledger.why}, with {len(ledger.heard)} calls; it is started again"
        self._take({**line, "text": text, "restarts": self.restarts, "stuck": self.stuck})

    async def _run_once(self, number: int) -> int:
        """One process from its start to its end: its exit code."""
        ledger = self._ledgers[number]
        with _memory() as descriptor:
            pulse = Pulse(descriptor)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "earhook.analytics"),
                stdin=PIPE,
                stdout=PIPE,
                limit=LINE_BYTES,
                pass_fds=(descriptor,),
            )
            order = Order(
                self._plan, number, ledger.heard, tuple(ledger.done), ledger.why, descriptor
            )
        self._processes[number] = process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orjson.dumps(order_to_json(order)) + b"\n")
        if self._stopping.is_set():
            process.stdin.close()
        reading = asyncio.create_task(self._read(process.stdout, number))
        try:
            return await self._await_end(process, pulse, ledger)
        finally:
            await reading
            del self._processes[number]
            self._listening.discard(number)

    async def _await_end(self, process: Process, pulse: Pulse, ledger: _Ledger) -> int:
        loop = asyncio.get_running_loop()
        watch = Watch(self._plan.stuck_seconds, START_SECONDS)
        ledger.was_stuck = False
        stopping = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(process.wait())
        while not (stopping.done() or ended.done()):
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait([stopping, ended], timeout=watch.look_seconds, return_when=first)
            if not ended.done() and watch.is_stuck(pulse.signs(), loop.time()):
                ledger.was_stuck = True
                self.stuck += 1
                process.kill()
                break
        stopping.cancel()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await ended
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def _read(self, output: asyncio.StreamReader, number: int) -> None:
        while line := await output.readline():
            self._on_line(number, orjson.loads(line))

    def _on_line(self, number: int, line: dict[str, Any]) -> None:
        ledger, kind = self._ledgers[number], line["type"]
        if kind == "fault":
            self._fault = _fault(line)
            self.stop()
            return
        if kind == "waiting":
            # Every process says so, and each time that it has tried.
            if line["text"] not in self._waits_for:
                self._waits_for.add(line["text"])
                self._take({"type": "trouble", "text": line["text"]})
            return
        self._waits_for.clear()
        if kind == "ready":
            self._listening.add(number)
            for lost in ledger.missing(line["sessions"]):
                self._tell(
                    ledger, {"type": "closed", "session": lost, "details": {"reason": "lost"}}
                )
            self._take({"type": "ready", "process": number, "calls": len(line["sessions"])})
            return
        if kind == "opened" and ledger.knows(line["session"]):
            return  # by the process that was there before
        self._tell(ledger, line)

    def _tell(self, ledger: _Ledger, line: dict[str, Any]) -> None:
        ledger.enter(line)
        self._take(line)
        if line["type"] == "closed" and self._calls_left is not None:
            self._calls_left -= 1
            if self._calls_left == 0:
                self.stop()


class _Ledger:
    """How far one process has come with its calls, so that the next one can go on."""

    def __init__(self) -> None:
        self.heard: dict[str, dict[ChannelName, int]] = {}
        self.done: OrderedDict[str, None] = OrderedDict()
        self.why = ""
        """How the process ended that was there before."""
        self.was_stuck = False

    def knows(self, session: str) -> bool:
        """Whether a call was opened and has not ended."""
        return session.lower() in self.heard

    def missing(self, sessions: list[str]) -> list[str]:
        """Calls that ended while nobody listened."""
        there = {session.lower() for session in sessions}
        return [session for session in self.heard if session not in there]

    def enter(self, line: dict[str, Any]) -> None:
        """Note what a line says of a call."""
        session, kind = str(line.get("session", "")).lower(), line["type"]
        if kind == "opened":
            self.heard[session] = {}
        elif kind == "transcript" and session in self.heard and line["details"]["final"]:
            self.heard[session][line["details"]["channel"]] = line["details"]["end"]
        elif kind == "closed":
            self.heard.pop(session, None)
            self.done[session] = None
            while len(self.done) > DONE_SESSIONS:
                self.done.popitem(last=False)


@contextmanager
def _memory() -> Iterator[int]:
    """Memory for signs of life, for as long as it takes to hand it on."""
    descriptor = os.memfd_create("earhook-pulse", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, MEMORY_BYTES)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _signals(action: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, action)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


_HEARING_OUT: Final = (
    f"what was said so far is heard out, in {STOP_SECONDS:g} s at most; Ctrl-C again ends at once"
)


def _fault(line: dict[str, Any]) -> Exception:
    if "faults" in line:
        return ConfigurationError([ConfigurationFault(**fault) for fault in line["faults"]])
    return OperatorError(f"{line['address']}: {line['text']}")
