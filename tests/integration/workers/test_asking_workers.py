"""One admin port and one reload for several workers, some of which do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from prometheus_client import generate_latest

from earhook.config.schema import Configuration
from earhook.control.admin import CallList, Check
from earhook.control.reload import Part, Reloader
from earhook.control.view import GatewayView
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.readings import Readings
from earhook.workers import reloading as reloading_module
from earhook.workers import sum as sum_module
from earhook.workers.answers import Answers
from earhook.workers.channel import Channel, socket_pair
from earhook.workers.link import WorkerLink
from earhook.workers.reloading import Around, Reloading
from earhook.workers.sum import Sum

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Worker:
    """The gateway of one worker, as far as its parent can see; in this process."""

    def __init__(self, generation: int, slot: int) -> None:
        ours, theirs = socket_pair()
        process = cast("Any", SimpleNamespace(pid=1000 + generation))
        self.link = WorkerLink(generation, process, Channel(ours), slot=slot, serves=True)
        self.channel = Channel(theirs)
        self.hub = SimpleNamespace(live_calls=generation)
        self.opened = 0.0
        self.failing: dict[str, str] = {}
        self.sinks: list[dict[str, Any]] = []
        self.in_service = Configuration()
        self.fault: ConfigurationFault | None = None
        self.reloader = Reloader(Configuration, [Part(("*",), self._prepare)], _nothing, _keys)
        self.answers = Answers(self.channel, cast("GatewayView", self), slot)
        self.link.channel.start()
        self.channel.start()

    def stop(self) -> None:
        """As a process that is stopped: it reads nothing and says nothing."""
        asyncio.get_running_loop().remove_reader(vars(self.channel)["_end"].fileno())

    def go_on(self) -> None:
        self.channel.start()

    def close(self) -> None:
        self.channel.close()
        self.link.channel.close()

    def checks(self) -> list[Check]:
        return [
            Check(name, name not in self.failing, self.failing.get(name, ""))
            for name in ("stage", "sink:recording")
        ]

    def calls(self, offset: int, limit: int) -> CallList:
        generation = self.link.generation
        live = [{"session": f"{generation}-{n}", "opened": n + generation / 10} for n in range(3)]
        return CallList(3, live[offset : offset + limit])

    def sinks_as_json(self) -> list[dict[str, Any]]:
        return self.sinks

    def read(self, readings: Readings) -> None:
        readings.put("earhook_ready", float(not self.failing))
        readings.put("earhook_calls", 3)
        readings.put("earhook_calls_opened_total", self.opened)

    def _prepare(self, fresh: Configuration) -> Callable[[], None]:
        if self.fault is not None:
            raise ConfigurationError([self.fault])

        def commit() -> None:
            self.in_service = fresh

        return commit


def _nothing(_fresh: Configuration) -> list[str]:
    return []


def _keys(fresh: Configuration) -> dict[str, object]:
    return {"keys": len(fresh.keys)}


class House:
    """Some workers, and their parent's part."""

    def __init__(self, slots: int = 2) -> None:
        self.workers = [Worker(slot + 1, slot) for slot in range(slots)]
        self.sum = Sum(self.links, slots=slots)
        for worker in self.workers:
            self.sum.joined(worker.link)
        self.file = Configuration()
        self.replaced: list[int] = []
        self.reloading = Reloading(
            Configuration(),
            Around(
                lambda: self.file,
                self.links,
                lambda configuration, _generation: configuration,
                lambda _admin: lambda: None,
                lambda link: self.replaced.append(link.generation),
            ),
        )
        for worker in self.workers:
            self.reloading.content_for(worker.link.generation)

    def links(self) -> list[WorkerLink]:
        return [worker.link for worker in self.workers]

    async def figures(self) -> dict[str, float]:
        """The samples of one scrape that have no labels."""
        text = generate_latest(await self.sum.registry()).decode()
        lines = (line.split() for line in text.splitlines() if line.startswith("earhook"))
        return {name: float(value) for name, value in lines if "{" not in name}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.sum.stop()
        for worker in self.workers:
            worker.close()


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sum_module, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(reloading_module, "PREPARE_SECONDS", 0.2)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    lines: list[tuple[str, dict[str, Any]]] = []
    for level in ("info", "warning", "error"):
        for place in ("earhook.workers.reloading", "earhook.control.reload"):
            take = lambda event, **line: lines.append((event, line))  # noqa: E731
            monkeypatch.setattr(f"{place}._LOG.{level}", take)
    return lines


def test_all_of_them_answer_as_one(run: Run) -> None:
    async def story() -> None:
        async with House() as house:
            house.workers[0].opened, house.workers[1].opened = 5, 7
            figures = await house.figures()
            assert figures["earhook_calls"] == 6
            assert figures["earhook_calls_opened_total"] == 12
            assert figures["earhook_ready"] == 1
            assert figures["earhook_workers_unheard"] == 0
            found = await house.sum.calls(1, 3)
            assert found.total == 6
            assert [(call["session"], call["worker"]) for call in found.calls] == [
                ("2-0", 1),
                ("1-1", 0),
                ("2-1", 1),
            ]
            assert not found.unheard

    run(story())


def test_a_silent_one_is_named_and_what_it_counted_stands(run: Run) -> None:
    async def story() -> None:
        async with House() as house:
            first, second = house.workers
            first.opened, second.opened = 5, 7
            assert (await house.figures())["earhook_calls_opened_total"] == 12
            second.stop()
            first.opened, second.opened = 6, 8
            figures = await house.figures()
            assert figures["earhook_calls_opened_total"] == 13
            assert figures["earhook_calls"] == 3
            assert figures["earhook_workers_unheard"] == 1
            assert (await house.sum.calls(0, 100)).unheard == [1]
            assert (await house.sum.sinks()).unheard == [1]
            workers = (await house.sum.checks())[0]
            assert workers == Check("workers", True, "1 of 2 ready; worker 1: no answer")
            second.go_on()
            assert (await house.figures())["earhook_calls_opened_total"] == 14

    run(story())


def test_the_dead_are_counted_for_ever_and_to_their_last_word(run: Run, until: Any) -> None:
    async def story() -> None:
        async with House() as house:
            first, second = house.workers
            first.opened, second.opened = 5, 7
            await house.figures()
            second.opened = 9
            second.answers.say_goodbye()
            first.opened = 6
            await until(lambda: _opened(house) == 9)
            house.workers.remove(second)
            second.close()
            assert (await house.figures())["earhook_calls_opened_total"] == 15
            first.stop()
            house.workers.remove(first)
            first.close()
            figures = await house.figures()
            assert figures["earhook_calls_opened_total"] == 15
            assert figures["earhook_ready"] == 0
            assert "earhook_calls" not in figures
            assert not (await house.sum.checks())[0].passes

    run(story())


def test_what_a_killed_one_counted_is_known_though_nobody_scrapes(
    run: Run, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with House() as house:
            house.sum.start()
            killed = house.workers[1]
            killed.opened = 7
            await until(lambda: _opened(house) == 7)
            killed.opened = 9  # and dies before it is asked again: these two are not known
            killed.stop()
            house.workers.remove(killed)
            killed.close()
            assert (await house.figures())["earhook_calls_opened_total"] == 7

    monkeypatch.setattr(sum_module, "REFRESH_SECONDS", 0.02)
    run(story())


def _opened(house: House) -> float:
    """What is known of the second worker."""
    last = house.sum.as_json()["last"].get("2", {"numbers": {}})
    return float(last["numbers"].get("earhook_calls_opened_total", [[[], 0]])[0][1])


def test_who_asks_at_the_same_time_gets_the_same_answer(run: Run) -> None:
    async def story() -> None:
        async with House() as house:
            asked = 0
            read = house.workers[0].read

            def counted(readings: Readings) -> None:
                nonlocal asked
                asked += 1
                read(readings)

            house.workers[0].read = counted  # type: ignore[method-assign]
            await asyncio.gather(*(house.sum.registry() for _ in range(50)))
            assert asked == 1

    run(story())


def test_ready_while_one_is(run: Run) -> None:
    async def story() -> None:
        async with House() as house:
            house.workers[0].failing = {"sink:recording": "disk full"}
            checks = {check.name: check for check in await house.sum.checks()}
            assert all(check.passes for check in checks.values())
            assert checks["workers"].detail == "1 of 2 ready; worker 0: sink:recording"
            assert checks["sink:recording"].detail == "worker 0: disk full; worker 1: no trouble"
            # Two that fail for different reasons: no check fails in both, and nobody is ready.
            house.workers[1].failing = {"stage": "draining"}
            failing = [check.name for check in await house.sum.checks() if not check.passes]
            assert failing == ["workers"]
            assert (await house.figures())["earhook_ready"] == 0

    run(story())


def test_a_way_out_is_shown_once(run: Run) -> None:
    def sink(forwarded: int, detail: str, subscriber: str) -> dict[str, Any]:
        return {
            "name": "pcm-stream",
            "kind": "pcm-stream",
            "healthy": not detail,
            "detail": detail,
            "calls": 1,
            "books": {"received": 10, "forwarded": forwarded, "buffered": 0, "dropped": {"a": 1}},
            "counters": {"x": 0},
            "gauges": {"y": 2},
            "subscribers": [{"name": subscriber}],
        }

    async def story() -> None:
        async with House() as house:
            house.workers[0].sinks = [sink(9, "", "one")]
            house.workers[1].sinks = [sink(8, "it is stuck", "two")]
            (found,) = (await house.sum.sinks()).sinks
            assert found == {
                "name": "pcm-stream",
                "kind": "pcm-stream",
                "healthy": False,
                "detail": "worker 1: it is stuck",
                "calls": 2,
                "books": {"received": 20, "forwarded": 17, "buffered": 0, "dropped": {"a": 2}},
                "counters": {"x": 0},
                "gauges": {"y": 4},
                "subscribers": [{"name": "one", "worker": 0}, {"name": "two", "worker": 1}],
            }

    run(story())


def wanted(**media: Any) -> Configuration:
    return Configuration.model_validate(
        {"media": media, "keys": [{"api_key": "a" * 20, "unsigned": True}]}
    )


def test_a_good_configuration_is_in_service_everywhere(
    run: Run, said: list[tuple[str, dict[str, Any]]]
) -> None:
    async def story() -> None:
        async with House() as house:
            house.file = wanted(max_calls=7, port=1234)
            assert await house.reloading.reload()
            assert [worker.in_service.media.max_calls for worker in house.workers] == [7, 7]
            # What waits for a restart is nowhere in service, nor in a worker that comes later.
            assert house.reloading.configuration.media.max_calls == 7
            assert house.reloading.configuration.media.port == Configuration().media.port
            assert said == [
                ("reload.needs_restart", {"settings": ["media.port"]}),
                ("reload.done", {"workers": 2, "keys": 1}),
            ]
            assert house.reloading.count == {"good": 1, "bad": 0}
            assert not house.replaced

    run(story())


def test_one_that_cannot_keeps_all_as_they_are(
    run: Run, said: list[tuple[str, dict[str, Any]]]
) -> None:
    async def story() -> None:
        async with House() as house:
            house.workers[1].fault = ConfigurationFault("media.tls.certificate", "gone", "find it")
            house.file = wanted(max_calls=7)
            assert not await house.reloading.reload()
            assert [worker.in_service.keys for worker in house.workers] == [(), ()]
            assert house.reloading.configuration.keys == ()
            assert house.reloading.count == {"good": 0, "bad": 1}
            assert "refused" in house.reloading.check().detail
            ((event, line),) = said
            assert event == "reload.refused"
            assert line["faults"] == ["media.tls.certificate: gone (find it)"]
            house.workers[1].fault = None
            assert await house.reloading.reload()
            assert house.reloading.last_is_good

    run(story())


def test_a_file_that_cannot_be_read_is_asked_of_nobody(
    run: Run, said: list[tuple[str, dict[str, Any]]]
) -> None:
    async def story() -> None:
        async with House() as house:
            house.file = Configuration()  # no keys: nobody could come in
            assert not await house.reloading.reload()
            assert said[0][0] == "reload.refused"

    run(story())


def test_one_that_does_not_answer_is_replaced(
    run: Run, said: list[tuple[str, dict[str, Any]]]
) -> None:
    async def story() -> None:
        async with House() as house:
            house.workers[1].stop()
            house.file = wanted(max_calls=7)
            assert await house.reloading.reload()
            assert house.workers[0].in_service.media.max_calls == 7
            assert house.replaced == [2]
            assert [event for event, _ in said] == ["reload.unanswered", "reload.done"]
            # It goes on later: what it has prepared by then is never put in service.
            house.workers[1].go_on()
            await house.sum.checks()
            assert house.workers[1].in_service.keys == ()

    run(story())


def test_who_comes_later_has_what_is_in_service(run: Run, said: list[object]) -> None:
    async def story() -> None:
        async with House() as house:
            late = Worker(3, 0)
            given = house.reloading.content_for(3)
            assert "keys" not in given
            house.file = wanted(max_calls=7)
            assert await house.reloading.reload()
            house.workers.append(late)
            await house.reloading.joined(late.link)
            assert late.in_service.media.max_calls == 7
            # Once more changes nothing, and nobody else is touched.
            late.in_service = Configuration()
            await house.reloading.joined(late.link)
            assert late.in_service.keys == ()
            later = Worker(4, 1)
            house.workers.append(later)
            assert house.reloading.content_for(4)["media"] == {"max_calls": 7}
            await house.reloading.joined(later.link)
            assert later.in_service.keys == ()
            assert not house.replaced

    run(story())


def test_reloads_come_one_after_the_other(run: Run, said: list[object]) -> None:
    async def story() -> None:
        async with House() as house:
            files = [wanted(max_calls=number) for number in range(1, 9)]
            house.reloading._around = house.reloading._around._replace(reread=lambda: files.pop(0))
            assert all(await asyncio.gather(*(house.reloading.reload() for _ in range(8))))
            assert [worker.in_service.media.max_calls for worker in house.workers] == [8, 8]

    run(story())
