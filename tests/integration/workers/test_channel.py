"""Two processes' talk: nothing is lost or mixed up, and whoever goes is noticed."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from earhook.errors import (
    ChannelLost,
    ChannelRefused,
    ChannelSilent,
    ConfigurationError,
    ConfigurationFault,
)
from earhook.workers.channel import Answer, Channel, Message, socket_pair

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]


@contextmanager
def both_ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = (Channel(end) for end in socket_pair())
    ours.start()
    theirs.start()
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def test_a_question_is_answered_at_once_or_later(run: Run) -> None:
    async def double(message: Message) -> Answer:
        return Answer(message.body * 2)

    async def story() -> None:
        with both_ends() as (ours, theirs):
            theirs.on("half", lambda message: message.body / 2)
            theirs.on("double", double)
            assert (await ours.ask("half", 8)).body == 4
            answers = await asyncio.gather(*(ours.ask("double", n) for n in range(100)))
            assert [answer.body for answer in answers] == [2 * n for n in range(100)]

    run(story())


def test_what_is_told_comes_whole_and_in_order_whatever_its_size(run: Run, until: Until) -> None:
    sizes = [0, 1, 70_000, 3, 5_000_000, 12, 300_000]

    async def story() -> None:
        with both_ends() as (ours, theirs):
            heard: list[str] = []
            theirs.on("say", lambda message: heard.append(message.body))
            for size in sizes:
                ours.tell("say", "x" * size)
            await until(lambda: len(heard) == len(sizes))
            assert [len(text) for text in heard] == sizes

    run(story())


def test_descriptors_come_with_their_own_message(run: Run) -> None:
    """Between messages with none, with one and with many, and small and large."""

    async def story() -> None:
        with both_ends() as (ours, theirs):

            def read(message: Message) -> object:
                found = []
                for descriptor in message.descriptors:
                    found.append(os.pread(descriptor, 100, 0).decode())
                    assert not os.get_inheritable(descriptor)
                    os.close(descriptor)
                return found

            theirs.on("read", read)
            questions, expected, kept = [], [], []
            for number, count in enumerate([0, 1, 0, 40, 3, 0, 250, 1]):
                files = []
                for place in range(count):
                    memory = os.memfd_create("test")
                    os.pwrite(memory, f"{number}.{place}".encode(), 0)
                    files.append(memory)
                questions.append(asyncio.create_task(ours.ask("read", "y" * 90_000, files)))
                expected.append([f"{number}.{place}" for place in range(count)])
                kept += files
            answers = await asyncio.gather(*questions)
            for memory in kept:
                os.close(memory)
            assert [answer.body for answer in answers] == expected

    run(story())


def test_descriptors_may_be_closed_once_they_are_sent_and_come_back(run: Run) -> None:
    async def story() -> None:
        with both_ends() as (ours, theirs):
            theirs.on("echo", lambda message: Answer("yes", message.descriptors))
            first, second = socket.socketpair()
            with first, second:
                second.setblocking(False)
                asked = asyncio.ensure_future(ours.ask("echo", None, [first.fileno()]))
                answer = await asked
                with socket.socket(fileno=answer.descriptors[0]) as returned:
                    returned.sendall(b"through")
                    assert second.recv(10) == b"through"

    run(story())


def test_nobody_there_a_defect_and_a_fault_are_three_errors(run: Run) -> None:
    def fail(_: Message) -> None:
        raise RuntimeError

    async def find_fault(_: Message) -> None:
        raise ConfigurationError([ConfigurationFault("media.port", "is taken", "another")])

    async def story() -> None:
        with both_ends() as (ours, theirs):
            theirs.on("fail", fail)
            theirs.on("check", find_fault)
            with pytest.raises(ChannelRefused, match="nobody"):
                await ours.ask("unknown")
            with pytest.raises(ChannelRefused, match="RuntimeError"):
                await ours.ask("fail")
            with pytest.raises(ConfigurationError) as caught:
                await ours.ask("check")
            assert caught.value.faults == (ConfigurationFault("media.port", "is taken", "another"),)
            theirs.tell("nobody takes this")
            theirs.on("still", lambda message: "here")
            assert (await ours.ask("still")).body == "here"

    run(story())


def test_a_silent_side_costs_its_question_only(run: Run) -> None:
    async def story() -> None:
        with both_ends() as (ours, theirs):
            release = asyncio.Event()

            async def wait(_: Message) -> str:
                await release.wait()
                return "late"

            theirs.on("wait", wait)
            theirs.on("now", lambda message: "now")
            with pytest.raises(ChannelSilent):
                await ours.ask("wait", seconds=0.02)
            release.set()
            assert (await ours.ask("now")).body == "now"

    run(story())


def fill(channel: Channel) -> None:
    for _ in range(100):
        channel.tell("say", "x" * (1 << 20))


def test_a_side_that_reads_nothing_cannot_fill_our_memory(run: Run) -> None:
    async def story() -> None:
        ours_end, theirs = socket_pair()
        ours = Channel(ours_end)
        with theirs, pytest.raises(ChannelSilent):
            fill(ours)
        ours.close()

    run(story())


def test_the_end_of_the_other_side_is_told_once_and_fails_what_is_asked(
    run: Run, until: Until
) -> None:
    async def story() -> None:
        ends = socket_pair()
        lost: list[str] = []
        ours, theirs = Channel(ends[0], lambda: lost.append("ours")), Channel(ends[1])
        ours.start()
        asked = asyncio.ensure_future(ours.ask("anything"))
        await until(lambda: not asked.done())
        theirs.tell("last words")
        heard: list[str] = []
        ours.on("last words", lambda message: heard.append(message.kind))
        theirs.close()
        with pytest.raises(ChannelLost):
            await asked
        assert (lost, heard) == (["ours"], ["last words"])
        ours.close()
        ours.tell("into the void")
        with pytest.raises(ChannelLost):
            await ours.ask("anything")
        assert lost == ["ours"]

    run(story())


def test_what_is_no_frame_ends_the_channel(run: Run, until: Until) -> None:
    async def story() -> None:
        end, other = socket_pair()
        ours = Channel(end)
        ours.start()
        with other:
            other.send(b"\xff" * 64)
            await until(lambda: not ours.is_open)

    run(story())


def test_no_descriptor_stays_open_when_nobody_takes_it(run: Run, until: Until) -> None:
    def count() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    async def story() -> None:
        with both_ends() as (ours, _):
            before = count()
            memory = os.memfd_create("test")
            for _ in range(20):
                ours.tell("nobody", None, [memory] * 10)
            os.close(memory)
            with pytest.raises(ChannelRefused):
                await ours.ask("nobody")
            assert count() == before

    run(story())
