"""`earhook genesys bind|pause|resume|watch`: conversations, and what happens just now."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earhook.ops.redaction import printable

from .exit_codes import INTERRUPTED
from .genesys_access import NOT_AS_WANTED, Access, JsonOption, asked, with_access
from .genesys_view import print_json, print_row, progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from earhook.genesys import GenesysCloud
    from earhook.genesys.watching import Observation

    from .genesys_access import Way

__all__ = ["bind", "pause", "resume", "watch"]

ConversationArgument = Annotated[
    str, typer.Argument(metavar="CONVERSATION", help="The id of a conversation.")
]
_EVERY_SECONDS: Final = 10.0


@with_access
def bind(  # noqa: PLR0913, PLR0917 - a command's options
    access: Access,
    conversation: ConversationArgument,
    audiohook: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Its name or id. Left out: the only one there is.",
            show_default=False,
        ),
    ] = None,
    wait_connected: Annotated[
        bool,
        typer.Option("--wait-connected", help="Wait for the conversation to be connected."),
    ] = False,
    wait_seconds: Annotated[
        float, typer.Option(min=0.0, max=3600.0, help="How long to wait for that.")
    ] = 60.0,
    conflict_seconds: Annotated[
        float, typer.Option(min=0.0, max=600.0, help="How long conflicts (409) are sat out.")
    ] = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Bind an AudioHook to a live conversation (the dialect of the community guide).

    The conversation is read first; nothing is bound before it is connected, nor when it is over.
    With the integrations dialect nothing is bound: calls of monitored queues come by themselves.

    Ends with 0 when it is bound, 3 when there is no such conversation, it is over or not
    connected in time, the conflict lasts or the AudioHook is disabled; 1 when nothing could be
    asked.
    """
    waits = (wait_seconds if wait_connected else 0.0, conflict_seconds)
    _bind(access.read(), (conversation, audiohook), waits, as_json=as_json)


@with_access
def pause(access: Access, conversation: ConversationArgument, as_json: JsonOption = False) -> None:
    """Pause the recording of a call, as before a card number: its AudioHook streams pause too.

    Ends with 0, 3 when the call is over or there is none, 1 when nothing could be asked.
    """
    _set_recording(
        access.read(),
        lambda cloud: cloud.conversations.pause_recording(conversation),
        ("PAUSED", conversation),
        as_json=as_json,
    )


@with_access
def resume(access: Access, conversation: ConversationArgument, as_json: JsonOption = False) -> None:
    """Go on recording a call.

    Ends with 0, 3 when the call is over or there is none, 1 when nothing could be asked.
    """
    _set_recording(
        access.read(),
        lambda cloud: cloud.conversations.resume_recording(conversation),
        ("ACTIVE", conversation),
        as_json=as_json,
    )


@with_access
def watch(
    access: Access,
    every: Annotated[
        float, typer.Option(min=0.05, max=3600.0, help="Seconds between two looks.")
    ] = _EVERY_SECONDS,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="How long. Left out: until Ctrl-C.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell states of integrations and AudioHooks, and error events, as they come.

    First every state, then what changes. With --json each is an object on a line of its own.

    Ends with 0 when nothing bad was told, 3 when something was: what is enabled does not work,
    or there was an error event; 1 when the login is refused; 130 after Ctrl-C.
    """
    try:
        is_well = asyncio.run(_watch(access.read(), (every, seconds), as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not is_well:
        raise typer.Exit(NOT_AS_WANTED)


def _bind(
    way: Way, who: tuple[str, str | None], waits: tuple[float, float], *, as_json: bool
) -> None:
    from earhook.genesys.binding import choose_hook
    from earhook.genesys.errors import ConversationOver, NotReached, NotThere, StateConflict

    conversation, named = who
    connected_seconds, conflict_seconds = waits

    async def work(cloud: GenesysCloud) -> tuple[str, str]:
        hook = await choose_hook(cloud, named)
        say(f"binding {hook.name} to {conversation}")
        state = await cloud.audiohooks.bind(
            conversation,
            hook.id,
            wait_connected_seconds=connected_seconds,
            within_seconds=conflict_seconds,
        )
        return hook.name, str(state)

    try:
        with progress() as say:
            name, state = asked(way, work)
    except (ConversationOver, NotReached, NotThere, StateConflict) as error:
        state = getattr(error, "state", "")
        if as_json:
            print_json({"bound": False, "state": state, "reason": str(error)})
        else:
            typer.echo(f"not bound: {printable(str(error), 1000)}", err=True)
        raise typer.Exit(NOT_AS_WANTED) from None
    if as_json:
        print_json({"bound": True, "audiohook": name, "state": state})
    else:
        typer.echo(f"bound {printable(name)} to {conversation}, which is {state}")


async def _watch(way: Way, span: tuple[float, float | None], *, as_json: bool) -> bool:
    from earhook.genesys import Timing
    from earhook.genesys.watching import watch as observe

    every, seconds = span
    is_well = True
    async with way.cloud() as cloud:
        news = observe(cloud, Timing(), every_seconds=every, within_seconds=seconds)
        async for one in news:
            is_well = is_well and not one.is_bad
            _tell(one, as_json=as_json)
    return is_well


def _tell(one: Observation, *, as_json: bool) -> None:
    now = time.time()
    if as_json:
        print_json({"at": round(now, 3), "kind": one.kind, "bad": one.is_bad, **_row(one)})
        return
    told_at = one.row.get("at") or now
    at = time.strftime("%H:%M:%S", time.localtime(told_at))
    print_row(one.row, f"{at}  {one.kind:<12}  ", is_bad=one.is_bad)


def _row(one: Observation) -> dict[str, object]:
    """The row, its own time under another name."""
    return {("event_at" if key == "at" else key): value for key, value in one.row.items()}


def _set_recording(
    way: Way,
    change: Callable[[GenesysCloud], Awaitable[None]],
    told: tuple[str, str],
    *,
    as_json: bool,
) -> None:
    from earhook.genesys.errors import NotThere, StateConflict

    state, conversation = told
    try:
        asked(way, change)
    except (StateConflict, NotThere) as error:
        if as_json:
            print_json({"conversation": conversation, "done": False, "reason": str(error)})
        else:
            typer.echo(f"not done: {printable(str(error), 1000)}", err=True)
        raise typer.Exit(NOT_AS_WANTED) from None
    if as_json:
        print_json({"conversation": conversation, "done": True, "recording": state})
    else:
        typer.echo(f"recording of {conversation} is {state}")
