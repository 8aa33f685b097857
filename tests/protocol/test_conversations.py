"""Scripted sessions that read like transcripts; each file says what it shows.

A line is who, then what:

    #  anything                a comment
    =  {"start_paused": true}  settings, before anything else
    C  {json}                  the peer sends text; "…" as id is the session's id
    C  type {json}             the same, with the envelope filled in
    C  5 x 3200 B              the peer sends binary frames
    C  hangs up                the socket is lost
    W  pause                   the house wishes (pause, resume, finish, drain, barge-in,
                               play 800, disconnect {json}, event {json})
    T  1.5                     seconds pass
    S  {json}                  we send exactly this text
    S  type {json}             the same, with the envelope as it must be
    S  3200 B                  we send a binary frame
    S  closes 1000 / aborts    what we do to the socket
    E  Paused position=8000    an event with these fields
    P  PT3.1S                  where the stream clock stands

After every line that does something, the replies and the events that it caused must be
exactly the S and E lines that follow, each kind in its order.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from earhook.protocol import commands
from earhook.protocol.commands import Command
from earhook.protocol.events import Event
from earhook.protocol.messages import DisconnectReason, Entity
from earhook.protocol.position import format_samples
from earhook.protocol.replies import AbortSocket, CloseSocket, Reply, SendAudio, SendText
from earhook.protocol.settings import SessionSettings

FOLDER = Path(__file__).parent / "conversations"
FILES = sorted(FOLDER.glob("*.txt"))
SIMPLE: dict[str, Command] = {
    "pause": commands.Pause(),
    "resume": commands.Resume(),
    "finish": commands.Finish(),
    "drain": commands.Drain(),
    "barge-in": commands.BargeIn(),
}


class Script:
    """Plays one file against one session."""

    def __init__(self, make: Callable[..., Any], lines: list[str]) -> None:
        settings = {}
        if lines and lines[0].startswith("="):
            settings = orjson.loads(lines.pop(0)[1:])
        self.talk = make(SessionSettings(**settings))
        self.lines = lines
        self.replies: list[Reply] = []
        self.events: list[Event] = []

    def play(self) -> None:
        for line in self.lines:
            who, what = line[0], line[1:].strip()
            if who in "CWT":
                self.nothing_is_left(line)
            {
                "C": self.peer,
                "W": self.wish,
                "T": lambda text: self.talk.wait(float(text)),
                "S": self.reply,
                "E": self.event,
                "P": self.position,
            }[who](what)
            self.replies += self.talk.replies[self.seen("replies") :]
            self.events += self.talk.events[self.seen("events") :]
        self.nothing_is_left("the end")

    def seen(self, name: str) -> int:
        already = getattr(self, f"_{name}", 0)
        setattr(self, f"_{name}", len(getattr(self.talk, name)))
        return already

    def nothing_is_left(self, line: str) -> None:
        assert not self.replies, f"not in the script before {line!r}: {self.replies}"
        assert not self.events, f"not in the script before {line!r}: {self.events}"

    def peer(self, what: str) -> None:
        frames = re.fullmatch(r"(\d+) x (\d+) B", what)
        if what == "hangs up":
            self.talk.hang_up()
        elif frames is not None:
            self.talk.audio(*[int(frames[2])] * int(frames[1]))
        elif what.startswith("{"):
            message = orjson.loads(what)
            message["id"] = message["id"].replace("…", self.talk.SESSION)
            self.talk.seq = message["seq"]
            self.talk.say_raw(message)
        else:
            type_name, _, parameters = what.partition(" ")
            self.talk.say(type_name, **orjson.loads(parameters or "{}"))

    def wish(self, what: str) -> None:
        word, _, rest = what.partition(" ")
        if word == "play":
            command: Command = commands.Play(bytes(int(rest)))
        elif word == "disconnect":
            given = orjson.loads(rest)
            command = commands.Disconnect(
                DisconnectReason(given["reason"]), given.get("info"), given.get("outputVariables")
            )
        elif word == "event":
            given = orjson.loads(rest)
            command = commands.RelayEvent((Entity(given["type"], given["data"]),))
        else:
            command = SIMPLE[word]
        self.talk.wish(command)

    def reply(self, what: str) -> None:
        assert self.replies, f"the script expects {what!r}, and nothing was sent"
        reply = self.replies.pop(0)
        match reply:
            case SendText(payload):
                sent = orjson.loads(payload)
                assert sent["id"] == self.talk.SESSION
                if what.startswith("{"):
                    assert {**sent, "id": "…"} == orjson.loads(what)
                else:
                    type_name, _, parameters = what.partition(" ")
                    assert sent["type"] == type_name
                    assert sent["parameters"] == orjson.loads(parameters or "{}")
            case SendAudio(payload):
                assert what == f"{len(payload)} B"
            case CloseSocket(code):
                assert what == f"closes {code}"
            case AbortSocket():
                assert what == "aborts"

    def event(self, what: str) -> None:
        assert self.events, f"the script expects {what!r}, and nothing happened"
        event = self.events.pop(0)
        name, *fields = what.split(" ")
        assert name == type(event).__name__
        for field in fields:
            path, _, expected = field.partition("=")
            assert shown(event, path) == expected, path

    def position(self, what: str) -> None:
        assert format_samples(self.talk.session.position) == what


def shown(value: Any, path: str) -> str:
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    if isinstance(value, enum.IntEnum):
        return value.name.lower()
    return str(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_conversation(path: Path, talk: Callable[..., Any]) -> None:
    lines = [line.strip() for line in path.read_text().splitlines()]
    Script(talk, [line for line in lines if line and not line.startswith("#")]).play()


def test_the_four_traces_of_the_protocol_are_among_them() -> None:
    names = {path.stem for path in FILES}
    assert {"15.1-monitor", "15.2-audio-connector", "15.3-probe", "15.4-refusal"} <= names
