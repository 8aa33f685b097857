"""The page of a real gateway: what stands on the screen is what the API says."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from console.looking import figure, looking_at
from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.demo import speech
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import Pace, PeerCredential
from earhook.testing.sources import Source

SECRET = b"0123456789abcdef0123456789abcdef"


@asynccontextmanager
async def gateway_with(
    directory: Path,
    *,
    is_measuring: bool = True,
    memory_percent: float = 85.0,
    **admin: Any,
) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway and the URL of its page."""
    configuration = Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0, **admin},
            "console": {"recordings": True, "listen": True},
            "signal": {"enabled": is_measuring},
            "shedding": {"memory_percent": memory_percent},
            "keys": [{"api_key": "k", "secrets": [base64.b64encode(SECRET).decode()]}],
            "sinks": [
                {"kind": "recording", "directory": directory / "recordings"},
                {"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"},
            ],
        }
    )
    async with Gateway(configuration) as gateway:
        yield gateway, f"http://127.0.0.1:{gateway.admin_port}/"


async def place(gateway: Gateway, samples: int | None = None, pace: Pace | None = None) -> CallPeer:
    """One call with speech in it; left out how long, it goes on."""
    plan = CallPlan(
        source=Source(speech().codes),
        credential=PeerCredential("k", SECRET),
        pace=pace or Pace(limit_samples=samples),
    )
    peer = await CallPeer.connect(f"ws://127.0.0.1:{gateway.media_port}/audiohook", plan)
    await peer.opened()
    return peer


async def ask(url: str, path: str, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{url}{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json(content_type=None)


def seconds_said(samples: int) -> str:
    """As the page says lengths of time from one second to two minutes, and none."""
    return f"{round(samples / 8000, 1):g} s"


def test_the_list_and_a_live_call_are_what_the_api_says(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway_with(tmp_path) as (gateway, url):
            peers = [await place(gateway) for _ in range(3)]
            async with looking_at(url) as look:
                await look.page.locator(".call").nth(2).wait_for()
                answer = await ask(url, "api/v1/calls")
                rows = look.page.locator(".call")
                shown = await rows.evaluate_all("rows => rows.map(row => row.dataset.session)")
                assert sorted(shown) == sorted(call["session"] for call in answer["calls"])
                assert await look.number("[data-filter=live] b") == answer["total"] == 3
                assert await look.page.get_by_role("grid").get_attribute("aria-rowcount") == "4"

                session = peers[0].setup.session_id
                peers[0].secure_pause()
                await look.page.locator(
                    f"[data-session='{session}'] .reason", has_text="paused"
                ).wait_for()
                peers[0].secure_resume()
                await look.page.locator(f"[data-session='{session}']").click()
                await look.page.locator(".ladder li", has_text="resumed").wait_for()
                call = await ask(url, f"api/v1/calls/{session}")
                steps = await look.texts(".ladder .rung > span > span + *, .ladder .rung > span")
                kinds = [step.split(":")[-1].strip() for step in steps]
                assert kinds == [
                    kind for _, _, kind in call["protocol"] if kind not in {"ping", "pong"}
                ]
                assert call["caller"] in await look.page.locator(".title").last.inner_text()

    run(story())


def test_a_gateway_under_strain_says_so_on_its_page(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            gateway_with(tmp_path, memory_percent=1e-6) as (_, url),
            looking_at(url) as look,
        ):
            pill = look.page.locator(".bar .pill.critical")
            await pill.wait_for()
            assert "% of the memory is used" in await pill.inner_text()

    run(story())


def test_books_latencies_and_recordings_are_what_the_api_says(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with gateway_with(tmp_path) as (gateway, url):
            peers = [await place(gateway, samples) for samples in (8000, 16_000)]
            for peer in peers:
                await peer.finished()
            await until(lambda: not gateway.hub.snapshot().live)
            async with looking_at(f"{url}#/sinks") as look:
                await look.page.locator("table[data-sink=recording]").wait_for()
                for sink in (await ask(url, "api/v1/sinks"))["sinks"]:
                    cells = look.page.locator(
                        f"table[data-sink='{sink['name']}'] tr:last-child td.number"
                    )
                    exact = await cells.evaluate_all("cells => cells.map((cell) => cell.title)")
                    said = await cells.all_inner_texts()
                    books = sink["books"]
                    expected = [
                        books["received"],
                        books["forwarded"],
                        books["buffered"],
                        sum(books["dropped"].values()),
                    ]
                    assert [figure(one.split("samples")[0]) for one in exact[:4]] == expected
                    assert said[:2] == [seconds_said(samples) for samples in expected[:2]]

                session = peers[1].setup.session_id
                await look.page.goto(f"{url}#/calls/{session}")
                await look.page.get_by_label("Books").get_by_text("recording").wait_for()
                call = await ask(url, f"api/v1/calls/{session}")
                for name, books in call["sinks"].items():
                    row = look.page.get_by_label("Books").locator(
                        "tr", has=look.page.get_by_role("rowheader", name=name)
                    )
                    cells = await row.locator("td.number").all_inner_texts()
                    assert cells[:2] == [
                        seconds_said(books["received"]),
                        seconds_said(books["forwarded"]),
                    ]
                    assert "balances" in await row.inner_text()

                await look.page.goto(f"{url}#/latencies")
                name = "earhook_opened_latency_seconds"
                await look.page.locator(f"[data-histogram={name}]").wait_for()
                histogram = (await ask(url, "api/v1/latencies"))["histograms"][name]
                assert (
                    await look.number(f"[data-histogram={name}] dd")
                    == sum(histogram["counts"])
                    == 2
                )

    run(story())


def test_a_recording_is_listed_drawn_and_played(run: Any, until: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway_with(tmp_path) as (gateway, url):
            peer = await place(gateway, 16_000)
            await peer.finished()
            await until(lambda: list(tmp_path.rglob("*.wav")))
            async with looking_at(f"{url}#/recordings") as look:
                await look.page.locator(".pick tbody tr", has_text="complete").click()
                audio = look.page.locator("audio")
                await audio.evaluate(LOADED)
                assert await audio.evaluate("audio => audio.duration") == pytest.approx(
                    2.0, abs=0.001
                )
                assert await audio.evaluate(PLAYED) == pytest.approx(2.0, abs=0.05)
                blue = await look.page.locator(".timeline canvas").evaluate(COLOURED)
                assert blue > 200, "the envelope of two seconds of speech is drawn"

    run(story())


@pytest.mark.parametrize("is_measured", [True, False])
def test_a_page_that_is_opened_late_shows_how_loud_the_call_was_before(
    run: Any, until: Any, tmp_path: Path, *, is_measured: bool
) -> None:
    async def story() -> None:
        async with gateway_with(tmp_path, is_measuring=is_measured) as (gateway, url):
            peer = await place(gateway, pace=Pace(speed=10.0, limit_samples=160_000, at_end="hang"))
            # Ten times as much as the ring holds.
            await until(lambda: peer.record.samples_sent == 160_000)
            async with looking_at(f"{url}#/calls/{peer.setup.session_id}") as look:
                await look.page.get_by_role("button", name="all", exact=True).click()
                canvas = look.page.locator(".timeline canvas")
                width = await canvas.evaluate(SAYING)
                for place_of, is_known in ((0.2, is_measured), (0.97, True)):
                    await canvas.hover(position={"x": width * place_of, "y": 40})
                    await look.page.wait_for_function(SAID, arg=is_known)
            peer.abort()

    run(story())


def test_a_token_is_asked_for_once_and_a_live_call_can_be_heard(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        token = "0123456789abcdef-token"
        async with gateway_with(tmp_path, token=token) as (gateway, url):
            peer = await place(gateway)
            async with looking_at(url) as look:
                await look.page.get_by_label("Token").fill("not this one")
                await look.page.keyboard.press("Enter")
                await look.page.get_by_text("not accepted").wait_for()
                await look.page.get_by_label("Token").fill(token)
                await look.page.keyboard.press("Enter")
                await look.page.locator(".call").click()
                await look.page.get_by_role("button", name="Listen live").click()
                await look.page.get_by_text("listening; this is logged").wait_for()
                await look.page.get_by_role("button", name="Stop listening").click()
                assert token not in look.page.url
                assert await look.page.evaluate("JSON.stringify(localStorage)") == "{}"
                refusals = [text for text in look.complaints if "401" in text]
                look.complaints = [text for text in look.complaints if text not in refusals]
                assert refusals, "the browser itself notes an answer of 401"
            peer.abort()

    run(story())


LOADED = """audio => audio.duration ||
  new Promise((done) => { audio.ondurationchange = () => done(audio.duration); })"""
PLAYED = """audio => new Promise((done) => {
  audio.onended = () => done(audio.currentTime);
  audio.play();
})"""
"""Where it stood when it had ended by itself."""
COLOURED = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let blue = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at + 2] > 180 && data[at] < 140) blue += 1;
  return blue;
}"""
"""How many pixels of the timeline have the customer's colour."""
SAYING = """canvas => {
  const say = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    if (/^[0-9]+:[0-9]{2}[.][0-9]/.test(text)) window.said = text;
    return say.call(this, text, ...place);
  };
  return canvas.clientWidth;
}"""
"""From now on it keeps what it says of the moment under the pointer; gives its width."""
SAID = """isKnown => {
  const { said } = window;
  if (said === undefined || said.includes("Customer") !== isKnown) return false;
  delete window.said;
  return true;
}"""
"""Whether it has said how loud that was, or that nobody knows."""
