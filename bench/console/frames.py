"""How smoothly the page runs: frames per second and what its thread does, with thousands of calls.

The feed is imagined and comes from another process; browser, canvas and layout are real.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from typing import Any

from bench.provenance import RESULTS, machine, sentence

SECONDS = 10
TARGET = 50
COUNT = """seconds => new Promise(done => {
  let [frames, longest, before] = [0, 0, performance.now()];
  const until = before + seconds * 1000;
  requestAnimationFrame(function frame(now) {
    frames += 1;
    longest = Math.max(longest, now - before);
    before = now;
    if (now < until) requestAnimationFrame(frame);
    else done({ frames: frames / seconds, longest_ms: longest });
  });
})"""
SCROLL = """seconds => {
  const rows = document.querySelector(".rows");
  const until = performance.now() + seconds * 1000;
  // To read it in each frame would be a cost of ours.
  const range = rows.scrollHeight - rows.clientHeight;
  requestAnimationFrame(function frame(now) {
    rows.scrollTop = (1 - Math.cos(now / 900)) * 0.5 * range;
    if (now < until) requestAnimationFrame(frame);
  });
}"""


async def measure(calls: list[int], seconds: int = SECONDS) -> dict[str, Any]:
    """Look at the list of so many calls, at rest and scrolled from end to end."""
    from playwright.async_api import async_playwright

    found: dict[str, Any] = {"machine": machine(), "seconds": seconds, "target": TARGET, "runs": []}
    async with async_playwright() as playwright:
        for number in calls:
            with _Served(number) as url:
                browser = await playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                viewport: Any = {"width": 1440, "height": 900}
                page = await browser.new_page(viewport=viewport)
                await page.goto(url)
                await page.locator(".call").nth(20).wait_for()
                for what in ("at rest", "scrolled"):
                    if what == "scrolled":
                        await page.evaluate(SCROLL, seconds)
                    run = {"calls": number, "list": what, **await _count(page, seconds)}
                    found["runs"].append(run)
                    print(said(run), flush=True)
                await browser.close()
    return found


async def _count(page: Any, seconds: int) -> dict[str, float]:
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    before = await _busy_seconds(session)
    counted = await page.evaluate(COUNT, seconds)
    busy = await _busy_seconds(session) - before
    return {
        "frames_per_second": round(counted["frames"], 1),
        "longest_frame_ms": round(counted["longest_ms"], 1),
        "thread_busy_percent": round(100 * busy / seconds, 1),
    }


async def _busy_seconds(session: Any) -> float:
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


class _Served:
    """The imagined gateway in a process of its own."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    def __enter__(self) -> str:
        command = [
            sys.executable,
            "-m",
            "bench.console",
            "serve",
            "--calls",
            str(self._calls),
            "--port",
            "0",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def said(run: dict[str, Any]) -> str:
    """A line of the table."""
    return (
        f"{run['calls']:6} calls, {run['list']:9} {run['frames_per_second']:5.1f} frames/s, "
        f"longest {run['longest_frame_ms']:6.1f} ms, "
        f"thread {run['thread_busy_percent']:5.1f} % busy"
    )


def main(calls: list[int], seconds: int) -> int:
    """Measure, print and keep; 1 where the target is missed."""
    found = asyncio.run(measure(calls, seconds))
    print(sentence(found["machine"]))
    (RESULTS / "console_page.json").write_text(json.dumps(found, indent=1) + "\n")
    return int(any(run["frames_per_second"] < TARGET for run in found["runs"]))
