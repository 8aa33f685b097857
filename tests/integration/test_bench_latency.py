"""The latency bench: its subscriber sees every fault, and all of it works on a small load."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bench.ingest.measure import COMPILE, compile_program
from earhook._core import decode_g711
from earhook.media.stream import FrameKind, encode_frame

ROOT = Path(__file__).parents[2]
FRAME_SAMPLES, STAMP_SAMPLES, STAMP_TIME_BITS = 1600, 16, 60
PATIENCE_SECONDS = 60.0
AGE_MICROSECONDS = 5_000
HELLO = encode_frame(FrameKind.HELLO, 0, b"{}")
STOPPING = encode_frame(FrameKind.CLOSE, 0, b'{"code": "stopping"}')
Hear: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


def is_compiler_here() -> bool:
    """Whether there is one, with OpenSSL's headers."""
    if shutil.which(COMPILE[0]) is None:
        return False
    asked = subprocess.run(
        [COMPILE[0], "-E", "-xc", "-"],
        input=b"#include <openssl/ssl.h>",
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0


pytestmark = pytest.mark.skipif(not is_compiler_here(), reason="no C compiler, or no libssl-dev")


def pcm_of(number: int, *, counts: bool = True, age_us: int = AGE_MICROSECONDS) -> bytes:
    """The external channel of a frame that was sent so long ago; later by `number` microseconds."""
    sent_us = time.monotonic_ns() // 1000 - age_us + number
    bits = counts << STAMP_TIME_BITS | sent_us
    codes = bytes(0x80 | bits >> 4 * (STAMP_SAMPLES - 1 - at) & 15 for at in range(STAMP_SAMPLES))
    return decode_g711(codes + bytes(FRAME_SAMPLES - STAMP_SAMPLES), "PCMU")


def audio(channel: int, position: int, pcm: bytes, call: int = 1) -> bytes:
    """One frame of the stream."""
    samples = len(pcm) // 2
    head = struct.pack("<IBBHI", 20 + len(pcm), FrameKind.AUDIO, channel, 0, call)
    return head + struct.pack("<IQ", samples, position) + pcm


def both(position: int, pcm: bytes, call: int = 1) -> bytes:
    """One frame of the stream for each channel."""
    return audio(0, position, pcm, call) + audio(1, position, pcm, call)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bench")
    compile_program(ROOT / "bench" / "latency" / "subscriber.c", directory)
    return directory / "subscriber"


@pytest.fixture
def hear(program: Path, tmp_path: Path) -> Hear:
    """Gives the subscriber a stream and returns what has become of it."""

    def listen(*pieces: bytes, end: bytes = STOPPING) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "pcm.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(PATIENCE_SECONDS)
            command = [str(program), str(path), str(FRAME_SAMPLES)]
            with subprocess.Popen(
                command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                stream, _ = listener.accept()
                with stream:
                    stream.settimeout(PATIENCE_SECONDS)
                    stream.recv(1 << 16)
                    try:
                        for piece in (HELLO, *pieces, end):
                            stream.sendall(piece)
                        stream.shutdown(socket.SHUT_WR)
                        while stream.recv(1 << 16):
                            pass
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # it has seen enough
                output, words = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(command, process.returncode, output, words)

    return listen


def report_of(heard: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert heard.returncode == 0, heard.stderr
    report: dict[str, Any] = json.loads(heard.stdout.splitlines()[-1])
    return report


def test_ages_are_those_of_the_frames_that_count(hear: Hear) -> None:
    warm = both(0, pcm_of(0, counts=False, age_us=2_000_000))
    counting = both(1600, pcm_of(1)) + both(0, pcm_of(0), call=2)
    report = report_of(hear(warm, counting))
    assert report["frames"] == 3
    ages = report["ages"]
    assert ages["count"] == sum(count for _, count in ages["values_us"]) == 2
    assert AGE_MICROSECONDS <= ages["p50_us"] <= ages["p99.9_us"] <= ages["max_us"]


def test_a_frame_may_come_in_any_pieces(hear: Hear) -> None:
    first, second = pcm_of(0), pcm_of(1)
    together = first + second
    cut = 2 * (FRAME_SAMPLES + 7)  # within the second stamp
    pieces = [
        audio(channel, at // 2, part)
        for channel in (0, 1)
        for at, part in ((0, together[:cut]), (cut, together[cut:]))
    ]
    stream = b"".join(pieces)
    report = report_of(hear(stream[:5], stream[5:4000], stream[4000:]))
    assert report["frames"] == report["ages"]["count"] == 2


GAP = struct.pack("<IBBHIIQQ", 28, FrameKind.GAP, 255, 0, 1, 3, 1600, 1600)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([both(0, pcm_of(0)), GAP], "a gap"),
        ([both(0, pcm_of(0)), both(3200, pcm_of(1))], "at position 3200, not 1600"),
        ([both(0, pcm_of(0)), both(0, pcm_of(1))], "at position 0, not 1600"),
        ([both(0, pcm_of(1)), both(1600, pcm_of(0, age_us=1_000_000))], "a stamp of"),
        ([both(0, pcm_of(0, age_us=-3_600_000_000))], "a stamp of"),
        ([both(0, bytes(3200))], "is no part of a stamp"),
        ([audio(0, 0, pcm_of(0))], "ends at position 1600 and 0"),
        ([both(0, pcm_of(0))[:-2]], "the stream broke off"),
    ],
    ids=["gap", "lost", "twice", "out-of-order", "not-yet-sent", "not-stamped", "half", "short"],
)
def test_a_stream_that_is_not_right_is_refused(hear: Hear, pieces: list[bytes], words: str) -> None:
    heard = hear(*pieces, end=b"" if words == "the stream broke off" else STOPPING)
    assert heard.returncode == 1
    assert words in heard.stderr


def test_an_end_that_was_not_asked_for_is_refused(hear: Hear) -> None:
    heard = hear(both(0, pcm_of(0)), end=b"")
    assert (heard.returncode, "the stream broke off" in heard.stderr) == (1, True)


@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="wants cores 0 and 1")
def test_a_small_load_is_received_to_the_frame(tmp_path: Path) -> None:
    output = tmp_path / "latency.json"
    words = ("--smoke", "--seconds", "0.6", "--warm", "0.2", "--output", output)
    ended = subprocess.run(
        [sys.executable, "-m", "bench.latency", *map(str, words)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=90,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(output.read_text())
    for name in ("C relay", "earhook"):
        latency = report["latencies"][name]
        assert latency["count"] == 60  # 20 calls, 5 a second each
        assert 0 < latency["milliseconds"]["p50"] <= latency["milliseconds"]["max"]
        assert f"Tag={name}," in output.with_suffix(".hlog").read_text()
