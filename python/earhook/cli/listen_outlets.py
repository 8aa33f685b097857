"""Where `earhook listen` puts what it hears: standard output or one file per call."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final, Literal, Protocol, TypeAlias

from earhook.client import Block, Call, CallClosed, CallEvent, ChannelName, Gap, Interleaver, Piece
from earhook.ids import is_uuid
from earhook.media.wav import WavFormat, build_header
from earhook.terminal.json_line import json_line

__all__ = ["Files", "Format", "JsonLines", "OneAtATime", "Outlet", "as_event", "write_line"]

Format: TypeAlias = Literal["raw", "wav", "jsonl"]
Notify: TypeAlias = Callable[[str, Call], None]

SILENCE_SAMPLES: Final = 8000
"""A long gap is filled piece by piece, so that it takes no memory."""


class Outlet(Protocol):
    """Takes what is heard of all calls, in the order in which it comes."""

    def audio(self, item: Block | Gap) -> None:
        """Audio or a gap."""
        ...

    def opened(self, call: Call) -> None:
        """A call begins."""
        ...

    def event(self, item: CallEvent) -> None:
        """Something happened in a call."""
        ...

    def closed(self, item: CallClosed) -> None:
        """A call has ended."""
        ...

    def finish(self) -> None:
        """Nothing follows."""
        ...


class CallWriter:
    """One call as PCM in a file; 16-bit, channels side by side.

    Args:
        file: Written to and flushed after every piece.
        call: What is written.
        channels: In which order.
        fill_gaps: Write silence where there is no audio, so that time in the file is position.
    """

    def __init__(
        self, file: BinaryIO, call: Call, channels: tuple[ChannelName, ...], *, fill_gaps: bool
    ) -> None:
        self.call = call
        self._file = file
        self._group_bytes = 2 * len(channels)
        self._fill_gaps = fill_gaps
        self._interleaver = Interleaver(call, channels)

    def audio(self, item: Block | Gap) -> int:
        """Write what has become whole; gives the bytes written."""
        return sum(self._write(piece) for piece in self._interleaver.add(item))

    def _write(self, piece: Piece) -> int:
        written_bytes = 0
        if piece.frames is not None:
            written_bytes = piece.frames.nbytes
            self._file.write(piece.frames.tobytes())
        elif self._fill_gaps:
            written_bytes = piece.samples * self._group_bytes
            for start in range(0, piece.samples, SILENCE_SAMPLES):
                samples = min(SILENCE_SAMPLES, piece.samples - start)
                self._file.write(bytes(samples * self._group_bytes))
        if written_bytes:
            self._file.flush()
        return written_bytes


class OneAtATime:
    """PCM of one call after the other: a second call that runs meanwhile is not heard.

    The first call settles the rate. A call of another one is not heard either: in one stream of
    samples nobody could tell where the rate changes.

    Args:
        file: Where to; a pipe will do.
        wav: Begin with a WAV header of unknown length, when the first call does.
        channels: In which order they are side by side.
        fill_gaps: As of `CallWriter`.
        notify: Told `hearing` or `not heard` of a call.
    """

    def __init__(
        self,
        file: BinaryIO,
        channels: tuple[ChannelName, ...],
        notify: Notify,
        *,
        wav: bool,
        fill_gaps: bool,
    ) -> None:
        self._file = file
        self._channels = channels
        self._notify = notify
        self._wav = wav
        self._fill_gaps = fill_gaps
        self._rate: int | None = None
        self._writer: CallWriter | None = None
        self._waiting: dict[Call, None] = {}

    def opened(self, call: Call) -> None:
        """Hear it if nothing else is heard."""
        if self._rate is None:
            self._begin(call.rate)
        if call.rate != self._rate:
            self._notify("not heard, another rate", call)
        elif self._writer is None:
            self._hear(call)
        else:
            self._waiting[call] = None
            self._notify("not heard", call)

    def audio(self, item: Block | Gap) -> None:
        """Write it if it is of the call that is heard."""
        if self._writer is not None and self._writer.call is item.call:
            self._writer.audio(item)

    def event(self, item: CallEvent) -> None:
        """Not to be heard."""

    def closed(self, item: CallClosed) -> None:
        """Go on with the call that has waited longest."""
        self._waiting.pop(item.call, None)
        if self._writer is None or self._writer.call is not item.call:
            return
        self._writer = None
        if self._waiting:
            call = next(iter(self._waiting))
            del self._waiting[call]
            self._hear(call)

    def finish(self) -> None:
        """Nothing is kept back."""

    def _begin(self, rate: int) -> None:
        self._rate = rate
        if self._wav:
            self._file.write(build_header(WavFormat("L16", len(self._channels), rate), None))
            self._file.flush()

    def _hear(self, call: Call) -> None:
        self._writer = CallWriter(self._file, call, self._channels, fill_gaps=self._fill_gaps)
        self._notify("hearing", call)


class Files:
    """One file per call, named after its session; nothing is ever overwritten.

    Args:
        directory: Made if it is not there.
        form: `raw` or `wav`.
        channels: In which order they are side by side.
        fill_gaps: As of `CallWriter`.
        notify: Told `writing <file>` of a call.
    """

    def __init__(
        self,
        directory: Path,
        form: Format,
        channels: tuple[ChannelName, ...],
        notify: Notify,
        *,
        fill_gaps: bool,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._form = form
        self._channels = channels
        self._fill_gaps = fill_gaps
        self._notify = notify
        self._open: dict[Call, tuple[CallWriter, BinaryIO]] = {}
        self._audio_bytes: dict[Call, int] = {}

    def opened(self, call: Call) -> None:
        """Begin a file."""
        file = self._create(call)
        if self._form == "wav":
            file.write(build_header(self._format(call), None))
            file.flush()
        writer = CallWriter(file, call, self._channels, fill_gaps=self._fill_gaps)
        self._open[call] = (writer, file)
        self._audio_bytes[call] = 0
        self._notify(f"writing {file.name}", call)

    def audio(self, item: Block | Gap) -> None:
        """Write it into the call's file."""
        if (found := self._open.get(item.call)) is not None:
            self._audio_bytes[item.call] += found[0].audio(item)

    def event(self, item: CallEvent) -> None:
        """Not to be heard."""

    def closed(self, item: CallClosed) -> None:
        """End the call's file."""
        self._finish(item.call)

    def finish(self) -> None:
        """End all files."""
        for call in list(self._open):
            self._finish(call)

    def _format(self, call: Call) -> WavFormat:
        return WavFormat("L16", len(self._channels), call.rate)

    def _finish(self, call: Call) -> None:
        found = self._open.pop(call, None)
        if found is None:
            return
        with found[1] as file:
            if self._form == "wav":
                file.seek(0)
                file.write(build_header(self._format(call), self._audio_bytes.pop(call)))

    def _create(self, call: Call) -> BinaryIO:
        # A name comes from a checked id or from nothing that the gateway said.
        stem = call.session_id.lower() if is_uuid(call.session_id) else "call"
        number = 0
        while True:
            name = f"{stem}-{number}" if number else stem
            try:
                return (self._directory / f"{name}.{self._form}").open("xb")
            except FileExistsError:
                number += 1


class JsonLines:
    """Everything of all calls as JSON objects, one a line; audio in base64."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def opened(self, call: Call) -> None:
        """The call's facts, as the gateway gave them."""
        write_line(self._file, {"type": "opened", **call.facts})

    def audio(self, item: Block | Gap) -> None:
        """A block with its samples (16-bit, low byte first), or a gap."""
        line: dict[str, object] = {
            "type": "audio" if isinstance(item, Block) else "gap",
            "session": item.call.session_id,
            "channel": item.channel,
            "position": item.position,
        }
        if isinstance(item, Block):
            line["samples"] = len(item.samples)
            line["pcm"] = base64.b64encode(item.samples.tobytes()).decode()
        else:
            line |= {"samples": item.samples, "reason": item.reason}
        write_line(self._file, line)

    def event(self, item: CallEvent) -> None:
        """What happened, with its details."""
        line = {"type": "event", "session": item.call.session_id, "event": item.kind}
        write_line(self._file, line | {"position": item.position, "details": item.details})

    def closed(self, item: CallClosed) -> None:
        """How it ended, and the totals."""
        write_line(self._file, as_event(item))

    def finish(self) -> None:
        """Nothing is kept back."""


def as_event(item: CallClosed) -> dict[str, object]:
    """The end of a call as JSON."""
    return {
        "type": "closed",
        "session": item.call.session_id,
        "reason": item.reason,
        "position": item.position,
        "verified": item.totals.verified,
        "channels": {
            name: {"delivered": totals.delivered, "missing": dict(totals.missing)}
            for name, totals in item.totals.channels.items()
        },
    }


def write_line(file: BinaryIO, line: Mapping[str, object]) -> None:
    """Write a JSON object and the end of its line, at once."""
    file.write(json_line(line))
    file.flush()
