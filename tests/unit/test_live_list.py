"""The live list as the feed tells it."""

from __future__ import annotations

import re
import struct
from importlib.resources import files

from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.terminal.attention import REASONS, UNHAPPY
from earhook.terminal.live_list import FLAGS, LiveList, Row
from earhook.terminal.top_view import View, picture, still_picture

STATE = "<IHBBbbHBBHIIIHH"


def records(kind: int, *rows: bytes, size: int | None = None) -> bytes:
    longest = size or (len(rows[0]) if rows else 8)
    return struct.pack("<BBHI", kind, 0, longest, len(rows)) + b"".join(rows)


def state(number: int, flags: int = 0, attention: int = 0, **own: int) -> bytes:
    names = ("worst", "external", "internal", "hits", "talk_external", "talk_internal",
             "interruptions", "position", "lost", "lag", "gaps", "talk_overs")  # fmt: skip
    unknown = {"external": -128, "internal": -128, "talk_external": 255, "talk_internal": 255}
    values = [own.get(name, unknown.get(name, 0)) for name in names]
    return struct.pack(STATE, number, flags, attention, *values)


def facts(number: int, opened: float = 0.0) -> dict[str, object]:
    return {"number": number, "session": f"call-{number}", "opened": opened, "rate": 8000}


def calls(*numbers: int, reset: bool = True, removed: tuple[int, ...] = ()) -> dict[str, object]:
    added = [facts(number, float(number)) for number in numbers]
    return {"type": "calls", "reset": reset, "added": added, "removed": list(removed)}


def test_a_state_is_read_as_the_page_describes_it() -> None:
    live = LiveList()
    live.take(calls(7))
    live.take(
        records(2, state(7, 0b1000000011, 200, worst=3, external=-50, hits=4, talk_internal=61,
                         position=12_500, lost=400, lag=20))
    )  # fmt: skip
    row = live.rows[7].as_json()
    assert row["flags"] == ["paused", "dropping", "transcribed"]
    assert row["worst_hit"] == "critical"
    assert row["sentiment"] == {"external": -0.5, "internal": None}
    assert row["talk_share"] == {"external": None, "internal": 0.61}
    assert (row["position_seconds"], row["lost_seconds"], row["lag_seconds"]) == (12.5, 0.4, 0.02)


def test_a_meter_is_decibels_and_two_marks() -> None:
    live = LiveList()
    live.take(calls(1))
    live.take(records(1, struct.pack("<I4B", 1, 128 + 127, 67, 0, 128)))
    external, internal = live.rows[1].meter
    assert (external.rms, external.speaks, external.peak, external.clips) == (0, True, -60, False)
    assert (internal.rms, internal.speaks, internal.peak, internal.clips) == (
        None,
        False,
        None,
        True,
    )


def test_the_first_picture_is_whole_once_every_row_has_its_state() -> None:
    live = LiveList()
    live.take({"type": "totals", "live": 2})
    assert not live.is_whole
    live.take(calls(1, 2))
    live.take(records(2, state(1)))
    assert not live.is_whole
    live.take(records(2, state(2)))
    assert live.is_whole


def test_what_a_later_gateway_says_besides_is_left_out() -> None:
    live = LiveList()
    live.take(calls(1, 2))
    longer = [state(number, attention=9) + b"new!" for number in (1, 2)]
    live.take(records(2, *longer))
    assert [row.state and row.state.attention for row in live.rows.values()] == [9, 9]
    live.take(records(9, b"\1\0\0\0"))
    live.take({"type": "weather"})
    live.take(records(2, state(77)))
    assert set(live.rows) == {1, 2}


def test_rows_come_and_go() -> None:
    live = LiveList()
    live.take(calls(1, 2))
    live.take(calls(3, reset=False, removed=(1,)))
    assert list(live.rows) == [2, 3]
    live.take(calls(4))
    assert list(live.rows) == [4]


def test_every_order_begins_with_what_it_is_named_after() -> None:
    live = LiveList()
    live.take(calls(1, 2, 3))
    live.take(
        records(2, state(1, external=-90), state(2, attention=50, hits=9), state(3, lost=5, lag=9))
    )

    def first(sort: str) -> int:
        return live.number_of(live.sorted_by(sort)[0])  # type: ignore[arg-type]

    wanted = {"attention": 2, "time": 1, "lost": 3, "lag": 3, "sentiment": 1, "hits": 2}
    assert {sort: first(sort) for sort in wanted} == wanted


@given(st.binary(max_size=200))
def test_no_bytes_of_a_feed_break_it(message: bytes) -> None:
    live = LiveList()
    live.take(calls(1))
    live.take(message)
    assert isinstance(live.rows[1], Row)


@given(
    st.integers(0, 1 << len(FLAGS)),
    st.integers(20, 250),
    st.integers(1, 80),
    st.text(max_size=60),
)
@settings(max_examples=20)
def test_any_size_of_terminal_has_a_picture(bits: int, width: int, height: int, name: str) -> None:
    from rich.console import Console

    live = LiveList()
    live.take(calls(*range(1, 40)))
    live.rows[1].facts = {**live.rows[1].facts, "session": name, "caller": name, "key": name}
    live.take(records(2, *(state(n, bits & 0xFFFF, n, hits=n, worst=9) for n in range(1, 40))))
    sink = {"name": name, "kind": "pcm-stream", "healthy": False, "detail": name, "dropped": 8}
    live.take({"type": "totals", "time": 1e9, "live": 39, "dropping": [name], "sinks": [sink]})
    view = View("http://127.0.0.1:1")
    view.move(live.sorted_by("attention"), 1_000_000)
    live.open(view.chosen)
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(picture(view, live, width, height))
        console.print(still_picture(view, live, width, 20))
    shown = capture.get().replace("\n", "")
    assert shown.isprintable()


def shown(live: LiveList, width: int, **view: object) -> list[str]:
    from rich.console import Console

    console = Console(width=width, height=40, color_system=None)
    with console.capture() as capture:
        console.print(picture(View("http://127.0.0.1:1", **view), live, width, 40))  # type: ignore[arg-type]
    return [line.rstrip() for line in capture.get().splitlines()]


def one_call(flags: int = 0, attention: int = 0, **own: int) -> LiveList:
    live = LiveList()
    live.take(calls(1))
    live.take(records(2, state(1, flags, attention, **own)))
    return live


def test_every_width_has_whole_columns_and_says_which_it_lacks() -> None:
    names = {"!", "session", "time", "customer", "agent", "talk", "mood", "hits", "lost", "lag",
             "caller", "key", "conversation", "attention"}  # fmt: skip
    live = one_call(flags=0b10, attention=120, lost=400)
    for width in range(30, 200):
        lines = shown(live, width)
        assert max(len(line) for line in lines) <= width
        there = set(lines[3].split())
        assert {"session", "attention"} <= there <= names
        lacking = " ".join(line for line in lines if "too narrow for" in line)
        assert bool(names - there) == bool(lacking)
        if width >= 120:
            assert all(name in lacking for name in names - there)
        assert any("dropping audio" in line for line in lines)


def test_the_columns_that_matter_are_there_at_the_usual_widths() -> None:
    live = one_call(lost=400, lag=2000)
    assert {"customer", "mood", "hits", "lost"} <= set(shown(live, 80)[3].split())
    assert {"talk", "lag"} <= set(shown(live, 100)[3].split())


def test_keys_that_are_named_are_named_whole_and_all_of_them_in_eighty_columns() -> None:
    footer = shown(one_call(), 80)[-1]
    assert footer == (
        "by attention  q quit  ↑↓ choose  enter open  esc close  space hold  atlgsh sort"
    )
    assert shown(one_call(), 120)[-1].endswith("atlgsh sort attention/time/lost/lag/sentiment/hits")
    assert shown(one_call(), 40)[-1] == "by attention  q quit  ↑↓ choose"


def test_what_has_ended_comes_last_in_every_order() -> None:
    live = LiveList()
    live.take(calls(1, 2))
    live.take(records(2, state(1, 0b100, 200, lost=9, lag=9, hits=9, external=-90), state(2)))
    for sort in ("attention", "time", "lost", "lag", "sentiment", "hits"):
        assert [live.number_of(row) for row in live.sorted_by(sort)] == [2, 1]


def test_the_pane_of_a_call_is_in_the_order_of_its_time() -> None:
    live = one_call()
    live.open("call-1")
    told = [
        {"type": "tone", "position": position, "details": {"at": position}}
        for position in (8000, 24_000, 16_000)
    ]
    live.take({"type": "events", "session": "call-1", "events": told})
    times = [line.split()[0] for line in shown(live, 80) if "at=" in line]
    assert times == ["0:01.0", "0:02.0", "0:03.0"]


def test_what_is_the_matter_is_said_in_the_words_of_the_console() -> None:
    script = files("earhook.console").joinpath("static/attention.js").read_text()
    table = script.partition("REASONS = [")[2].partition("];")[0]
    told = re.findall(r'words: "([^"]+)", grade: "([^"]*)"', table)
    assert [(reason.words, reason.is_grave) for reason in REASONS] == [
        (words, grade != "") for words, grade in told
    ]
    assert f"sentiment < {UNHAPPY:g}," in table
    assert ", 1 needs a look" in shown(one_call(0b10, 1), 100)[0]
    assert "need" not in shown(one_call(0b100, 200), 100)[0]
