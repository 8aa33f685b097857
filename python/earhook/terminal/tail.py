"""Follows events and writes a line for each."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.text import Text

from earhook.client import CallClosed, CallEvent, CallOpened, Item, StreamRefused, connect
from earhook.errors import OperatorError
from earhook.ids import is_uuid

from .admin_port import AdminAddress, AdminPort, PortLost
from .event_text import clean, event_text, time_text
from .json_line import json_line

__all__ = ["Event", "Wanted", "Write", "follow_port", "follow_stream", "line_writer"]

AGAIN_SECONDS: Final = 1.0
LISTED_CALLS: Final = 1000
SHOWN_MATCHES: Final = 5
GIVE_UP_SECONDS: Final = 10.0
FACTS: Final = (
    "conversation", "organization", "correlation", "key", "codec", "rate", "channels", "opened",
    "product", "language", "door", "caller", "worker",
)  # fmt: skip
"""Of a call, in the details of its `opened`."""

Event: TypeAlias = Mapping[str, Any]
"""A line of `/api/v1/events`."""
Write: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be told.

    Attributes:
        calls: Ids, or how they begin; none: every call.
        types: Words; none: every type.
        history: Begin with what is kept.
    """

    calls: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    history: bool = False


async def follow_port(address: AdminAddress, wanted: Wanted, write: Write) -> None:
    """Tell what an admin port tells, until all wanted calls have closed, if any are named.

    A gateway that goes away later is waited for.

    Raises:
        PortLost: There is none at the beginning.
        OperatorError: It tells us nothing, or knows no such call.
    """
    async with AdminPort(address) as port:
        left = await _sessions(port, wanted.calls)
        for session in sorted(left):
            if await _begin(port, session, wanted, write):
                left.discard(session)
        choice = _choice(left, wanted)
        is_first, was_told = True, False
        while left or not wanted.calls:
            try:
                async with aclosing(port.events(choice)) as events:
                    async for event in events:
                        is_first = was_told = False
                        await _take(port, event, left, wanted, write)
                        if wanted.calls and not left:
                            break
            except PortLost as lost:
                if is_first:
                    raise
                if not was_told:
                    sys.stderr.write(f"earhook: {lost}; trying again\n")
                    was_told = True
                choice = [one for one in choice if one[0] != "history"]
                await asyncio.sleep(AGAIN_SECONDS)


async def _take(
    port: AdminPort, event: Event, left: set[str], wanted: Wanted, write: Write
) -> None:
    """Tell an event; take out of `left` what has ended."""
    if _pass_on(event, wanted, write):
        left.discard(str(event.get("session", "")).lower())
    elif event.get("type") == "alive":
        left -= {session for session in left if await _has_ended(port, session)}


async def follow_stream(address: str, token: str | None, wanted: Wanted, write: Write) -> None:
    """Tell what a pcm-stream sink tells, as `follow_port`.

    Raises:
        OperatorError: There is none, or it refuses.
    """
    left = {call.lower() for call in wanted.calls}
    for call in left:
        if not is_uuid(call):
            raise OperatorError(f"with --from, a call is a whole session id; {clean(call)} is none")
    try:
        stream = connect(
            address,
            name="earhook tail",
            sessions=sorted(left),
            start="start" if wanted.history else "now",
            events=True,
            token=token,
            give_up_seconds=GIVE_UP_SECONDS,
        )
        async with stream:
            async for item in stream:
                event = _as_event(item)
                if event is not None and _pass_on(event, wanted, write) and left:
                    left.discard(str(event["session"]).lower())
                    if not left:
                        return
    except ValueError as error:
        raise OperatorError(f"--from: {error}") from None
    except StreamRefused as error:
        raise OperatorError(f"{address} refuses: {error}") from None
    except OSError as error:
        what = error.strerror or error
        raise OperatorError(
            f"{address} cannot be reached: {what}; is a pcm-stream sink there?"
        ) from None


def line_writer(*, as_text: bool) -> Write:
    """Lines on standard output, as JSON or for people."""
    return _TextLines() if as_text else _write_json


def _write_json(event: Event) -> None:
    sys.stdout.write(json_line(event).decode())
    sys.stdout.flush()


class _TextLines:
    """Knows the rates of calls that it has seen opened."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._rates: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        session, kind = str(event.get("session", "")), str(event.get("type", ""))
        details = event.get("details") or {}
        if kind == "opened" and isinstance(details.get("rate"), int):
            self._rates[session] = details["rate"]
        rate = self._rates.get(session, 8000)
        if kind == "closed":
            self._rates.pop(session, None)
        at = time_text(int(event["position"]), rate) if event.get("position") is not None else ""
        wall = time.strftime("%H:%M:%S", time.localtime(event.get("time")))
        line = Text.assemble(
            (wall, "dim"), f"  {clean(session, 60)[:8]:<8}", (f" {at:>8}  ", "dim")
        )
        line.append_text(event_text(kind, details, rate))
        self._console.print(line)


def _pass_on(event: Event, wanted: Wanted, write: Write) -> bool:
    """Write it if it is wanted; whether it ends a call."""
    kind = str(event.get("type", ""))
    if kind != "alive" and (not wanted.types or kind in wanted.types or kind == "missed"):
        write(event)
    return kind == "closed"


def _choice(sessions: set[str], wanted: Wanted) -> list[tuple[str, str]]:
    choice = [("session", session) for session in sorted(sessions)]
    types = set(wanted.types)
    if types and sessions:
        types.add("closed")
    choice += [("type", kind) for kind in sorted(types)]
    return [*choice, ("history", "1")] if wanted.history else choice


async def _sessions(port: AdminPort, calls: tuple[str, ...]) -> set[str]:
    """Whole session ids.

    Raises:
        OperatorError: A call is not there, or several begin like that.
    """
    found: set[str] = set()
    for call in calls:
        found.add(await _session(port, call.lower()))
    return found


async def _session(port: AdminPort, call: str) -> str:
    if is_uuid(call) and await port.ask(f"/api/v1/calls/{call}") is not None:
        return call
    listed = await port.ask(f"/api/v1/calls?limit={LISTED_CALLS}") or {}
    ids = {
        str(one["session"]).lower()
        for one in listed.get("calls", ())
        if any(
            str(one.get(key, "")).lower().startswith(call) for key in ("session", "conversation")
        )
    }
    if len(ids) == 1:
        return ids.pop()
    shown = clean(call, 40)
    if not ids:
        raise OperatorError(
            f"no live call begins with {shown!r}: `earhook top` shows what there is"
        )
    some = ", ".join(sorted(ids)[:SHOWN_MATCHES])
    raise OperatorError(f"{len(ids)} calls begin with {shown!r}, such as {some}: give more of it")


async def _begin(port: AdminPort, session: str, wanted: Wanted, write: Write) -> bool:
    """Tell what is known of a call when it is first looked at; whether that is all.

    Raises:
        OperatorError: It has ended, and its past is not wanted.
    """
    call = await port.ask(f"/api/v1/calls/{session}") or {"state": "ended"}
    has_ended = call["state"] == "ended"
    if not wanted.history:
        if has_ended:
            raise OperatorError(f"call {session} has ended: --history shows what is kept of it")
        return False
    whose = {"session": session, "conversation": call.get("conversation")}
    facts = {key: call[key] for key in FACTS if key in call}
    opened = {"type": "opened", "position": 0, "time": call.get("opened"), "details": facts}
    _pass_on({**whose, **opened}, wanted, write)
    if has_ended:
        for event in call.get("events", ()):
            _pass_on({**whose, **event}, wanted, write)
        position, outcome = call.get("position"), call.get("outcome") or {"reason": "lost"}
        closed = {"type": "closed", "position": position, "time": None, "details": outcome}
        _pass_on({**whose, **closed}, wanted, write)
    return bool(has_ended)


async def _has_ended(port: AdminPort, session: str) -> bool:
    """Whether its end was told before we listened."""
    call = await port.ask(f"/api/v1/calls/{session}")
    return call is None or bool(call["state"] == "ended")


def _as_event(item: Item) -> Event | None:
    """An item of the stream in the form of the admin port; audio is none."""
    if isinstance(item, CallOpened):
        kind, details = "opened", dict(item.call.facts)
    elif isinstance(item, CallEvent):
        kind, details = item.kind, dict(item.details)
    elif isinstance(item, CallClosed):
        kind, details = "closed", {"reason": item.reason, "verified": item.totals.verified}
    else:
        return None
    return {
        "session": item.call.session_id,
        "conversation": item.call.conversation_id,
        "type": kind,
        "position": item.position,
        "time": round(time.time(), 3),
        "details": details,
    }
