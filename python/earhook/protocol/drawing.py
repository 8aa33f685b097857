"""The page that shows the tables: what `docs/protocol/states.md` must say."""

from __future__ import annotations

from collections.abc import Sequence

from .settings import Timeouts
from .states import MOVES, SENDS, Act, Input, Move, Sendable, State
from .timers import TIMERS, seconds_of

__all__ = ["mermaid", "states_page"]


def states_page() -> str:
    """Write the whole page from the tables."""
    return f"""# States of a session

Made by `earhook.protocol.drawing` from the tables that the program runs on; not to be edited.
The clauses behind it are §13.1 of [audiohook.md](audiohook.md).

```mermaid
{mermaid()}
```

## What each input does

A cell names the act, and after an arrow the state that follows where it is another. An empty
cell ignores the input.

{_moves_table()}

## What may be sent

Events that wait while disconnecting go out in closing. Anything else that a state forbids is
dropped before it gets a number.

{_sends_table()}

## How long a state may last

Every state has one timer. With default settings:

{_timers_table()}
"""


def mermaid() -> str:
    """Draw the moves between different states as a Mermaid diagram."""
    causes: dict[tuple[State, State], list[str]] = {}
    for cause, row in MOVES.items():
        for before, move in row.items():
            if move.state is not before:
                causes.setdefault((before, move.state), []).append(cause.value)
    lines = ["stateDiagram-v2", f"    [*] --> {State.CONNECTED}"]
    lines += [
        f"    {before} --> {after}: {' / '.join(words)}"
        for (before, after), words in causes.items()
    ]
    lines.append(f"    {State.DEAD} --> [*]")
    return "\n".join(lines)


def _moves_table() -> str:
    rows = [
        [cause.value, *(_cell(row[state], state) for state in State)]
        for cause, row in MOVES.items()
    ]
    return _table(["input", *State], rows)


def _cell(move: Move, before: State) -> str:
    act = "" if move.act is Act.IGNORE else move.act.value
    return act if move.state is before else f"{act} → {move.state}"


def _sends_table() -> str:
    def mark(sendable: Sendable, state: State) -> str:
        return "yes" if sendable in SENDS[state] else ""

    sendables: list[Sendable] = sorted({sendable for row in SENDS.values() for sendable in row})
    rows = [[str(item), *(mark(item, state) for state in State)] for item in sendables]
    return _table(["message", *State], rows)


def _timers_table() -> str:
    timeouts = Timeouts()
    rows = []
    for state, timer in TIMERS.items():
        if timer is not None:
            seconds = f"{seconds_of(timer, timeouts):g}"
            rows.append([state, timer, seconds, _cell(MOVES[Input.TIMER][state], state)])
    return _table(["state", "timer", "seconds", "then"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
