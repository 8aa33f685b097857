"""What every message of the server holds, judged over everything heard in the whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from earhook.conform.call import Call, Heard
from earhook.conform.stage import Stage, fresh_uuid
from earhook.conform.verdicts import Broken, Clause, NotReached

__all__ = ["CLAUSES"]

TYPES: Final = frozenset(
    {
        "opened", "pong", "closed", "pause", "resume", "updated", "event", "disconnect",
        "reconnect",
    }
)  # fmt: skip
FIELDS: Final = frozenset({"version", "id", "type", "seq", "clientseq", "parameters"})
LIMIT_CHARACTERS: Final = 65_535
EMPTY: Final = ("pong", "closed", "updated", "pause", "resume")

Judge = Callable[[Call, Heard], None]


async def _each(judge: Judge, stage: Stage) -> str:
    """Hold every text message against one rule."""
    await stage.model_call()
    count = 0
    for call in stage.calls:
        for heard in call.texts:
            count += 1
            judge(call, heard)
    if not count:
        raise NotReached("the server said nothing")
    return f"{count} messages of {len(stage.calls)} sessions"


def _is_json(_call: Call, heard: Heard) -> None:
    if heard.message is None:
        raise Broken(f"no JSON object: {heard.payload[:80]!r}")


def _version(_call: Call, heard: Heard) -> None:
    _equals(heard, "version", "2")


def _id(call: Call, heard: Heard) -> None:
    given = (heard.message or {}).get("id")
    if heard.message is not None and (
        not isinstance(given, str) or given.lower() != call.setup.session_id.lower()
    ):
        raise Broken(f"{heard.type}: id is {given!r}, not {call.setup.session_id!r}")


def _echo(call: Call, heard: Heard) -> None:
    given = (heard.message or {}).get("id")
    same = isinstance(given, str) and given.lower() == call.setup.session_id.lower()
    if same and given != call.setup.session_id:
        raise Broken(f"{heard.type}: id is {given!r}, sent as {call.setup.session_id!r}")


def _type(_call: Call, heard: Heard) -> None:
    if heard.message is not None and heard.type not in TYPES:
        raise Broken(f"type is {heard.message.get('type')!r}")


def _parameters(_call: Call, heard: Heard) -> None:
    if heard.message is not None and not isinstance(heard.message.get("parameters"), dict):
        shown = repr(heard.message["parameters"]) if "parameters" in heard.message else "missing"
        raise Broken(f"{heard.type}: parameters is {shown}")


def _empty(_call: Call, heard: Heard) -> None:
    if heard.type in EMPTY and heard.parameters:
        raise Broken(f"{heard.type} carries {dict(heard.parameters)!r}")


def _no_more(_call: Call, heard: Heard) -> None:
    extra = (heard.message or {}).keys() - FIELDS
    if extra:
        raise Broken(f"{heard.type}: {', '.join(sorted(extra))}")


def _size(_call: Call, heard: Heard) -> None:
    characters = len(heard.payload.decode(errors="replace"))
    if characters > LIMIT_CHARACTERS:
        raise Broken(f"{heard.type}: {characters} characters")


def _clientseq(_call: Call, heard: Heard) -> None:
    message = heard.message
    if message is None:
        return
    number = message.get("clientseq")
    if type(number) is not int or not 0 <= number <= heard.sent_seq:
        raise Broken(f"{heard.type}: clientseq is {number!r}, sent so far {heard.sent_seq}")


def _disconnect(_call: Call, heard: Heard) -> None:
    if heard.type != "disconnect":
        return
    parameters = heard.parameters
    if parameters.get("reason") not in {"completed", "unauthorized", "error"}:
        raise Broken(f"reason is {parameters.get('reason')!r}")
    if not isinstance(parameters.get("info", ""), str):
        raise Broken(f"info is {parameters['info']!r}")
    variables = parameters.get("outputVariables", {})
    if not isinstance(variables, dict) or not all(isinstance(v, str) for v in variables.values()):
        raise Broken(f"outputVariables is {variables!r}")


def _event(_call: Call, heard: Heard) -> None:
    if heard.type != "event":
        return
    entities = heard.parameters.get("entities")
    if not isinstance(entities, list) or not entities:
        raise Broken(f"entities is {entities!r}")
    for entity in entities:
        if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
            raise Broken(f"an entity is {entity!r}")


def _equals(heard: Heard, name: str, expected: str) -> None:
    if heard.message is not None and heard.message.get(name) != expected:
        given = heard.message.get(name)
        raise Broken(f"{heard.type}: {name} is {given!r}, not {expected!r}")


# -- numbers, session by session


async def _in_order(stage: Stage) -> str:
    await stage.model_call()
    count = 0
    for call in stage.calls:
        for expected, heard in enumerate(call.texts, start=1):
            if heard.message is None:
                continue  # that is another clause
            given = _number(heard.message, "seq")
            if given != expected:
                raise Broken(f"{heard.type}: seq is {given!r}, expected {expected}")
            count += 1
    return f"{count} messages of {len(stage.calls)} sessions"


async def _never_back(stage: Stage) -> str:
    await stage.model_call()
    for call in stage.calls:
        last = 0
        for heard in call.texts:
            given = _number(heard.message, "clientseq")
            if isinstance(given, int) and heard.type != "pong":
                if given < last:
                    raise Broken(f"{heard.type}: clientseq is {given} after {last}")
                last = given
    return f"{len(stage.calls)} sessions"


async def _counts_all(stage: Stage) -> str:
    call = await stage.model_call()
    closed = call.all_of("closed")
    if not closed:
        raise NotReached("the ordinary call was not closed")
    given = _number(closed[0].message, "clientseq")
    if given != call.highest_seq:
        raise Broken(f"`closed`: clientseq is {given!r}, `close` had seq {call.highest_seq}")
    return f"`closed` has clientseq {given}"


async def _pairs(stage: Stage) -> str:
    await stage.needs("pong")
    count = 0
    for call in stage.calls:
        # Pongs may be missing, which is another clause; the others have an order of their own.
        waiting: Iterator[object] = iter(call.pings_sent)
        for pong in call.all_of("pong"):
            given = _number(pong.message, "clientseq")
            if given not in waiting:
                sent = ", ".join(map(str, call.pings_sent))
                raise Broken(f"a pong has clientseq {given}; pings were {sent}")
            count += 1
    return f"{count} pongs"


def _number(message: Mapping[str, Any] | None, name: str) -> object:
    value = (message or {}).get(name)
    return value if type(value) is int else repr(value)


async def _one_disconnect(stage: Stage) -> str:
    await stage.model_call()
    for call in stage.calls:
        count = len(call.all_of("disconnect"))
        if count > 1:
            raise Broken(f"{count} in one session")
    return f"{len(stage.calls)} sessions"


async def _upper_case(stage: Stage) -> str:
    await stage.needs("pong")
    loud = stage.setup(session_id=fresh_uuid().upper())
    async with stage.opened(loud) as call:
        await call.still_serves(stage.patience.pong_seconds)
        for heard in call.texts:
            _echo(call, heard)
        return "the id came back as it was sent"


def _all(
    name: str, section: str, sentence: str, cure: str, judge: Judge, *, demanded: bool = True
) -> Clause:
    level = "must" if demanded else "should"
    check = partial(_each, judge)
    return Clause(name, section, sentence, cure, check, level, judges_all=True)  # type: ignore[arg-type]


_ONE_PLACE = "Number a message where it is written to the socket, and nowhere else."

CLAUSES: Final = (
    _all("envelope.json", "4", "Every text message is one JSON object.",
         "Send objects only, one a message.", _is_json),
    _all("envelope.version", "4.1", "`version` is the text \"2\".",
         "A text, not a number.", _version),
    _all("envelope.id", "4.1", "`id` is the session id.",
         "Take it from the header of this connection.", _id),
    Clause("envelope.id-spelling", "4.3", "`id` is echoed as it was spelled.",
           "Do not rewrite its letters.", _upper_case, level="should"),
    _all("envelope.type", "5.1", "`type` is one of those that servers send.",
         "Servers never send `ping`, `error`, `close`, `paused` or types of their own.", _type),
    _all("envelope.parameters", "4.1", "`parameters` is always there, and an object.",
         "Send {} where there is nothing to say.", _parameters),
    _all("envelope.empty", "5.4", "`pong`, `closed`, `updated`, `pause` and `resume` carry no "
         "parameters.", "Send {}; output variables belong into `disconnect`.", _empty),
    _all("envelope.fields", "4.1", "The envelope holds nothing else, `position` and `serverseq` "
         "least of all.", "Leave out what the peer does not know.", _no_more, demanded=False),
    _all("envelope.size", "11.3", "A text message has 65,535 characters at most.",
         "Split events.", _size),
    _all("envelope.disconnect", "5.7", "The reason of `disconnect` is `completed`, "
         "`unauthorized` or `error`; what else it carries is text.",
         "Put words of your own into `info`.", _disconnect),
    Clause("envelope.disconnect-once", "5.7", "`disconnect` is said once a session at most.",
           "Remember that it was said.", _one_disconnect, judges_all=True),
    _all("envelope.event", "5.13", "`event` has at least one entity, each with a type.",
         "Do not send empty events.", _event),
    Clause("numbers.seq", "4.2", "`seq` counts the server's text messages from 1, without gap.",
           _ONE_PLACE, _in_order, judges_all=True),
    _all("numbers.clientseq", "4.2", "`clientseq` is a number that the client has sent.",
         "Take it from the last message that was accepted.", _clientseq),
    Clause("numbers.clientseq-grows", "4.2", "`clientseq` does not go back.",
           "Keep the highest number.", _never_back, judges_all=True),
    Clause("numbers.clientseq-counts", "4.2", "`clientseq` is the highest number that was "
           "processed.", "Count every text message of the client, and no binary one.",
           _counts_all),
    Clause("numbers.pong", "4.2", "The `clientseq` of a `pong` is the `seq` of its `ping`.",
           "Answer pings one by one, in the order in which they came.", _pairs, judges_all=True),
)  # fmt: skip
