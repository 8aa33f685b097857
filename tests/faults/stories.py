"""The stories. Each plays against a gateway of its own and says what must not have happened."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, field
from pathlib import Path

from earhook.testing.peer_setup import PeerCredential
from integration.test_serve import API_KEY, SECRET, get, served
from integration.workers.crowd import Crowd, command_of, crowd

from .prover import Proof, proving
from .storm import Storm, storming

__all__ = [
    "CREDENTIAL",
    "EXTRA",
    "LOG",
    "Result",
    "kills",
    "limit_for",
    "no_descriptors",
    "parent_killed",
    "recycled",
    "rolled",
    "stopped",
    "with_files",
]

CREDENTIAL = PeerCredential(API_KEY, SECRET)
EXTRA = """\
[limits.connections]
shared_addresses = ["127.0.0.0/8"]
[shedding]
enabled = false
"""
REPLACED_SECONDS = 1.0
"""A worker that dies is replaced within this."""
SPARE_FILES = 12
PASSING_FILES = 3
"""A scrape of ours, a process that is about to be noticed."""
FEW_FILES = 3
LOOK_SECONDS = 0.02
LOG = "gateway.log"
SPARE_SECONDS = 60.0
CREW_SECONDS = 30.0
"""Until workers without calls have ended."""
ROLL_SECONDS = 180.0
"""Until a rolling restart is given up; a busy machine takes a minute."""
WHOLE_CREW = 3
"""Two that serve and one that waits."""


@dataclass(slots=True)
class Result:
    """What a story came to.

    Attributes:
        done: What was done to the gateway.
        figures: What it made of it.
        numbers: The same for a program: by name, with the unit in it.
        faults: What must not be; none: the story ended well.
    """

    done: str
    figures: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def expect(self, holds: bool, what: str) -> None:
        """Note a fault if it does not hold."""
        if not holds:
            self.faults.append(what)

    def judge_connects(self, storm: Storm, resets: int) -> None:
        """Nobody was refused or waited in vain; so many were cut by what was done."""
        self.figures.append(f"connects: {storm}")
        for outcome, count in storm.outcomes.items():
            self._count(f"connects_{outcome.replace(' ', '_')}", count)
        longest = storm.longest_seconds * 1000
        self.numbers["longest_connect_ms"] = max(
            round(longest, 1), self.numbers.get("longest_connect_ms", 0.0)
        )
        late = max(round(storm.late_seconds, 2), self.numbers.get("connects_late_s", 0.0))
        self.numbers["connects_late_s"] = late
        for outcome in ("refused", "turned away", "waited"):
            self.expect(not storm.outcomes[outcome], f"{storm.outcomes[outcome]} {outcome}")
        self.expect(storm.outcomes["reset"] <= resets, f"{storm.outcomes['reset']} reset")
        self.expect(storm.outcomes["ok"] > 0, "nobody was let in")

    def judge_calls(self, proof: Proof, *, may_be_cut: bool) -> None:
        """What came of calls came right; none was refused; none was cut that should not be."""
        self.figures.append(f"calls: {proof}")
        for name in ("due", "completed", "failed"):
            self._count(f"calls_{name}", proof.counts[name])
        self._count("samples_right", proof.report["verified"]["samples"]["right"])
        self.expect(not proof.refused, f"{proof.refused} calls refused: {proof.failures}")
        self.expect(not proof.not_right, f"samples not right: {proof.not_right}")
        self.expect(proof.counts["completed"] > 0, "no call ended well")
        if not may_be_cut:
            self.expect(not proof.counts["failed"], f"calls failed: {proof.failures}")

    def judge_replacement(self, took: Sequence[float]) -> None:
        """Every worker was replaced in time; seconds from the kill until another one served."""
        typical, longest = statistics.median(took) * 1000, max(took) * 1000
        self.figures.append(f"until it was replaced: {typical:.0f} ms, at most {longest:.0f} ms")
        self.numbers |= {"replaced_ms_median": round(typical, 1)}
        self.numbers |= {"replaced_ms_longest": round(longest, 1)}
        self.expect(max(took) <= REPLACED_SECONDS, f"{max(took):.2f} s until one was replaced")

    def judge_descriptors(self, before: int, after: int) -> None:
        """The parent has no more open files than it had, but for what comes and goes."""
        self.figures.append(f"open files of the parent: {before}, {after} at the end")
        self.numbers |= {"parent_files_before": before, "parent_files_after": after}
        self.expect(after <= before + PASSING_FILES, f"{after - before} more files in the parent")

    def _count(self, name: str, number: float) -> None:
        self.numbers[name] = self.numbers.get(name, 0) + number


async def kills(directory: Path, count: int, rate: float) -> Result:
    """A worker is killed, then the other, and so on, while calls come in all the time."""
    result = Result(f"{count} workers killed, {rate:g} connects a second")
    async with _gateway(directory) as gateway:
        calls = ("--rate", "3", "--hold", "1s-5s", "--duration", "1h")
        async with (
            _proving(gateway, directory, *calls) as proof,
            storming(gateway.url, CREDENTIAL, rate) as storm,
        ):
            await gateway.comes(lambda: gateway.count("call.opened") >= 5)
            files, took = _open_files(gateway.pid), []
            for number in range(count):
                await _spare_is_there(gateway)
                took.append(await _kill(gateway, number % 2))
            await _spare_is_there(gateway)
            result.judge_descriptors(files, _open_files(gateway.pid))
        result.judge_replacement(took)
        lost = sum(line["calls_lost"] for line in gateway.lines("worker.lost"))
        result.figures.append(f"calls lost with workers: {lost}")
        result.numbers["calls_lost"] = lost
        told = gateway.count("worker.lost")
        result.expect(told == count, f"{told} of {count} reported")
        result.judge_connects(storm, resets=count)
        result.judge_calls(proof, may_be_cut=True)
    return result


async def stopped(directory: Path, times: int) -> Result:
    """A worker is stopped until it is replaced, and goes on then; its calls go on too."""
    result = Result(f"{times} times a worker stopped and continued")
    async with _gateway(directory, "[workers]\nsilent_seconds = 1") as gateway:
        calls = ("--calls", "20", "--duration", "1h", "--ramp", "1s", "--late-after", "30s")
        async with _proving(gateway, directory, *calls) as proof:
            await gateway.comes(lambda: gateway.count("call.opened") == 20)
            async with storming(gateway.url, CREDENTIAL, 10) as storm:
                for number in range(times):
                    await _stop_and_continue(gateway, number)
            result.judge_connects(storm, resets=0)
        result.judge_calls(proof, may_be_cut=False)
        result.expect(not gateway.count("worker.lost"), "a worker was lost")
    return result


async def parent_killed(directory: Path) -> Result:
    """The parent is killed: what is under way goes on, and another gateway can begin beside it."""
    result = Result("the parent killed")
    async with _gateway(directory) as gateway:
        workers = gateway.workers()
        calls = ("--calls", "20", "--duration", "1h", "--ramp", "1s")
        async with _proving(gateway, directory, *calls) as proof:
            await gateway.comes(lambda: gateway.count("call.opened") == 20)
            gateway.gateway.process.kill()
            await gateway.comes(lambda: gateway.count("worker.parent_lost") >= 2)
            port, sinks = str(gateway.media_port), "[]"
            again = {"EARHOOK__MEDIA__PORT": port, "EARHOOK__SINKS": sinks}
            async with served(directory, EXTRA, directly=False, **again) as other:
                await other.line("gateway.started", 30.0)
                async with storming(gateway.url, CREDENTIAL, 20) as storm:
                    await _until(lambda: storm.outcomes["ok"] >= 40, 30.0)
        await _until(lambda: not any("earhook" in command_of(pid) for pid in workers), 60.0)
        balanced = [line["balanced"] for line in gateway.lines("call.closed")]
        result.expect(all(balanced), "books that do not balance")
        result.judge_connects(storm, resets=0)
        result.judge_calls(proof, may_be_cut=False)
    return result


async def no_descriptors(directory: Path, connects: int) -> Result:
    """Workers, then the parent, have no files left for a while: calls go on, nobody is refused."""
    result = Result(f"{connects} connects to workers without descriptors; a parent without")
    async with _gateway(directory) as gateway:
        calls = ("--calls", "10", "--duration", "1h", "--ramp", "1s")
        async with _proving(gateway, directory, *calls) as proof:
            await gateway.comes(lambda: gateway.count("call.opened") == 10)
            before = gateway.workers()
            full = await _storm_without_files(gateway, connects)
            result.figures.append(f"connects while the workers had none left: {full}")
            result.expect(gateway.count("accept.failed") > 0, "the workers still had some")
            for outcome in ("refused", "reset"):
                result.expect(not full.outcomes[outcome], f"{full.outcomes[outcome]} {outcome}")
            result.expect(set(before) == set(gateway.workers()), "a worker ended of it")
            async with storming(gateway.url, CREDENTIAL, 20) as after:
                await _until(lambda: after.outcomes["ok"] >= 20, 30.0)
            result.judge_connects(after, resets=0)
        result.judge_calls(proof, may_be_cut=False)
        async with storming(gateway.url, CREDENTIAL, 10) as storm:
            with with_files(gateway.pid, limit=FEW_FILES):
                await _kill(gateway, 0)
                await gateway.line("worker.not_started")
            await _spare_is_there(gateway)
            await _kill(gateway, 1)
        result.judge_connects(storm, resets=2)
    return result


async def recycled(directory: Path, calls: int) -> Result:
    """Workers grow beyond what they may have: they are replaced, and their calls end whole."""
    result = Result(f"{calls} calls make workers larger than they may be")
    extra = "[workers]\nrecycle_memory_mib = 128\n[ring]\nseconds = 60"
    async with _gateway(directory, extra) as gateway:
        shape = ("--calls", str(calls), "--duration", "1h", "--ramp", "4s", "--hold", "20s-40s")
        async with _proving(gateway, directory, *shape) as proof:
            await gateway.comes(lambda: gateway.count("worker.replaced", reason="memory"), 120.0)
            async with storming(gateway.url, CREDENTIAL, 10) as storm:
                seen = gateway.count("worker.replaced", reason="memory")
                await _until(lambda: storm.outcomes["ok"] >= 50, 60.0)
        replaced = gateway.count("worker.replaced", reason="memory")
        result.figures.append(f"replaced: {replaced}, {seen} of them before the connects")
        result.expect(not gateway.count("worker.lost"), "a worker was lost")
        result.judge_connects(storm, resets=0)
        result.judge_calls(proof, may_be_cut=False)
    return result


async def rolled(directory: Path, times: int, calls: int) -> Result:
    """One rolling restart after the other under calls: none is refused, none is cut."""
    result = Result(f"{times} rolling restarts under {calls} calls")
    async with _gateway(directory) as gateway:
        files = _open_files(gateway.pid)
        shape = ("--calls", str(calls), "--duration", "1h", "--ramp", "4s", "--hold", "3s-12s")
        async with (
            _proving(gateway, directory, *shape) as proof,
            storming(gateway.url, CREDENTIAL, 10) as storm,
        ):
            await gateway.comes(lambda: gateway.count("call.opened") >= calls)
            took = [await _roll(gateway) for _ in range(times)]
        await _until(lambda: len(gateway.workers()) <= WHOLE_CREW, CREW_SECONDS)
        await _spare_is_there(gateway)
        result.judge_descriptors(files, _open_files(gateway.pid))
        typical, longest = statistics.median(took), max(took)
        result.figures.append(f"{typical:.1f} s each, at most {longest:.1f} s")
        result.numbers |= {
            "rolled_s_median": round(typical, 2),
            "rolled_s_longest": round(longest, 2),
        }
        result.expect(not gateway.count("worker.lost"), "a worker was lost")
        result.judge_connects(storm, resets=0)
        result.judge_calls(proof, may_be_cut=False)
    return result


@asynccontextmanager
async def _gateway(directory: Path, extra: str = "") -> AsyncIterator[Crowd]:
    async with crowd(directory, EXTRA + extra) as gateway:
        await _spare_is_there(gateway)
        try:
            yield gateway
        finally:
            (directory / LOG).write_text(gateway.gateway.text)


def _proving(gateway: Crowd, directory: Path, *more: str) -> AbstractAsyncContextManager[Proof]:
    """Calls that are compared at the one address of the PCM stream."""
    return proving(gateway.url, CREDENTIAL, *more, "--verify", f"unix:{directory}/pcm.sock")


async def _spare_is_there(gateway: Crowd) -> None:
    """Wait until a process waits for a slot; a killed worker before that takes longer."""

    async def spares() -> bool:
        _, metrics = await get(gateway.admin_port, "/metrics")
        return 'earhook_workers{state="spare"} 1.0' in metrics

    async with asyncio.timeout(SPARE_SECONDS):
        while not await spares():
            await _a_moment()


async def _kill(gateway: Crowd, slot: int) -> float:
    """Kill who serves a slot; the seconds until another one does."""
    serving = gateway.count("worker.serving", worker=slot)
    began = time.monotonic()
    os.kill(gateway.serving(slot), signal.SIGKILL)
    await gateway.comes(lambda: gateway.count("worker.serving", worker=slot) > serving)
    return time.monotonic() - began


async def _roll(gateway: Crowd) -> float:
    """A rolling restart; the seconds from the signal until everybody is replaced."""
    done, began = gateway.count("rolling.done"), time.monotonic()
    gateway.signal(signal.SIGUSR2)
    await gateway.comes(lambda: gateway.count("rolling.done") > done, ROLL_SECONDS)
    return time.monotonic() - began


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def _stop_and_continue(gateway: Crowd, number: int) -> None:
    slot = number % 2
    pid, serving = gateway.serving(slot), gateway.count("worker.serving", worker=slot)
    os.kill(pid, signal.SIGSTOP)
    try:
        await gateway.comes(lambda: gateway.count("worker.serving", worker=slot) > serving)
    finally:
        os.kill(pid, signal.SIGCONT)
    await gateway.line("worker.heard_again", pid=pid)


async def _storm_without_files(gateway: Crowd, connects: int) -> Storm:
    """Workers may open hardly a file more; connections are held, so that they soon have none."""
    with ExitStack() as limits:
        for pid in gateway.workers():
            limits.enter_context(with_files(pid, limit=limit_for(pid, SPARE_FILES)))
        async with storming(gateway.url, CREDENTIAL, 40, held=True) as storm:
            await _until(lambda: sum(storm.outcomes.values()) >= connects, 60.0)
    return storm


@contextmanager
def with_files(pid: int, *, limit: int) -> Iterator[None]:
    """Let a process open no file with a number from this on."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def limit_for(pid: int, spare: int) -> int:
    """Below which so many numbers are free."""
    taken = {int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()}
    free = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(free, spare, None))


async def _until(condition: Callable[[], object], seconds: float) -> None:
    """Look again and again."""
    async with asyncio.timeout(seconds):
        while not condition():
            await _a_moment()


async def _a_moment() -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            await asyncio.Event().wait()
