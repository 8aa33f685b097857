"""The console of several workers: each knows its own calls, and the parent shows them as one list.

What goes over a channel is JSON, so records and audio are written in base64 on the way.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from earhook.console.house import HouseSource
from earhook.console.source import Heard, Opened, Seen, Told, Wish
from earhook.errors import ChannelError
from earhook.sinks.board import Board
from earhook.sinks.board.board import Known
from earhook.sinks.board.state import NUMBER_BITS
from earhook.sinks.board.stream import Choice

if TYPE_CHECKING:
    from .channel import Channel, Message
    from .link import WorkerLink

__all__ = ["ShownCalls", "WorkersSource"]

ANSWER_SECONDS: Final = 1.0
TAGS: Final = 255


class ShownCalls:
    """A worker's side: answers from memory, at once.

    Args:
        channel: Where the parent asks. It is answered from now on.
        board: What is known here.
    """

    def __init__(self, channel: Channel, board: Board) -> None:
        self._board = board
        self._house = HouseSource(board)
        channel.on("console_look", self._look)
        channel.on("console_call", lambda message: self._house.in_full(message.body))
        channel.on("console_tell", self._tell)
        channel.on("console_listen", lambda message: self._house.begin(message.body))
        channel.on("console_hear", self._hear)
        channel.on("console_hang_up", lambda message: self._house.end(message.body))

    def _look(self, message: Message) -> dict[str, Any]:
        body = message.body
        known, opened = body["known"], body["opened"]
        wish = Wish(
            cursor=None if known is None else Known(*known),
            watch=body["watch"],
            session=body["session"],
            opened=None if opened is None else _opened(opened),
        )
        seen = HouseSource(self._board, body["tag"]).see(wish)
        return {
            **seen._asdict(),
            "cursor": list(seen.cursor) if isinstance(seen.cursor, Known) else None,
            "states": _packed(seen.states),
            "meters": _packed(seen.meters),
            "opened": None if seen.opened is None else _opened_as_json(seen.opened),
        }

    def _tell(self, message: Message) -> dict[str, Any]:
        cursor, sessions, kinds, history = message.body
        choice = Choice(frozenset(sessions), frozenset(kinds))
        told = self._house.lines(cursor, choice, history=history)
        return {**told._asdict(), "lines": [line.decode() for line in told.lines]}

    def _hear(self, message: Message) -> dict[str, Any] | None:
        heard = self._house.take(message.body)
        if heard is None:
            return None
        blocks = [(*block[:3], _packed(block[3])) for block in heard.blocks]
        return {"blocks": blocks, "has_ended": heard.has_ended}


class WorkersSource:
    """A `Source` of all workers.

    Args:
        workers: Everybody whose process runs, the oldest first.
    """

    def __init__(self, workers: Callable[[], Sequence[WorkerLink]]) -> None:
        self._workers = workers
        self._tags: dict[int, int] = {}
        self._last_tag = 0

    async def look(self, wish: Wish) -> Seen:
        """What has changed in any of them. A worker that has gone makes all begin anew."""
        serving = self._serving()
        known: dict[int, Any] = wish.cursor if isinstance(wish.cursor, dict) else {}
        if not known.keys() <= {worker.generation for worker in serving}:
            return _nothing(reset=True, cursor={})
        answers = await _ask_each(
            serving, "console_look", lambda worker: self._question(worker, wish, known)
        )
        seen, cursor = _nothing(reset=wish.cursor is None, cursor={}), dict(known)
        for worker, answer in answers:
            if answer is None:
                seen = seen._replace(unheard=[*seen.unheard, worker.slot or 0])
                continue
            if answer["reset"] and worker.generation in known:
                return _nothing(reset=True, cursor={})
            cursor[worker.generation] = answer["cursor"]
            seen = _together(seen, answer, worker)
        return seen._replace(cursor=cursor)

    async def call(self, session: str) -> dict[str, Any] | None:
        """Of the worker that has it; where it came back to another one, the live one."""
        found = [
            {**answer, "worker": worker.slot}
            for worker, answer in await self._ask_all("console_call", session)
            if answer is not None
        ]
        found.sort(key=lambda call: (call["state"] == "live", call["opened"]))
        return found[-1] if found else None

    async def tell(self, cursor: object, choice: Choice, *, history: bool) -> Told:
        """Of all of them, each one's lines in their order."""
        known: dict[int, Any] = cursor if isinstance(cursor, dict) else {}
        chosen, history = [list(choice.sessions), list(choice.kinds)], history and not known
        answers = await _ask_each(
            self._serving(),
            "console_tell",
            lambda worker: [known.get(worker.generation), *chosen, history],
        )
        lines, missed, places = [], 0, dict(known)
        for worker, answer in answers:
            if answer is not None:
                places[worker.generation] = answer["cursor"]
                lines += [line.encode() for line in answer["lines"]]
                missed += answer["missed"]
        return Told(places, lines, missed)

    async def listen(self, session: str) -> tuple[str, dict[str, Any]] | None:
        """At the worker that has it."""
        for worker, answer in await self._ask_all("console_listen", session):
            if answer is not None:
                name, heard = answer
                return f"{worker.generation}.{name}", heard
        return None

    async def hear(self, name: str) -> Heard | None:
        """What has come there."""
        answer = await self._ask_named("console_hear", name)
        if answer is None:
            return None
        blocks = [
            (position, samples, reason, base64.b64decode(audio))
            for position, samples, reason, audio in answer["blocks"]
        ]
        return Heard(blocks, answer["has_ended"])

    async def hang_up(self, name: str) -> None:
        """Hear no more."""
        await self._ask_named("console_hang_up", name)

    def _question(self, worker: WorkerLink, wish: Wish, known: dict[int, Any]) -> dict[str, Any]:
        tag = self._tag(worker)
        opened = wish.opened
        return {
            "tag": tag,
            "known": known.get(worker.generation),
            "watch": wish.watch
            and [number for number in wish.watch if number >> NUMBER_BITS == tag >> NUMBER_BITS],
            "session": wish.session,
            "opened": None if opened is None else _opened_as_json(opened),
        }

    def _tag(self, worker: WorkerLink) -> int:
        """What its calls have above their numbers; of nobody else who is there or was lately."""
        if worker.generation not in self._tags:
            there = {worker.generation for worker in self._workers()}
            self._tags = {key: tag for key, tag in self._tags.items() if key in there}
            taken = set(self._tags.values())
            free = (self._last_tag + step for step in range(1, TAGS + 1))
            self._last_tag = next(t % TAGS + 1 for t in free if t % TAGS + 1 not in taken)
            self._tags[worker.generation] = self._last_tag
        return self._tags[worker.generation] << NUMBER_BITS

    def _serving(self) -> list[WorkerLink]:
        return [worker for worker in self._workers() if worker.serves]

    async def _ask_all(self, kind: str, body: object) -> list[tuple[WorkerLink, Any]]:
        return await _ask_each(self._serving(), kind, lambda _worker: body)

    async def _ask_named(self, kind: str, name: str) -> Any:  # noqa: ANN401 - whatever JSON says
        generation, _, inner = name.partition(".")
        for worker in self._serving():
            if str(worker.generation) == generation:
                return await _ask(worker, kind, inner)
        return None


async def _ask_each(
    workers: Sequence[WorkerLink], kind: str, question: Callable[[WorkerLink], object]
) -> list[tuple[WorkerLink, Any]]:
    """Ask all at once; None is who did not answer."""
    answers = await asyncio.gather(*(_ask(worker, kind, question(worker)) for worker in workers))
    return list(zip(workers, answers, strict=True))


async def _ask(worker: WorkerLink, kind: str, body: object) -> Any:  # noqa: ANN401 - as above
    with contextlib.suppress(ChannelError):
        return (await worker.channel.ask(kind, body, seconds=ANSWER_SECONDS)).body
    return None


def _nothing(*, reset: bool, cursor: object) -> Seen:
    return Seen(cursor, reset, [], [], b"", b"", None, 0, 0, has_more=False)


def _together(seen: Seen, answer: dict[str, Any], worker: WorkerLink) -> Seen:
    opened = answer["opened"]
    return seen._replace(
        added=[*seen.added, *({**row, "worker": worker.slot} for row in answer["added"])],
        removed=[*seen.removed, *answer["removed"]],
        states=seen.states + base64.b64decode(answer["states"]),
        meters=seen.meters + base64.b64decode(answer["meters"]),
        opened=seen.opened if opened is None else _opened(opened),
        live=seen.live + answer["live"],
        losing=seen.losing + answer["losing"],
        has_more=seen.has_more or answer["has_more"],
    )


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _opened_as_json(opened: Opened) -> dict[str, Any]:
    events = [event.decode() for event in opened.events]
    return {**opened._asdict(), "events": events, "envelope": _packed(opened.envelope)}


def _opened(body: dict[str, Any]) -> Opened:
    events = [event.encode() for event in body["events"]]
    return Opened(**{**body, "events": events, "envelope": base64.b64decode(body["envelope"])})
