"""The stories. Each plays against a gateway of its own and says what must not have happened."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
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

__all__ = ["Result", "kills", "no_descriptors", "parent_killed", "recycled", "rolled", "stopped"]

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
FEW_FILES = 3
LOOK_SECONDS = 0.02
LOG = "gateway.log"
SPARE_SECONDS = 60.0


@dataclass(slots=True)
class Result:
    """What a story came to.

    Attributes:
        done: What was done to the gateway.
        figures: What it made of it.
        faults: What must not be; none: the story ended well.
    """

    done: str
    figures: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def expect(self, holds: bool, what: str) -> None:
        """Note a fault if it does not hold."""
        if not holds:
            self.faults.append(what)

    def judge_connects(self, storm: Storm, resets: int) -> None:
        """Nobody was refused or waited in vain; so many were cut by what was done."""
        self.figures.append(f"connects: {storm}")
        for outcome in ("refused", "turned away", "waited"):
            self.expect(not storm.outcomes[outcome], f"{storm.outcomes[outcome]} {outcome}")
        self.expect(storm.outcomes["reset"] <= resets, f"{storm.outcomes['reset']} reset")
        self.expect(storm.outcomes["ok"] > 0, "nobody was let in")

    def judge_calls(self, proof: Proof, *, may_be_cut: bool) -> None:
        """What came of calls came right; none was refused; none was cut that should not be."""
        self.figures.append(f"calls: {proof}")
        self.expect(not proof.refused, f"{proof.refused} calls refused: {proof.failures}")
        self.expect(not proof.not_right, f"samples not right: {proof.not_right}")
        self.expect(proof.counts["completed"] > 0, "no call ended well")
        if not may_be_cut:
            self.expect(not proof.counts["failed"], f"calls failed: {proof.failures}")


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
            longest = 0.0
            for number in range(count):
                await _spare_is_there(gateway)
                longest = max(longest, await _kill(gateway, number % 2))
        result.figures.append(f"longest until it was replaced: {longest * 1000:.0f} ms")
        result.expect(longest <= REPLACED_SECONDS, f"{longest:.2f} s until one was replaced")
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
            async with served(directory, EXTRA, **again) as other:
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
            result.expect(not full.outcomes["refused"], f"{full.outcomes['refused']} refused")
            result.expect(set(before) == set(gateway.workers()), "a worker ended of it")
            async with storming(gateway.url, CREDENTIAL, 20) as after:
                await _until(lambda: after.outcomes["ok"] >= 20, 30.0)
            result.judge_connects(after, resets=0)
        result.judge_calls(proof, may_be_cut=False)
        async with storming(gateway.url, CREDENTIAL, 10) as storm:
            with _with_files(gateway.pid, limit=FEW_FILES):
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
        shape = ("--calls", str(calls), "--duration", "1h", "--ramp", "4s", "--hold", "3s-12s")
        async with (
            _proving(gateway, directory, *shape) as proof,
            storming(gateway.url, CREDENTIAL, 10) as storm,
        ):
            await gateway.comes(lambda: gateway.count("call.opened") >= calls)
            began = time.monotonic()
            for number in range(times):
                gateway.signal(signal.SIGUSR2)
                wanted = number + 1
                await gateway.comes(lambda n=wanted: gateway.count("rolling.done") == n)
            seconds = (time.monotonic() - began) / times
        result.figures.append(f"{seconds:.1f} s each")
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
            pass


async def _kill(gateway: Crowd, slot: int) -> float:
    """Kill who serves a slot; the seconds until another one does."""
    serving = gateway.count("worker.serving", worker=slot)
    began = time.monotonic()
    os.kill(gateway.serving(slot), signal.SIGKILL)
    await gateway.comes(lambda: gateway.count("worker.serving", worker=slot) > serving)
    return time.monotonic() - began


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
            limits.enter_context(_with_files(pid, limit=_limit_for(pid, SPARE_FILES)))
        async with storming(gateway.url, CREDENTIAL, 40, held=True) as storm:
            await _until(lambda: sum(storm.outcomes.values()) >= connects, 60.0)
    return storm


@contextmanager
def _with_files(pid: int, *, limit: int) -> Iterator[None]:
    """Let a process open no file with a number from this on."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def _limit_for(pid: int, spare: int) -> int:
    """Below which so many numbers are free."""
    taken = {int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()}
    free = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(free, spare, None))


async def _until(condition: Callable[[], object], seconds: float) -> None:
    """Look again and again."""
    never = asyncio.Event()
    async with asyncio.timeout(seconds):
        while not condition():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await never.wait()
