"""The golden bytes of the PCM stream, which hold the Rust crate too, seen from Python."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from earhook.errors import StreamError
from earhook.media.stream import Frame, FrameDecoder, FrameKind, encode_ack, encode_frame

VECTORS = Path(__file__).parents[1] / "data" / "pcm_stream"
WRITTEN_FROM_PYTHON = frozenset({"hello", "subscribe", "open", "event", "close", "command", "ack"})
"""Audio and gaps are only written by the drain; the Rust crate proves their bytes."""


def vectors(name: str, kinds: frozenset[str] | None = None) -> list[Any]:
    """One parameter a vector, of those kinds if some are named, under the vector's name."""
    read = json.loads((VECTORS / name).read_text())
    return [
        pytest.param(vector, id=vector["name"])
        for vector in read
        if kinds is None or (vector["fields"] or {}).get("kind") in kinds
    ]


def fields(frame: Frame) -> dict[str, Any]:
    """A frame in the words of the vectors."""
    kind = FrameKind(frame.kind)
    named: dict[str, Any] = {"kind": kind.name.lower(), "call": frame.call}
    if kind is FrameKind.AUDIO:
        samples = list(struct.unpack(f"<{frame.samples}h", frame.body))
        return named | {"channel": frame.channel, "position": frame.position, "samples": samples}
    if kind is FrameKind.GAP:
        span = {"position": frame.position, "length": frame.samples, "reason": frame.reason}
        return named | {"channel": frame.channel} | span
    if kind is FrameKind.ACK:
        return named | {"channel": frame.channel, "position": frame.position}
    return named | {"body": frame.body.decode()}


@pytest.mark.parametrize("vector", vectors("frames.json"))
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_golden_frame_reads_as_its_fields(vector: dict[str, Any], step: int) -> None:
    golden = bytes.fromhex(vector["hex"])
    decoder = FrameDecoder()
    chunks = [golden[at : at + step] for at in range(0, len(golden), step)]
    frames = [Frame._make(frame) for chunk in chunks for frame in decoder.feed(chunk)]
    expected = [] if vector["fields"] is None else [vector["fields"]]
    assert [fields(frame) for frame in frames] == expected


@pytest.mark.parametrize("vector", vectors("frames.json", WRITTEN_FROM_PYTHON))
def test_a_golden_frame_is_written_so(vector: dict[str, Any]) -> None:
    meant, golden = vector["fields"], bytes.fromhex(vector["hex"])
    if meant["kind"] == "ack":
        assert encode_ack(meant["call"], meant["channel"], meant["position"]) == golden
    else:
        kind = FrameKind[meant["kind"].upper()]
        assert encode_frame(kind, meant["call"], meant["body"].encode()) == golden


@pytest.mark.parametrize("vector", vectors("refused.json"))
def test_a_broken_rule_is_named_and_sticks(vector: dict[str, Any]) -> None:
    decoder = FrameDecoder()
    for bytes_fed in (bytes.fromhex(vector["hex"]), b""):
        with pytest.raises(StreamError) as refused:
            decoder.feed(bytes_fed)
        assert vector["rule"] in str(refused.value)
