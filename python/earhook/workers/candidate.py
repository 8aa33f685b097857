"""The child that proves that a new program and the configuration would do.

It runs the command line of its parent up to the point where sockets would be made, and says what
came of it. So whatever keeps the parent from executing that command line shows here first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

import orjson

from earhook import __version__
from earhook.app.files import read_files
from earhook.clock import SystemClock
from earhook.config.rules import require_servable
from earhook.config.schema import Configuration
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.sinks.pcm_stream.listening import listen_on

from .relay.terms import relayed_sinks
from .sockets import places_of
from .succession import CANDIDATE
from .takeover import TAKEOVER_VERSION

__all__ = ["ask_candidate", "prove"]

CANDIDATE_SECONDS: Final = 60.0


async def ask_candidate(configuration: Configuration) -> tuple[str, list[str]]:
    """Run a candidate.

    Args:
        configuration: What serves now: what cannot change without a restart must be the same.

    Returns:
        The version of the new program, and every fault that keeps it from taking over.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        asked = {
            "descriptor": theirs.fileno(),
            "takeover_version": TAKEOVER_VERSION,
            "places": _places(configuration),
            "streams": _streams(configuration),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *sys.orig_argv[1:],
            env={**os.environ, CANDIDATE: orjson.dumps(asked).decode()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(theirs.fileno(),),
        )
        try:
            async with asyncio.timeout(CANDIDATE_SECONDS):
                text, _ = await process.communicate()
        except TimeoutError:
            return "", [f"the new program has not said within {CANDIDATE_SECONDS:g} s what it is"]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        ours.setblocking(False)
        with contextlib.suppress(OSError, ValueError, KeyError):
            answer = orjson.loads(ours.recv(_ANSWER_BYTES))
            return answer["version"], answer["faults"]
    lines = text.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
    return "", lines or [f"the new program ended with exit code {process.returncode}"]


def prove(configuration: Configuration) -> None:
    """Be a candidate: try everything that can be tried beside the parent, and answer it."""
    asked = orjson.loads(os.environ[CANDIDATE])
    faults = _faults_of(configuration, asked)
    answer = {"version": __version__, "faults": [str(fault) for fault in faults]}
    with socket.socket(fileno=asked["descriptor"]) as end:
        end.send(orjson.dumps(answer)[:_ANSWER_BYTES])


def _faults_of(configuration: Configuration, asked: dict[str, Any]) -> list[ConfigurationFault]:
    import earhook.workers.worker  # noqa: F401 - what a worker needs is there

    if asked["takeover_version"] != TAKEOVER_VERSION:
        what = "the new version cannot take over from the one that runs"
        return [ConfigurationFault("earhook", what, "restart the service: calls drain first")]
    faults: list[ConfigurationFault] = []
    try:
        require_servable(configuration)
        read_files(configuration, SystemClock())
        asyncio.run(_try_streams(configuration, asked["streams"]))
    except ConfigurationError as error:
        faults.extend(error.faults)
    places = _places(configuration)
    for door in sorted(places.keys() | asked["places"].keys()):
        if places.get(door) != asked["places"].get(door):
            what = "where it listens is not what is in service"
            remedy = "take that back, or restart the service"
            faults.append(ConfigurationFault(door, what, remedy))
    return faults


async def _try_streams(configuration: Configuration, known: Sequence[str]) -> None:
    """Listen for consumers where nobody does yet, and cease to.

    Raises:
        ConfigurationError: With all that cannot be had.
    """
    faults: list[ConfigurationFault] = []
    for sink in relayed_sinks(configuration.sinks):
        if f"{sink.name} {sink.listen}" not in known:
            try:
                (await listen_on(sink)).close()
            except ConfigurationError as error:
                faults.extend(error.faults)
    if faults:
        raise ConfigurationError(faults)


def _streams(configuration: Configuration) -> list[str]:
    return [f"{sink.name} {sink.listen}" for sink in relayed_sinks(configuration.sinks)]


def _places(configuration: Configuration) -> dict[str, list[object]]:
    admin = configuration.admin
    places = {door: list(place) for door, place in places_of(configuration).items()}
    return {**places, "admin": [admin.host, admin.port]}


_ANSWER_BYTES: Final = 64 << 10
_LAST_LINES: Final = 20
