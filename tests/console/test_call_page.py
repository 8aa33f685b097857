"""What the pages of one call and of one recording say, with calls that nobody makes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bench.console.calls import ENDED, FakeCall
from bench.console.fake import FakeGateway
from bench.console.script import RATE, Script
from console.looking import Look, imagined, looking_at, words_at

RECORDING = "#/recordings/recording/3f1c/2026-01-31/120501Z-a"


def first(gateway: FakeGateway, script: Script) -> FakeCall:
    call = gateway.live[1]
    call.script = script
    return call


def event(seconds: float, kind: str, **details: Any) -> dict[str, Any]:
    return {"type": kind, "position": int(seconds * RATE), "details": details}


class Scripted(Script):
    """Events of a test instead of its own."""

    def __init__(self, *events: dict[str, Any], lasted: float = 42.0) -> None:
        super().__init__(time.time() - lasted)
        self._events = [{**one, "time": self.opened} for one in events]

    def events(self, now: float) -> list[dict[str, Any]]:
        return self._events


class EndedInAPause(Scripted):
    """Paused at 0:20, closed at 0:30: its stream stands where the pause began."""

    def __init__(self) -> None:
        super().__init__(event(20, "paused", by="peer"))

    def seconds(self, now: float) -> float:
        return 20.0

    def answer(self, now: float) -> dict[str, Any]:
        outcome = {"reason": "completed", "duration_seconds": 30.0}
        return {
            **super().answer(now),
            "state": "ended",
            "outcome": outcome,
            "gaps": 0,
            "gap_spans": [],
        }


async def whole(look: Look) -> None:
    """Show all of the call."""
    await look.page.get_by_role("button", name="all", exact=True).click()


@pytest.mark.parametrize("kind", ["dead_air", "one_way"])
def test_a_silence_of_a_recording_ends_where_its_sidecar_says(run: Any, kind: str) -> None:
    class Silent(FakeGateway):
        async def _recording(self, request: Any) -> Any:
            answer = await super()._recording(request)
            if answer.content_type == "application/json":
                answer.text = answer.text.replace('"dead_air"', f'"{kind}"')
            return answer

    async def story() -> None:
        async with imagined(Silent(2)) as url, looking_at(f"{url}{RECORDING}") as look:
            await look.page.locator("audio").wait_for()
            words = kind.replace("_", " ")
            for seconds, is_silent in ((10.5, False), (15.5, True), (19.5, False), (38.5, False)):
                line = (await words_at(look, seconds, 42.0))[0]
                assert (words in line) == is_silent, line

    run(story())


def test_a_call_that_ended_in_a_pause_lasted_until_it_was_closed(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(2, churn=False)
        call = first(gateway, EndedInAPause())
        call.flags = ENDED
        async with imagined(gateway) as url, looking_at(f"{url}#/calls/{call.session}") as look:
            await look.page.locator(".lasts", has_text="0:30").wait_for()
            await look.page.get_by_text("1 pause, 0 gaps").wait_for()
            await whole(look)
            assert "paused" not in (await words_at(look, 15.5, 30.0))[0]
            assert "paused" in (await words_at(look, 27.5, 30.0))[0]

    run(story())


def test_talk_is_that_of_the_call_with_the_moment_beside_it(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(2, churn=False)
        call = first(gateway, Script(time.time() - 42))
        async with imagined(gateway) as url, looking_at(f"{url}#/calls/{call.session}") as look:
            sheet = look.page.get_by_label("Talk", exact=True)
            lines = {
                line.split("\t")[0]: line.split("\t")[1:]
                for line in await look.texts("[aria-label=Talk] tbody tr")
            }
            assert lines["Clipped"] == ["12 samples", "0 samples"]
            assert lines["Talk"] == ["48 %", "39 %"]
            assert lines["Level"] == ["\N{MINUS SIGN}24.5 dBFS", "\N{MINUS SIGN}26.5 dBFS"]
            assert lines["Level now"] == ["silent", "silent"]
            assert "the call so far" in await sheet.inner_text()

    run(story())


HITS = [
    event(5, "hit", rule="keys", name="Keys were pressed", severity="warning", channel="external",
          start=int(RATE * 4.5), end=RATE * 5, evidence=["2 keys were pressed"]),
    event(21, "hit", rule="late", name="Told first, was later", severity="warning", start=RATE * 20,
          end=RATE * 21, channel="external", evidence=["-0.47", "wrong AGAIN"]),
    event(5, "hit", rule="worse", name="A critical one", severity="critical",
          channel="external", start=int(RATE * 4.6), end=RATE * 5, evidence=[]),
    event(19, "transcript", segment="a", channel="external", start=RATE * 19, end=RATE * 21,
          text="it is wrong again", final=True),
    event(21, "sentiment", segment="a", channel="external", score=-0.5, rolling=-0.3),
    *(event(at, "dtmf", channel="external", digit="•", start=int(at * RATE), source="audio")
      for at in (4.5, 4.8, 5.1, 5.4)),
]  # fmt: skip


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_what_is_marked_is_told_apart_and_named(run: Any, size: str) -> None:
    async def story() -> None:
        gateway = FakeGateway(2, churn=False)
        call = first(gateway, Scripted(*HITS))
        url_of = f"#/calls/{call.session}"
        async with imagined(gateway) as url, looking_at(f"{url}{url_of}", size) as look:
            await look.page.locator(".hits li").nth(2).wait_for()
            await look.page.get_by_role("button", name="1 min").click()
            call.opened = call.script.opened  # type: ignore[union-attr]
            canvas = look.page.locator(".timeline canvas")
            await canvas.focus()
            await look.page.keyboard.press("Home")
            lines = await words_at(look, 4.5, 60.0)
            assert lines[1:] == ["⚑ Keys were pressed", "⚑ A critical one", "4 keys were pressed"]
            drawn: list[str] = await look.page.evaluate("window.drawn")
            assert "2" in drawn, "two flags that would cover each other are one, with their number"
            assert "••••" in drawn, "keys that would cover each other are one mark"
            assert {"+1", "0", "\N{MINUS SIGN}1"} <= set(drawn), "mood has a scale"
            for word in ("talk-over", "gap", "peak", "critical hit", "key pressed"):
                assert await look.page.locator(".legend", has_text=word).is_visible()

    run(story())


def test_rule_hits_stand_in_the_order_of_the_call_and_quote_only_what_was_said(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(2, churn=False)
        call = first(gateway, Scripted(*HITS))
        async with imagined(gateway) as url, looking_at(f"{url}#/calls/{call.session}") as look:
            await look.page.locator(".hits li").nth(2).wait_for()
            assert await look.texts(".hits li > button") == ["0:04", "0:04", "0:20"]
            assert await look.texts(".hits q") == ["wrong AGAIN"]

    run(story())


def test_audio_that_the_analysis_left_out_is_said(run: Any) -> None:
    late = event(30, "analysis", engine="fake", state="ended", dropped_seconds=12.4)

    async def story() -> None:
        gateway = FakeGateway(2, churn=False)
        call = first(gateway, Scripted(*HITS, late))
        async with imagined(gateway) as url, looking_at(f"{url}#/calls/{call.session}") as look:
            await look.page.get_by_text("12.4 s of audio left out").wait_for()

    run(story())
