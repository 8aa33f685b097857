"""Lines and their switchboard: what a connection brings, through the core, to who listens."""

from __future__ import annotations

import gc
import select
import socket
import ssl
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earhook.errors import CoreFault
from earhook.media.feed import Feed
from earhook.media.lines import Line, Switchboard
from earhook.media.pipeline import Pipeline

LIMITS = (65_536, 64, 200, 10)
MANY = (65_536, 64, 1_000_000, 1_000_000)
OpensCalls = Callable[..., Pipeline]


class Owner:
    """Who has a line, and who listens to it: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.line: Line | None = None
        self.then: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not (name.startswith("hear_") or name in {"abort", "flush"}):
            raise AttributeError(name)

        def tell(*said: Any) -> None:
            self.told.append((name, *said))
            self.then()

        return tell


class Board:
    """A switchboard, and the far ends of its lines."""

    def __init__(self) -> None:
        self.switchboard = Switchboard()
        self.outlet = socket.socket(fileno=self.switchboard.take_outlet())
        self.far: list[socket.socket] = []

    def admit(self, owner: Owner) -> socket.socket:
        far, near = socket.socketpair()
        socket.send_fds(self.outlet, [b"\0"], [near.fileno()])
        owner.line = self.switchboard.admit(owner)
        near.close()
        self.far.append(far)
        return far

    def frames(
        self, owner: Owner, limits: tuple[int, int, int, int] = LIMITS
    ) -> tuple[socket.socket, Line]:
        far = self.admit(owner)
        assert owner.line is not None
        owner.line.pass_frames(owner, limits)
        return far, owner.line

    def serve(self, now: float = 1.0) -> int:
        return self.switchboard.serve(now)[0]


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board()
    yield board
    board.outlet.close()
    for far in board.far:
        far.close()


def frame(opcode: int, payload: bytes = b"", mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    size = len(payload)
    head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else None
    head = head or bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def test_bytes_come_as_they_are_and_frames_as_what_they_say(board: Board) -> None:
    owner = Owner()
    far = board.admit(owner)
    far.sendall(b"GET / HTTP/1.1")
    assert board.serve() == 1
    assert board.serve() == 0
    assert owner.line is not None
    owner.line.pass_frames(owner, LIMITS)
    far.sendall(frame(1, b"{}") + frame(2, b"abc") + frame(9, b"p") + frame(10) + frame(8))
    board.serve()
    assert owner.told == [
        ("hear_bytes", b"GET / HTTP/1.1"),
        ("hear_text", b"{}"),
        ("hear_audio", b"abc"),
        ("hear_ping", b"p"),
        ("hear_close", 0),
    ]


def test_who_is_on_the_line_comes_before_who_is_being_greeted(board: Board) -> None:
    order: list[str] = []
    strangers = [Owner() for _ in range(12)]
    for owner in strangers:
        far = board.admit(owner)
        assert owner.line is not None
        owner.line.secure(len, _wait)
        owner.then = lambda: order.append("greeting")
        far.sendall(b"hello")
    known = Owner()
    known.then = lambda: order.append("bytes")
    board.admit(known).sendall(b"later")
    assert board.switchboard.serve(1.0) == (13, 12)
    assert order[0] == "bytes"
    greeted = [[told[0] for told in owner.told].count("hear_greeting") for owner in strangers]
    assert greeted == [1] * 8 + [0] * 4, "the first come are the first served, and not all at once"
    assert board.switchboard.serve(1.0) == (4, 4)
    assert board.switchboard.serve(1.0) == (0, 0)
    assert all(("hear_greeting",) in owner.told for owner in strangers)


def _wait(_size: int) -> bytes:
    raise ssl.SSLWantReadError


def test_the_lane_takes_whole_groups_and_tells_nobody(board: Board, open_call: OpensCalls) -> None:
    owner, pipeline = Owner(), open_call()
    feed = Feed()
    feed.attach(1, pipeline, channels=(0,))
    far, line = board.frames(owner)
    line.open_lane(pipeline, 2)
    far.sendall(frame(2, b"\x01\x00\x02\x00") + frame(2) + frame(2, b"\x03\x00"))
    board.serve(7.0)
    assert owner.told == []
    assert line.take_kept() == (3, 7.0)
    assert line.take_kept()[0] == 0
    assert (pipeline.written_samples, pipeline.frames) == (3, 3)
    assert [block[4] for block in feed.drain_blocks(1 << 20)] == [b"\x01\x00\x02\x00\x03\x00"]
    far.sendall(frame(2, b"odd") + frame(1, b"t") + frame(2, b"\x04\x00"))
    board.serve(8.0)
    assert owner.told == [("hear_audio", b"odd"), ("hear_text", b"t")]
    assert line.take_kept() == (1, 8.0)
    line.close_lane()
    far.sendall(frame(2, b"\x05\x00"))
    board.serve()
    assert owner.told[-1] == ("hear_audio", b"\x05\x00")
    assert line.take_kept()[0] == 0
    with pytest.raises(ValueError, match="at least a byte"):
        line.open_lane(pipeline, 0)


def test_a_message_can_close_the_lane_in_front_of_what_follows_it(
    board: Board, open_call: OpensCalls
) -> None:
    owner, pipeline = Owner(), open_call()
    far, line = board.frames(owner)
    line.open_lane(pipeline, 2)
    owner.then = line.close_lane
    far.sendall(frame(2, b"ab") + frame(1, b"pause") + frame(2, b"cd"))
    board.serve()
    assert owner.told == [("hear_text", b"pause"), ("hear_audio", b"cd")]
    assert pipeline.written_samples == 1


def test_readers_know_of_the_audio_before_anybody_is_told_of_what_follows_it(
    board: Board, open_call: OpensCalls
) -> None:
    owner, pipeline = Owner(), open_call()
    feed = Feed()
    feed.attach(1, pipeline, channels=(0,))
    far, line = board.frames(owner)
    line.open_lane(pipeline, 2)
    pending: list[bool] = []
    owner.then = lambda: pending.append(feed.pending)
    far.sendall(frame(2, b"ab") + frame(1, b"close"))
    board.serve()
    assert pending == [True]


def test_audio_that_cannot_be_stored_is_a_fault_of_this_line(
    board: Board, open_call: OpensCalls
) -> None:
    owner = Owner()
    far, line = board.frames(owner)
    line.open_lane(open_call(codec="OPUS"), 2)
    far.sendall(frame(2, b"ab"))
    board.serve()
    (name, error) = owner.told[0]
    assert name == "hear_fault"
    assert isinstance(error, ValueError | CoreFault)
    assert line.take_kept()[0] == 1, "counted before it was tried"


def test_a_broken_rule_is_told_once_and_nothing_after_it(board: Board) -> None:
    owner = Owner()
    far, _ = board.frames(owner)
    far.sendall(frame(3) + frame(1, b"x"))
    board.serve()
    far.sendall(frame(1, b"x"))
    board.serve()
    assert owner.told == [("hear_broken", "framing", 1002)]
    other = Owner()
    far, _ = board.frames(other)
    far.sendall(frame(2) * 201)
    board.serve()
    assert other.told[-1] == ("hear_broken", "frame-rate", 0)
    assert len(other.told) == 201


def test_whoever_listens_may_hang_up_in_the_middle(board: Board) -> None:
    owner = Owner()
    far, line = board.frames(owner)
    owner.then = line.hang_up
    far.sendall(frame(1, b"last") + frame(1, b"too late"))
    board.serve()
    assert owner.told == [("hear_text", b"last")]
    assert far.recv(1) == b""
    line.hang_up()
    assert line.send(b"nobody") == 0
    assert board.serve() == 0


def test_an_exception_of_who_listens_ends_the_line_and_no_other(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda it: seen.append(it.exc_value))
    owner, other = Owner(), Owner()
    far, line = board.frames(owner)
    healthy, _ = board.frames(other)

    def fail() -> None:
        owner.then = lambda: None
        raise RuntimeError("a defect")

    owner.then = fail
    far.sendall(frame(1, b"x"))
    healthy.sendall(frame(1, b"y"))
    board.serve()
    assert owner.told == [("hear_text", b"x"), ("abort",)]
    assert other.told == [("hear_text", b"y")]
    assert [str(error) for error in seen] == ["a defect"]
    line.hang_up()


def test_an_exception_of_the_owner_ends_the_line_even_if_it_cannot_end_it(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("sys.unraisablehook", lambda it: seen.append(str(it.exc_value)))

    def fail() -> None:
        raise RuntimeError(owner.told[-1][0])

    owner = Owner()
    owner.then = fail
    far = board.admit(owner)
    far.sendall(b"x")
    board.serve()
    assert seen == ["hear_bytes", "abort"]
    assert far.recv(1) == b"", "it has been hung up"


class FakeTls:
    """Takes records, and gives what they hold without having done anything to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.ready: list[bytes] = []

    def write(self, record: bytes) -> int:
        self.written.append(record)
        self.ready += [record[5:]] if record[5:] else []
        return len(record)

    def read(self, _most_bytes: int) -> bytes:
        if not self.ready:
            raise ssl.SSLWantReadError
        return self.ready.pop(0)


def record(payload: bytes) -> bytes:
    return b"\x17\x03\x03" + len(payload).to_bytes(2) + payload


def test_tls_gets_one_record_at_a_time_and_no_more_when_nobody_listens(board: Board) -> None:
    owner, tls = Owner(), FakeTls()
    far, line = board.frames(owner)
    line.secure(tls.write, tls.read)
    records = [record(b"hello"), record(b"more")]
    far.sendall(b"".join(records)[:-1])
    board.serve()
    far.sendall(b"".join(records)[-1:])
    board.serve()
    assert tls.written == [records[0], records[1][:-1], records[1][-1:]]
    greeted = [("hear_greeting",), ("flush",)]
    assert owner.told == greeted * 2, "for each record, and not for a part of one"
    line.pass_bytes()
    tls.ready.clear()
    owner.then = lambda: line.soak(100)
    far.sendall(b"".join(records))
    board.serve()
    assert owner.told[4:] == [("hear_bytes", b"hello")]
    assert tls.written[3:] == records[:1]


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize(("payload", "most"), [(b"", 10), (b"\0", 2000)])
def test_a_flood_of_records_is_cut(
    board: Board, payload: bytes, most: int, *, frames: bool
) -> None:
    owner, tls = Owner(), FakeTls()
    far = board.admit(owner)
    line = owner.line
    assert line is not None
    line.secure(tls.write, tls.read)
    line.pass_bytes()
    if frames:
        line.pass_frames(owner, LIMITS)
    ends = ("hear_broken", "frame-rate", 0) if frames else ("abort",)

    def cut() -> None:
        if owner.told[-1] == ends:
            line.hang_up()

    owner.then = cut
    far.sendall(record(payload) * (most // 2))
    board.serve(1.0)
    far.sendall(record(payload) * (most // 2))
    board.serve(1.5)
    assert ends not in owner.told
    far.sendall(record(payload) * most)
    board.serve(1.9)
    assert owner.told[-1] == ends
    assert len(tls.written) == most + (not payload), "what is too much is not even looked at"


@pytest.mark.parametrize("stage", ["greeting", "frames"])
def test_what_is_no_tls_is_shown_to_the_cipher_and_is_the_end(board: Board, stage: str) -> None:
    owner, tls = Owner(), FakeTls()
    far = board.admit(owner)
    line = owner.line
    assert line is not None
    line.secure(tls.write, tls.read)
    if stage == "frames":
        line.pass_frames(owner, LIMITS)
    far.sendall(b"\x80\x2e\x01\x03\x03")
    board.serve()
    assert tls.written == [b"\x80\x2e\x01\x03\x03"]
    told = ["hear_greeting", "hear_end", "flush"] if stage == "greeting" else ["flush", "hear_end"]
    assert [name for name, *_ in owner.told] == told


def test_an_event_of_a_line_that_is_gone_is_not_told_to_the_next_in_its_place(
    board: Board,
) -> None:
    first, leaving, coming = Owner(), Owner(), Owner()
    near = board.admit(first)
    far = board.admit(leaving)
    line = leaving.line
    assert line is not None
    while not line.send(bytes(100_000)):
        pass

    def replace() -> None:
        line.hang_up()
        board.admit(coming)

    first.then = replace
    near.sendall(b"now")
    while far.recv(1 << 20, socket.MSG_DONTWAIT) and _has_more(far):
        pass
    assert board.serve() == 2, "the second of them is gone when its turn comes"
    assert leaving.told == coming.told == []


def _has_more(far: socket.socket) -> bool:
    return bool(select.select([far], [], [], 0)[0])


@pytest.mark.parametrize("stage", ["bytes", "frames", "soaking"])
def test_the_end_is_told_once(board: Board, stage: str) -> None:
    owner = Owner()
    far = board.admit(owner)
    assert owner.line is not None
    if stage == "frames":
        owner.line.pass_frames(owner, LIMITS)
    elif stage == "soaking":
        owner.line.soak(10)
    far.shutdown(socket.SHUT_WR)
    board.serve()
    assert owner.told == [("hear_end",)]
    assert board.serve() == 0, "an end that is known wakes nobody"


def test_soaking_ends_when_it_is_too_much(board: Board) -> None:
    owner = Owner()
    far = board.admit(owner)
    assert owner.line is not None
    owner.line.soak(1000)
    far.sendall(bytes(1000))
    board.serve()
    assert owner.told == []
    far.sendall(b"x")
    board.serve()
    assert owner.told == [("abort",)]


def test_what_the_kernel_does_not_take_waits_and_comes_in_order(board: Board) -> None:
    owner = Owner()
    far = board.admit(owner)
    line = owner.line
    assert line is not None
    sent = b"".join(bytes([number]) * 100_000 for number in range(10))
    for number in range(10):
        waiting = line.send(sent[number * 100_000 :][:100_000])
    assert 0 < waiting == line.unsent_bytes
    far.settimeout(5)
    received = bytearray()
    while len(received) < len(sent):
        received += far.recv(65_536)
        board.serve()
    assert received == sent
    assert line.unsent_bytes == 0
    assert {name for name, *_ in owner.told} == {"hear_room"}
    assert owner.told[-1] == ("hear_room", 0)
    assert board.serve() == 0


def test_a_descriptor_that_did_not_come_is_an_error_and_none_is_kept(board: Board) -> None:
    with pytest.raises(BlockingIOError):
        board.switchboard.admit(Owner())
    with pytest.raises(ValueError, match="has been taken"):
        board.switchboard.take_outlet()
    gc.collect()  # what other tests have left is not closed in between
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        owner = Owner()
        far = board.admit(owner)
        assert owner.line is not None
        owner.line.hang_up()
        far.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_line_that_hung_up_keeps_nothing_alive(board: Board) -> None:
    gc.disable()
    try:
        owner = Owner()
        _, line = board.frames(owner)
        gone = weakref.ref(owner)
        line.hang_up()
        owner.line = None
        del owner
        assert gone() is None
    finally:
        gc.enable()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payloads=st.lists(st.binary(min_size=0, max_size=700), max_size=8),
    cuts=st.lists(st.integers(0, 6000), max_size=8),
    texts=st.booleans(),
)
def test_any_cutting_of_what_is_sent_gives_the_same_audio(
    board: Board,
    open_call: OpensCalls,
    payloads: Sequence[bytes],
    cuts: Sequence[int],
    *,
    texts: bool,
) -> None:
    whole = [payload[: len(payload) // 2 * 2] for payload in payloads]
    owner, pipeline = Owner(), open_call(capacity=8000)
    feed = Feed()
    feed.attach(1, pipeline, channels=(0,))
    far, line = board.frames(owner, MANY)
    line.open_lane(pipeline, 2)
    sent = b"".join(frame(2, payload) + (frame(1, b"t") if texts else b"") for payload in whole)
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)})
    start = 0
    for end in ends:
        if end > start:
            far.sendall(sent[start:end])
            board.serve()
            start = end
    heard = b"".join(block[4] for block in feed.drain_blocks(1 << 20))
    assert heard == b"".join(whole)
    assert line.take_kept()[0] == len(heard) // 2
    assert owner.told == [("hear_text", b"t")] * (len(whole) if texts else 0)
    line.hang_up()
