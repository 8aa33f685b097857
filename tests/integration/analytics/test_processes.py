"""`earhook analyze` as it runs: processes of its own, a sink of the gateway, a scripted service."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from earhook.analytics.analysis import AnalystSettings
from earhook.analytics.engine import EngineOptions
from earhook.analytics.plan import AnalysisPlan, Door
from earhook.analytics.processes import STOP_SECONDS, Analyze
from earhook.errors import ConfigurationError, OperatorError
from earhook.protocol import commands
from earhook.protocol.entities import check_entity
from earhook.testing.engines import Spoken, VoskServer
from integration.pcm_stream.conftest import house  # noqa: F401 - a fixture

GREETING = Spoken("thank you for calling", 0.6, 1.8)
RATE = 8000


class NeverDone(VoskServer):
    """Has an interim reading of everything, and owes the last words."""

    async def speak(self, socket: Any, _script: Any, _place: int) -> None:
        """Serve one connection."""
        async for message in socket:
            if isinstance(message.data, bytes):
                await socket.send_str('{"partial": "thank"}')


class Run:
    """An analysis under way, and its lines."""

    def __init__(self, plan: AnalysisPlan, calls: int | None) -> None:
        self.lines: list[dict[str, Any]] = []
        self.analyze = Analyze(plan, self.lines.append, calls)
        self.task = asyncio.create_task(self.analyze.run())

    def of(self, kind: str, session: str | None = None) -> list[dict[str, Any]]:
        """Lines of one kind."""
        return [
            line
            for line in self.lines
            if line["type"] == kind and session in (None, line.get("session"))
        ]

    def finals(self, session: str, channel: str = "external") -> list[dict[str, Any]]:
        details = [line["details"] for line in self.of("transcript", session)]
        return [one for one in details if one["final"] and one["channel"] == channel]


@asynccontextmanager
async def analysis(address: str, server: VoskServer, calls: int | None = None, **plan: Any) -> Any:
    """Processes that listen."""
    options = EngineOptions(address=server.url, extra=plan.pop("extra", {}))
    door = Door(address=address, patience_seconds=plan.pop("patience_seconds", None))
    analyst = AnalystSettings(sentiment=False, rules=plan.pop("rules", ()))
    run = Run(
        AnalysisPlan(door=door, engine="vosk", options=options, analyst=analyst, **plan), calls
    )
    try:
        yield run
    finally:
        run.analyze.stop()
        async with asyncio.timeout(20):
            await asyncio.wait([run.task])


@asynccontextmanager
async def at_work(until: Any, *where: Any, **more: Any) -> Any:
    """The same, once it listens."""
    async with analysis(*where, **more) as work:
        await until(lambda: work.of("ready"), 30)
        yield work


def speak(speaker: Any, seconds: float) -> None:
    for _ in range(round(seconds / 0.2)):
        speaker.push(1600)


def test_processes_divide_the_calls_and_hand_back_what_they_find(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
) -> None:
    async def story() -> None:
        async with house(ring_seconds=10.0) as gateway, VoskServer([GREETING]) as server:
            async with analysis(gateway.address, server, calls=6, processes=2) as work:
                await until(lambda: len(work.of("ready")) == 2, 30)
                # A share goes by the session id; random ones could all be of one process.
                ids = [str(uuid.UUID(int=number, version=4)) for number in range(6)]
                speakers = [gateway.open(session_id=one) for one in ids]
                for speaker in speakers:
                    speak(speaker, 2.0)
                sessions = [speaker.session for speaker in speakers]
                await until(lambda: all(work.finals(one) for one in sessions))
                for subscriber in gateway.sink.snapshot().subscribers:
                    assert 0 < subscriber["calls"] < 6  # neither has them all
                for speaker in speakers:
                    gateway.end(speaker)
                async with asyncio.timeout(20):
                    assert await work.task is False  # six calls have ended: so does it
            for session in sessions:
                (external,), (internal,) = (
                    work.finals(session, channel) for channel in ("external", "internal")
                )
                assert external["text"] == internal["text"] == GREETING.text
                kinds = [line["type"] for line in work.lines if line.get("session") == session]
                assert kinds[0] == "opened"
                assert kinds[-1] == "closed"
                assert kinds.count("opened") == kinds.count("closed") == 1
                told = [event for one, event in gateway.published if one == session]
                assert {event.kind for event in told} == {"analysis", "transcript"}
                assert all(event.personal and event.by == "consumer" for event in told)

    run(story())


def test_a_process_that_is_killed_comes_back_and_repeats_nothing(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
) -> None:
    async def story() -> None:
        async with house(ring_seconds=30.0) as gateway, VoskServer([GREETING]) as server:
            async with at_work(until, gateway.address, server) as work:
                speaker = gateway.open()
                speak(speaker, 2.0)
                channels = ("external", "internal")
                await until(lambda: all(work.finals(speaker.session, one) for one in channels))
                os.kill(work.analyze._processes[0].pid, signal.SIGKILL)
                speak(speaker, 2.0)
                await until(lambda: len(work.finals(speaker.session)) == 2, 30)
                gateway.end(speaker)
                await until(lambda: work.of("closed", speaker.session))
            first, second = work.finals(speaker.session)
            assert first["end"] <= second["start"]
            assert first["segment"] != second["segment"]
            assert work.analyze.restarts == 1
            assert len(work.of("opened", speaker.session)) == 1
            assert len(work.of("closed", speaker.session)) == 1

    run(story())


def test_calls_that_ended_while_nobody_listened_are_closed(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
) -> None:
    async def story() -> None:
        async with house(ring_seconds=1.0) as gateway, VoskServer([GREETING]) as server:
            async with at_work(until, gateway.address, server) as work:
                speaker = gateway.open()
                speak(speaker, 1.0)
                await until(lambda: work.of("opened"))
                os.kill(work.analyze._processes[0].pid, signal.SIGKILL)
                await until(lambda: not gateway.subscribers())
                gateway.end(speaker)
                gateway.forget(speaker)
                await until(lambda: work.of("closed"), 30)
            assert work.of("closed")[0]["details"] == {"reason": "lost"}

    run(story())


def test_the_last_words_of_calls_are_told_when_we_are_stopped(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
) -> None:
    async def story() -> None:
        async with house() as gateway, VoskServer([GREETING]) as server:
            async with at_work(until, gateway.address, server) as work:
                speaker = gateway.open()
                speak(speaker, 1.4)
                await until(lambda: work.of("transcript"))
                assert not work.finals(speaker.session)
                os.kill(os.getpid(), signal.SIGINT)
                async with asyncio.timeout(20):
                    assert await work.task is True
            (last,) = work.finals(speaker.session)
            assert last["text"] == "thank you"
            assert not work.of("trouble")
            (ending,) = work.of("ending")
            assert "Ctrl-C again ends at once" in ending["text"]

    run(story())


def test_what_is_waited_for_is_said_once_and_ctrl_c_ends_it_at_once(run: Any, until: Any) -> None:
    async def story() -> None:
        tries = 0

        def hang_up(_reader: object, writer: asyncio.StreamWriter) -> None:
            nonlocal tries
            tries += 1
            writer.close()

        door = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        address = f"tcp:127.0.0.1:{door.sockets[0].getsockname()[1]}"
        async with door, VoskServer([GREETING]) as server:
            async with analysis(address, server, processes=2) as work:
                await until(lambda: tries >= 8, 30)
                told = [line["text"] for line in work.of("trouble")]
                start = f"waiting for a pcm-stream sink at {address}: "
                assert told
                assert all(one.startswith(start) and one.endswith("trying again") for one in told)
                assert len(told) == len(set(told))  # a reset is told of in other words
                os.kill(os.getpid(), signal.SIGINT)
                async with asyncio.timeout(STOP_SECONDS / 2):
                    assert await work.task is True
            assert not work.of("ending")

    run(story())


def test_a_second_ctrl_c_waits_for_no_last_words(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
) -> None:
    async def story() -> None:
        async with house() as gateway, NeverDone([GREETING]) as server:
            async with at_work(until, gateway.address, server) as work:
                speak(gateway.open(), 1.4)
                await until(lambda: work.of("transcript"))
                os.kill(os.getpid(), signal.SIGINT)
                await until(lambda: work.of("ending"))
                assert not work.task.done()
                os.kill(os.getpid(), signal.SIGINT)
                async with asyncio.timeout(STOP_SECONDS / 4):
                    assert await work.task is True

    run(story())


def test_transcripts_of_a_transcription_connector_go_to_the_peer(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
) -> None:
    async def story() -> None:
        async with house() as gateway, VoskServer([GREETING]) as server:
            async with at_work(until, gateway.address, server) as work:
                other = gateway.open(product="monitor", media_channels=(1,))
                speaker = gateway.open(
                    product="transcription", media_channels=(1,), language="en-US"
                )
                speak(other, 2.0)
                speak(speaker, 1.4)
                await until(lambda: work.of("transcript", speaker.session))
                details = {"reason": "end", "awaits_results": True}
                gateway.publish(speaker, "closing", **details)
                await until(lambda: len(gateway.commands) == 2)
                assert work.finals(other.session, "internal")
            (one, relayed), (two, finish) = gateway.commands
            assert one == two == speaker.session
            assert isinstance(finish, commands.Finish)
            assert isinstance(relayed, commands.RelayEvent)
            (entity,) = relayed.entities
            check_entity(entity, 1)
            body: Any = entity.data
            assert body["channelId"] == 0
            assert body["isFinal"] is True
            (alternative,) = body["alternatives"]
            assert alternative["languages"] == ["en-US"]
            (interpretation,) = alternative["interpretations"]
            assert interpretation["transcript"] == "thank you"
            assert [token["value"] for token in interpretation["tokens"]] == ["thank", "you"]

    run(story())


def test_words_heard_in_a_tone_are_taken_back(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
) -> None:
    async def story() -> None:
        async with house() as gateway, VoskServer([GREETING]) as server:
            async with at_work(until, gateway.address, server, transcripts="always") as work:
                speaker = gateway.open()
                speak(speaker, 1.4)
                channels = ("external", "internal")
                await until(
                    lambda: (
                        {one["details"]["channel"] for one in work.of("transcript")}
                        == set(channels)
                    )
                )
                span = {"start": RATE // 2, "end": 2 * RATE}
                gateway.publish(speaker, "music", channel="external", **span)
                speak(speaker, 1.0)
                await until(lambda: all(work.finals(speaker.session, one) for one in channels))
                await until(lambda: gateway.commands)
                gateway.end(speaker)
                await until(lambda: work.of("closed"))
            external, internal = (work.finals(speaker.session, one) for one in channels)
            assert [one["text"] for one in external] == [""]
            assert [one["text"] for one in internal] == [GREETING.text]
            assert work.of("closed")[0]["details"]["left_out"] == 1
            # The gateway takes it, and the peer is told of words only.
            told = [event.details for _, event in gateway.published if event.kind == "transcript"]
            assert {one["channel"] for one in told if one["final"] and not one["text"]} == {
                "external"
            }
            (command,) = [one for _, one in gateway.commands]
            assert command.entities[0].data["channelId"] == 1

    run(story())


def test_a_rule_can_pause_the_recording(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rules]]\nid = "card"\nname = "A card is about to be read"\nkind = "transcript"\n'
        'phrases = ["thank you"]\naction = "pause"\npause_seconds = 1\n'
    )

    async def story() -> None:
        async with house() as gateway, VoskServer([GREETING]) as server:
            async with at_work(until, gateway.address, server, rules=(rules,)):
                speaker = gateway.open(media_channels=(1,))
                speak(speaker, 2.0)
                await until(lambda: gateway.commands)
                await until(lambda: any(event.kind == "hit" for _, event in gateway.published))
                await until(lambda: len(gateway.commands) == 2)
            assert gateway.commands == [
                (speaker.session, commands.Pause()),
                (speaker.session, commands.Resume()),
            ]

    run(story())


def test_what_a_process_cannot_do_is_said_and_ends_all(run: Any, house: Any) -> None:  # noqa: F811
    async def story() -> None:
        async with house() as gateway, VoskServer([GREETING]) as server:
            with pytest.raises(ConfigurationError, match="vosk has no option colour"):
                async with analysis(gateway.address, server, extra={"colour": "red"}) as work:
                    await work.task
            gone = "unix:/nowhere/pcm.sock"
            with pytest.raises(OperatorError, match="No such file"):
                async with analysis(gone, server, patience_seconds=0.0, processes=2) as work:
                    await work.task

    run(story())
