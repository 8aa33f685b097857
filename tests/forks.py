"""Processes that a test starts by fork, and that end with it."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

FORK = multiprocessing.get_context("fork")
DEADLINE_SECONDS = 30.0


@contextlib.contextmanager
def started(count: int, work: Callable[..., None], *arguments: Any) -> Iterator[list[BaseProcess]]:
    """That many processes that do some work; killed at the end, whatever became of it."""
    processes = [FORK.Process(target=work, args=arguments, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join(DEADLINE_SECONDS)
