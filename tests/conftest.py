"""What all tests share: categories by folder, a uvloop runner, waiting with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme
import uvloop
from hypothesis import HealthCheck, settings

from earhook.ops.logging import PEER_LINES, RESERVED_LINES

TESTS = Path(__file__).parent
CATEGORIES = frozenset(
    {"unit", "protocol", "boundary", "integration", "hostile", "console", "style"}
)
TEST_SECONDS = 100.0
Value = TypeVar("Value")

settings.register_profile(
    "house", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test the category of its folder; a test outside of one is a fault."""
    for item in items:
        category = item.path.relative_to(TESTS).parts[0]
        if category not in CATEGORIES:
            pytest.fail(f"{item.path} lies in no category: {sorted(CATEGORIES)}", pytrace=False)
        item.add_marker(category)


def pytest_runtest_setup() -> None:
    """The limits on log lines are those of the process: every test finds them unused."""
    vars(PEER_LINES)["_tokens"] = vars(PEER_LINES)["_burst"]
    vars(RESERVED_LINES)["_taken_until"] = {}


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Value]], Value]:
    """Run a coroutine to its end on a fresh uvloop."""

    def runner(work: Coroutine[Any, Any, Value]) -> Value:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            return loop.run(_within(TEST_SECONDS, work))

    return runner


async def _within(seconds: float, work: Coroutine[Any, Any, Value]) -> Value:
    """End a story that hangs: the signal of pytest-timeout does not reach an idle uvloop."""
    async with asyncio.timeout(seconds):
        return await work


@pytest.fixture
def until() -> Callable[..., Coroutine[Any, Any, None]]:
    """Wait for a condition with a deadline: `await until(lambda: sink.calls == 3)`."""

    async def wait(condition: Callable[[], object], deadline_seconds: float = 10.0) -> None:
        due = time.monotonic() + deadline_seconds
        while not condition():
            if time.monotonic() > due:
                pytest.fail(f"still not so after {deadline_seconds} s: {condition}")
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    """A certificate authority of this run."""
    return trustme.CA()
