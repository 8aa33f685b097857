"""Short forms of those stories in `tests/faults` that no other test here tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from faults.stories import CREDENTIAL, EXTRA, limit_for, with_files
from faults.storm import storming
from integration.test_serve import plan

from .crowd import crowd
from .test_workers import knocking

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]
CONNECTS = 30
FEW_FILES = 3
TESTS = Path(__file__).parents[2]


def test_without_files_left_nobody_ends_and_nobody_is_refused(
    run: Run, until: Until, tmp_path: Path
) -> None:
    """First the workers, then the parent, which cannot start anybody meanwhile."""

    async def story() -> None:
        async with crowd(tmp_path, EXTRA) as gateway:
            live = await gateway.call(plan("live"))
            its_slot = (await gateway.line("call.opened"))["worker"]
            before = {gateway.serving(0), gateway.serving(1)}
            with ExitStack() as limits:
                for pid in before:
                    limits.enter_context(with_files(pid, limit=limit_for(pid, 2)))
                # What finds no room waits in the backlogs of both: it is not taken and cut.
                async with storming(gateway.url, CREDENTIAL, 100, held=True) as storm:
                    await gateway.line("accept.failed")
                    await until(lambda: storm.begun >= CONNECTS, 30.0)
                    await live.reached(live.position + 1600)
                    limits.close()
            assert dict(storm.outcomes) == {"ok": storm.begun}
            async with knocking(gateway.url) as knocks:
                await until(lambda: knocks.opened >= 5, 30.0)
                assert before == {gateway.serving(0), gateway.serving(1)}
                assert not knocks.cut
                with with_files(gateway.pid, limit=FEW_FILES):
                    os.kill(gateway.serving(1 - its_slot), signal.SIGKILL)
                    await gateway.line("worker.not_started")
                spare_served = gateway.count("worker.serving")
                assert spare_served == 3, "there was one that needed nothing"
                os.kill(gateway.serving(1 - its_slot), signal.SIGKILL)
                await gateway.comes(lambda: gateway.count("worker.serving") == 4)
                opened = knocks.opened
                await until(lambda: knocks.opened >= opened + 5, 30.0)
            assert knocks.cut <= 2
            assert gateway.count("worker.lost") == 2
            await live.reached(live.position + 1600)
            live.close()
            await live.finished()

    run(story())


def test_who_dies_while_the_parent_becomes_another_program_is_replaced(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            live = await gateway.call(plan("live"))
            dies = (await gateway.line("call.opened"))["worker"]
            pid = gateway.serving(dies)
            async with knocking(gateway.url) as knocks:
                gateway.signal(signal.SIGUSR2)
                # The program that says so has a moment left; the next one takes a second to come.
                await gateway.line("rolling.began")
                os.kill(pid, signal.SIGKILL)
                lost = await gateway.line("worker.lost")
                assert (lost["pid"], lost["slot"]) == (pid, dies)
                assert lost["calls_lost"] in (1, 2), "that call, and maybe one that knocked"
                await gateway.line("rolling.done")
                opened = knocks.opened
                await until(lambda: knocks.opened >= opened + 5, 30.0)
            assert knocks.cut <= 1
            assert gateway.count("worker.lost") == 1
            assert gateway.count("worker.replaced", reason="rolling") >= 1
            assert gateway.serving(dies) != pid
            live.abort()

    run(story())


def test_a_story_leaves_no_process_behind() -> None:
    """Neither a child nor one whose own parent was killed, whatever ends the story."""
    program = """\
        import os, signal, subprocess, sys
        from faults.orphans import no_orphans
        CHILD = "import subprocess; p = subprocess.Popen(['sleep', '60'], "
        CHILD += "start_new_session=True); print(p.pid, flush=True); p.wait()"
        with no_orphans():
            child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
            print(child.pid, int(child.stdout.readline()), flush=True)
            child.kill()
            signal.raise_signal(signal.SIGINT)
        """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=TESTS,
        check=False,
    )
    assert "KeyboardInterrupt" in ended.stderr
    pids = [int(word) for word in ended.stdout.split()]
    assert len(pids) == 2
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            raise AssertionError(f"{pid} is still there")
