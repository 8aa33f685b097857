"""The page with calls that nobody makes: states that a real gateway reaches only in trouble."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from bench.console.calls import ENDED, FakeCall
from bench.console.fake import STATIC, FakeGateway
from bench.console.script import Script
from console.looking import imagined, looking_at

PAGES = (
    "",
    "#/calls/{session}",
    "#/latencies",
    "#/sinks",
    "#/recordings",
    "#/recordings/recording/3f1c/2026-01-31/120501Z-a",
)
HOSTILE = (
    '<img src=x onerror="document.title=1"><script>alert(1)</script>${7*7} javascript:alert(1)'
)


def first(gateway: FakeGateway) -> FakeCall:
    return gateway.live[1]


@pytest.mark.parametrize(("size", "scheme"), [("desk", "light"), ("phone", "dark")])
def test_every_page_fits_and_says_nothing_to_the_console(run: Any, size: str, scheme: str) -> None:
    async def story() -> None:
        gateway = FakeGateway(60, losing=True)
        async with imagined(gateway) as url, looking_at(url, size, color_scheme=scheme) as look:
            for path in PAGES:
                await look.page.goto(url + path.format(session=first(gateway).session))
                await look.page.locator(".call, .sheet").first.wait_for()
                wide = await look.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{path or '/'} is {wide} px too wide"
                nameless = await look.page.evaluate(NAMELESS)
                assert nameless == [], path

    run(story())


def test_audio_that_is_being_dropped_is_red_and_said_aloud(run: Any) -> None:
    async def story() -> None:
        async with imagined(FakeGateway(30, losing=True)) as url, looking_at(url) as look:
            alarm = look.page.get_by_role("alert").filter(has_text="Audio is being dropped")
            await alarm.wait_for()
            assert "pcm lost 6 s of audio in 5 s" in await alarm.inner_text()
            assert "dropping" in await look.page.title()
        async with imagined(FakeGateway(30)) as url, looking_at(url) as look:
            await look.page.locator(".call").first.wait_for()
            assert await look.page.get_by_text("Audio is being dropped").count() == 0

    run(story())


def test_what_needs_attention_comes_first_and_filters_count_what_they_show(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(300, churn=False)
        async with imagined(gateway) as url, looking_at(url) as look:
            await look.page.locator(".reason.critical").first.wait_for()
            by_session = {call.session: call.attention for call in gateway.live.values()}
            rows = await look.page.locator(".call").evaluate_all(
                """rows => rows.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
                    .map(row => row.dataset.session)"""
            )
            shown = [by_session[session] for session in rows]
            assert shown == sorted(by_session.values(), reverse=True)[: len(shown)]
            assert len(rows) < 60, "only what is on screen exists"
            for name in ("deadAir", "paused", "hits"):
                wanted = await look.number(f"[data-filter={name}] b")
                await look.page.locator(f"[data-filter={name}]").click()
                await look.page.get_by_text(f"{wanted} shown of 300").wait_for()

    run(story())


def test_what_has_ended_is_counted_as_that_alone_and_amber_is_what_needs_a_look(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(24, churn=False)
        for number in (2, 3, 4):
            gateway.live[number].flags = ENDED
            gateway.live[number].worst_hit = 3
        gateway.live[5].worst_hit = 3
        async with imagined(gateway) as url, looking_at(url) as look:
            await look.page.locator(".call").nth(23).wait_for()
            await look.page.get_by_text("24 shown of 24, 3 of them ended").wait_for()
            live = [call for call in gateway.live.values() if not call.flags & ENDED]
            assert await look.number("[data-filter=live] b") == len(live)
            assert await look.number("[data-filter=ended] b") == 3
            critical = sum(call.worst_hit == 3 for call in live)
            assert await look.number("[data-filter=hits] b") == critical
            amber = await look.page.locator(".reason.warning, .reason.critical").count()
            assert await look.number("[data-filter=attention] b") == amber > 0
            for name in ("live", "ended", "attention", "hits"):
                wanted = await look.number(f"[data-filter={name}] b")
                await look.page.locator(f"[data-filter={name}]").click()
                await look.page.get_by_text(f"{wanted} shown of 24").wait_for()

    run(story())


def test_one_comes_from_the_search_to_the_rows_by_keys(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(30, churn=False)
        session = first(gateway).session
        async with imagined(gateway) as url, looking_at(url) as look:
            await look.page.locator(".call").nth(20).wait_for()
            press = look.page.keyboard.press
            for key in ("ArrowDown", "Enter"):
                await press("/")
                await look.page.keyboard.type(session[:8])
                await look.page.get_by_text("1 shown of 30").wait_for()
                await press(key)
                await look.page.locator(
                    f".rows:focus [aria-selected=true][data-session='{session}']"
                ).wait_for()
            await press("/")
            await press("Escape")
            await look.page.get_by_text("30 shown of 30").wait_for()
            assert await look.page.locator("#search").input_value() == ""
            await press("ArrowDown")
            await look.page.locator(".rows:focus [aria-selected=true]").wait_for()

    run(story())


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_why_the_gateway_is_not_ready_is_said_beside_the_pages(run: Any, size: str) -> None:
    async def story() -> None:
        gateway = FakeGateway(3, failing={"loop-lag": "0.12, limit 0.10"})
        async with imagined(gateway) as url, looking_at(url, size) as look:
            pill = look.page.locator(".bar .pill.critical")
            await pill.wait_for()
            assert "new calls are refused, the event loop is 120 ms late" in await pill.inner_text()
            assert await look.page.evaluate(COVERED) == []

    run(story())


def test_what_peers_say_is_only_ever_text(run: Any) -> None:
    hostile = dict.fromkeys(("text", "name", "engine"), HOSTILE) | {"evidence": [HOSTILE]}

    class Hostile(Script):
        def events(self, now: float) -> list[dict[str, Any]]:
            return [
                {**event, "details": {**event["details"], **hostile}}
                for event in super().events(now)
            ]

    async def story() -> None:
        gateway = FakeGateway(5)
        call = first(gateway)
        call.script = Hostile(call.script.opened)  # type: ignore[union-attr]
        async with imagined(gateway) as url, looking_at(f"{url}#/calls/{call.session}") as look:
            await look.page.locator(".transcript li").first.wait_for()
            said = await look.texts(".transcript li > span:nth-of-type(1)")
            assert said
            assert set(said) == {HOSTILE}
            assert (
                await look.page.locator(
                    "#app img, #app script, #app iframe, #app [onerror]"
                ).count()
                == 0
            )

    run(story())


def test_a_call_is_found_opened_and_left_by_keys_alone(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(80, churn=False)
        async with imagined(gateway) as url, looking_at(url) as look:
            await look.page.locator(".call").nth(20).wait_for()
            press = look.page.keyboard.press
            await press("ArrowDown")
            await press("j")
            chosen = look.page.locator(".call[aria-selected=true]")
            session = await chosen.get_attribute("data-session")
            active = await look.page.get_by_role("grid").get_attribute("aria-activedescendant")
            assert active == await chosen.get_attribute("id")
            await press("Enter")
            await look.page.locator(f"h1 [title='{session}']").wait_for()
            await press("Escape")
            await press("/")
            await look.page.locator("#search:focus").wait_for()
            await look.page.keyboard.type(first(gateway).session[:8])
            await look.page.get_by_text("1 shown of 80").wait_for()
            await press("Escape")
            await press("?")
            await look.page.get_by_role("dialog", name="Keys").wait_for()

    run(story())


def test_a_moment_of_the_transcript_is_shown_on_the_timeline(run: Any) -> None:
    async def story() -> None:
        gateway = FakeGateway(5)
        async with (
            imagined(gateway) as url,
            looking_at(f"{url}#/calls/{first(gateway).session}") as look,
        ):
            await look.page.locator(".transcript li").nth(4).wait_for()
            canvas = look.page.locator(".timeline canvas")
            before = await canvas.evaluate("canvas => canvas.toDataURL()")
            await look.page.get_by_role("button", name="15 s").click()
            await look.page.get_by_label("Show 0:05.0 on the timeline").click()
            await look.page.wait_for_function(
                "before => document.querySelector('.timeline canvas').toDataURL() !== before",
                arg=before,
            )

    run(story())


def test_pieces_of_an_envelope_replace_what_was_there_and_nothing_beside_it(run: Any) -> None:
    async def story() -> None:
        async with imagined(FakeGateway(1)) as url, looking_at(url) as look:
            assert await look.page.evaluate(ENVELOPE_LAW) is None

    run(story())


def test_vendored_files_are_those_that_their_authors_published() -> None:
    vendor = STATIC / "vendor"
    digests = dict(
        re.findall(
            r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$",
            (vendor / "README.md").read_text(),
            re.MULTILINE,
        )
    )
    code = {path.name for path in vendor.iterdir() if path.suffix in {".js", ".css"}}
    assert digests.keys() == code
    for name, digest in digests.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name
    assert {path.name for path in vendor.glob("LICENSE.*")} == {
        "LICENSE.htm",
        "LICENSE.preact",
        "LICENSE.uPlot",
    }


def own_scripts() -> list[Path]:
    return sorted(STATIC.glob("*.js"))


@pytest.mark.parametrize("path", own_scripts(), ids=lambda path: path.name)
def test_own_scripts_keep_the_laws_of_the_house(path: Path) -> None:
    text = path.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(", text
    )
    assert not re.search(r"https?://(?!www\.w3\.org)", text), "works where there is no network"
    assert text.startswith("// "), "says what it is"
    assert len(text.splitlines()) <= 400
    assert not re.search(r"manager|handler|util|helper|(^|_)(data|info)$", path.stem)


NAMELESS = """() => {
  const named = "button, input, a[href], [role=img], [role=grid], audio";
  const name = (one) => one.innerText?.trim() || one.ariaLabel || one.title;
  return [...document.querySelectorAll(named)]
    .filter((one) => !name(one))
    .map((one) => one.outerHTML.slice(0, 80));
}"""
"""What a screen reader could not name."""
COVERED = """() => [...document.querySelectorAll(".bar nav a")].filter((tab) => {
  const { left, right, top, bottom } = tab.getBoundingClientRect();
  const y = (top + bottom) / 2;
  return [left + 2, right - 2].some((x) => document.elementFromPoint(x, y)?.closest("a") !== tab);
}).map((tab) => tab.innerText)"""
"""Pages that something lies upon, or that are cut."""
ENVELOPE_LAW = """async () => {
  const { Envelope } = await import("/static/story.js");
  let seed = 1;
  const below = (limit) => (seed = (seed * 1103515245 + 12345) % 2147483648) % limit;
  for (let run = 0; run < 500; run += 1) {
    const [envelope, truth] = [new Envelope(), []];
    for (let id = 0; id < 12; id += 1) {
      const [position, samples] = [below(60), 1 + below(25)];
      envelope.put({ position, samples, flags: 0, id });
      for (let at = position; at < position + samples; at += 1) truth[at] = id;
    }
    for (let at = 0; at < 90; at += 1) {
      const piece = envelope.pieces[envelope.at(at)];
      const isInside = piece && piece.position <= at && at < piece.position + piece.samples;
      if ((isInside ? piece.id : undefined) !== truth[at]) return `run ${run}, position ${at}`;
    }
  }
  return null;
}"""
"""Any pieces in any order: of every sample is known what came last."""
