"""Several sessions at once."""

from __future__ import annotations

import asyncio
from typing import Final

from earhook.conform.call import Call
from earhook.conform.stage import Stage, fresh_uuid
from earhook.conform.verdicts import Broken, Clause, NotReached

__all__ = ["CLAUSES"]


async def _apart(stage: Stage) -> str:
    """Two legs of one conversation, step by step in turn."""
    await stage.needs("pong", "closed")
    conversation = fresh_uuid()
    seconds = stage.patience.pong_seconds
    async with (
        stage.opened(stage.setup(conversation_id=conversation)) as left,
        stage.opened(stage.setup(conversation_id=conversation)) as right,
    ):
        for _ in range(3):
            for call in (left, right):
                await call.still_serves(seconds)
        for call in (left, right):
            call.say("close", {"reason": "end"})
            await call.must_hear("closed", stage.patience.close_seconds)
        for call in (left, right):
            _own_numbers(call)
    return "two legs of one conversation, each with its own id and numbers"


def _own_numbers(call: Call) -> None:
    for expected, heard in enumerate(call.texts, start=1):
        message = heard.message or {}
        if message.get("seq") != expected:
            raise Broken(f"{heard.type}: seq is {message.get('seq')!r}, expected {expected}")
        if str(message.get("id")).lower() != call.setup.session_id.lower():
            raise Broken(f"{heard.type}: id of the other session")


async def _twin(stage: Stage) -> str:
    async with stage.opened() as call:
        setup = stage.setup(
            session_id=call.setup.session_id, organization_id=call.setup.organization_id
        )
        socket, answer = await stage.request(stage.headers(setup))
        if answer.status != 101:
            socket.abort()
            return str(answer)
        twin = Call(socket, setup)
        try:
            twin.open()
            seconds = stage.patience.quiet_seconds + stage.patience.prompt_seconds
            if await twin.hears("disconnect", seconds) is not None:
                return twin.what_came(0, 0)
            if twin.has_ended:
                return "the connection ended"
            raise Broken("a second live session with the same id was let in")
        finally:
            await twin.finish()


async def _again(stage: Stage) -> str:
    async with stage.opened() as call:
        lost = call.setup
    setup = stage.setup(session_id=lost.session_id, organization_id=lost.organization_id)
    deadline = asyncio.get_running_loop().time() + stage.patience.pong_seconds
    while True:
        try:
            async with stage.opened(setup):
                break
        except NotReached as error:
            # The server may need a moment to notice that the first one is gone.
            if asyncio.get_running_loop().time() > deadline:
                raise Broken(f"the id of a lost session: {error}") from None
        await asyncio.sleep(stage.patience.quiet_seconds / 2)
    return "`opened`"


CLAUSES: Final = (
    Clause("sessions.apart", "1.2", "Sessions are counted apart, also those of one conversation.",
           "Keep numbers by connection, not by conversation.", _apart),
    Clause("sessions.twin", "11.4", "A second session with the id of a live one is refused.",
           "Refuse or disconnect it.", _twin, level="should"),
    Clause("sessions.again", "11.4", "The id of a session that was lost may come again.",
           "Forget a session when its connection ends.", _again, level="should"),
)  # fmt: skip
