"""The native core: decode, rings, feeds and the PCM stream. `earhook.media` is its only importer.

All counts are samples per channel. Channel 0 is external (the customer), 1 is internal (the
agent). PCM is 16-bit signed, low byte first. A position is the number of samples since the start
of the stream, paused and discarded time included. Every object may be used from any thread.

Where a `Buffer` is taken, it holds contiguous bytes (format `B`); anything else is a `TypeError`
or a `BufferError`. It is copied before the call returns: the memory may be reused at once.

A panic in the core is raised as `earhook.errors.CoreFault` and ends the call it happened in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeAlias, final

from typing_extensions import Buffer

__all__ = [
    "Books",
    "Budget",
    "EncryptionKeys",
    "Feed",
    "FrameDecoder",
    "Intake",
    "Line",
    "Merger",
    "Pipeline",
    "SignalFeed",
    "Switchboard",
    "decode_g711",
    "encode_ack",
    "encode_frame",
    "encode_g711",
    "measure_levels",
]

@final
class Budget:
    """The byte budget of all rings together."""

    def __new__(cls, limit_bytes: int) -> Self: ...
    @property
    def limit_bytes(self) -> int:
        """Bytes that all rings may hold."""

    @property
    def used_bytes(self) -> int:
        """Bytes that all rings hold now; never more than the limit."""

@final
class Pipeline:
    """Decode of one call into its ring.

    One thread pushes. The ring's bytes go back to the budget when this object and every
    attachment to it are gone. Call `end`: when this object goes without it, the call ends, but its
    feeds are not woken (their next drain, or `pending`, tells them), since the garbage collector
    may have begun to take the callback apart.
    """

    def __new__(
        cls, budget: Budget, *, codec: str, channels: Sequence[int], capacity_samples: int
    ) -> Self:
        """Make an empty ring at position 0.

        Args:
            budget: What the ring's bytes (2 per sample and channel) are taken from.
            codec: Of the frames: `PCMU`, `PCMA`, `L16` (low byte first) or `L16BE`. With `OPUS` and
                `OGG` there are no frames: all audio comes through an `Intake`.
            channels: Channel numbers in the order in which the peer interleaves them.
            capacity_samples: How many samples of each channel stay readable.

        Raises:
            BudgetExhausted: The ring does not fit; nothing is taken from the budget.
            ValueError: Unknown codec, channels other than 0 and 1, or no capacity.
        """

    def push(self, view: Buffer, /) -> int:
        """Bring one frame into the ring and wake the feeds that waited for it.

        G.711 is kept as it came, in half the memory, and decoded by whoever reads it.

        Returns:
            Samples per channel that were written; 0 after the end.

        Raises:
            MalformedFrame: Not a whole number of sample groups; nothing has changed.
            ValueError: The codec has no frames, or the ring holds samples of an `Intake`.
            BudgetExhausted: The machine has no memory for the ring, which takes it here at first.
            CoreFault: A defect; the call has ended.
        """

    def gap(self, samples: int, reason: int) -> None:
        """Advance the position without audio; ignored after the end.

        A gap that follows another of the same reason, with no audio between, joins it.

        Args:
            samples: How long; 0 changes nothing.
            reason: A number of `earhook.media.gaps.GapReason`.

        Raises:
            ValueError: Unknown reason, or the position would pass 2**63 - 1.
            OverflowError: A negative number.
        """

    def end(self) -> None:
        """Say that nothing follows. Doing it again changes nothing."""

    @property
    def position(self) -> int:
        """Where the next sample goes: samples written and gaps so far."""

    @property
    def oldest_position(self) -> int:
        """Of the oldest sample that can be read; the end, if there is none."""

    @property
    def written_samples(self) -> int:
        """Samples per channel written so far."""

    @property
    def frames(self) -> int:
        """Frames pushed so far, empty ones included, malformed ones not."""

    @property
    def ended(self) -> bool:
        """Whether `end` was called, or a fault has ended the call."""

    def gaps(self) -> list[tuple[int, int, int]]:
        """Position, samples and reason of each gap, oldest first; the most recent 1024."""

    def levels(self) -> list[tuple[int, int, float]]:
        """Channel, peak (0 to 32768) and RMS of the last pushed frame, per channel."""

@final
class EncryptionKeys:
    """Input keying material of `aes128gcm` (RFC 8188) by key id. It is shown nowhere."""

    def __new__(cls, keys: Mapping[bytes, bytes], max_record_bytes: int = 65536) -> Self:
        """Take keys over.

        Args:
            keys: From key id (at most 255 bytes) to keying material.
            max_record_bytes: Bodies that state longer records are refused.

        Raises:
            ValueError: A key id is too long, or a key is empty.
        """

    def __len__(self) -> int: ...

@final
class Intake:
    """The bodies of one call on their way into its ring, however each of them is cut.

    One thread pushes. What bodies give depends on their bytes alone, not on where chunks cut them.
    The decoder goes on from one body to the next; a sample group or packet does not. An Ogg stream
    does, and may be cut anywhere.

    Conversion of the rate holds back some milliseconds, and a packet marked as lost is held until
    the next one, which may bring it back: `position` counts both, `Pipeline.position` does not.
    """

    def __new__(
        cls, pipeline: Pipeline, *, codec: str, channels: int, wire_rate: int, rate: int
    ) -> Self:
        """Make the intake of a call.

        Args:
            pipeline: Whose ring is written. The intake keeps the ring's bytes, not the pipeline.
            codec: `PCMU`, `PCMA`, `L16`, `L16BE`, `OPUS` (packets, each behind its length in 16
                bits, high byte first; 0 says that one was lost) or `OGG` (Opus in Ogg, RFC 7845).
            channels: How many are interleaved; as many as the pipeline has.
            wire_rate: Samples per second and channel on the wire: 8000, 11025, 12000, 16000, 22050,
                24000, 32000, 44100 or 48000. Of Opus it says nothing.
            rate: Samples per second and channel in the ring: 8000 or 16000.

        Raises:
            ValueError: Any of them cannot be.
        """

    def begin(self, keys: EncryptionKeys | None = None) -> None:
        """Begin a body. What the last one left unfinished is dropped and counted, and what is
        behind of it is dropped.

        Args:
            keys: Present: the body is encrypted as RFC 8188 has it, its header first.
        """

    def push(self, chunk: Buffer, /) -> int:
        """Take the next bytes of a body; the interpreter is released meanwhile.

        Opus costs a thousand times what G.711 of the same length does, and a few bytes of it can
        stand for minutes: a quarter of a second is decoded at once, the rest is behind. So it is
        with what a record of encrypted audio holds.

        Returns:
            Samples per channel that were written; 0 after the end of the pipeline.

        Raises:
            MalformedFrame: The bytes are not of the codec, and there is no way back into it.
            EncryptionError: Unknown key, bad record size, a record that is not authentic or not
                in its place. Nothing of that record was decoded, nor of any after it.
            ValueError: No body has begun.
            CoreFault: A defect; the call has ended.

        What came before the fault has been written. Either error is raised again for each chunk,
        and by `end`, until the next body begins.
        """

    @property
    def is_behind(self) -> bool:
        """Whether not all of what was pushed has been decoded.

        Call `go_on` until it is not so, with something else in between; or push on, or end the
        body, and what is behind is decoded first.
        """

    def go_on(self) -> int:
        """Decode a little of what is behind, and give its samples per channel.

        Raises:
            MalformedFrame: As `push` said.
            CoreFault: A defect; the call has ended.
        """

    def end(self) -> int:
        """Say that the body is complete. A sample group or packet that is not is dropped.

        Of the last record something may be behind, as after `push`.

        Returns:
            Samples per channel that were written: what was in the last record.

        Raises:
            EncryptionError: The last record is missing or not authentic.
            MalformedFrame: As `push` said.
            ValueError: No body has begun.
        """

    def lose(self, samples: int, /) -> int:
        """Say that what follows does not join what came.

        What is held back is written, then a gap of reason missing; the decoder forgets.

        Args:
            samples: Length of the gap at the ring's rate; 0 for none.

        Returns:
            Samples per channel that were written: what was held back.

        Raises:
            ValueError: The position would pass 2**63 - 1.
        """

    def finish(self) -> int:
        """Say that the call is over: write what is held back, and give its samples per channel."""

    @property
    def position(self) -> int:
        """Where in the ring the next byte's sound goes: the ring's position and what is held."""

    @property
    def suspicion(self) -> str | None:
        """What is most likely sent instead of what was announced; set once, None for none.

        `PCMU`, `PCMA`, `L16LE`, `L16BE`, `audio/ogg`, `audio/wav`, `audio/flac`,
        `audio/mpeg`, `audio/webm`, `audio/basic`, `audio/opus;channels=2`, or `unknown`: no Opus
        packets, or no sound, whatever it is.
        """

    def tally(self) -> dict[str, int]:
        """Give counts since the beginning of the call.

        `packets` of Opus that were decoded; `concealed_packets` that were lost and for which sound
        was made up; `recovered_packets` that the next one brought back; `bad_packets` that are no
        Opus, and count as lost too; `trailing_bytes` at ends of bodies that were dropped;
        `skipped_bytes` of Ogg streams that belonged to no good page; `records` that were opened,
        `refused_records` that were not; `encrypted_bytes` that came.
        """

@final
class Books:
    """The books of one reader: `received = forwarded + buffered + dropped`, at any moment.

    What is `late` is in none of these: it was gone before the reader came.
    """

    __hash__: None  # type: ignore[assignment]
    @property
    def received(self) -> int:
        """Samples in the ring when the reader came, from its start on, and those written since."""

    @property
    def forwarded(self) -> int:
        """Samples that a drain has handed out."""

    @property
    def buffered(self) -> int:
        """Samples that can still be read."""

    @property
    def dropped(self) -> dict[str, int]:
        """Samples never handed out: `overrun`, `detached` and `fault`, all three always there."""

    @property
    def late(self) -> int:
        """Samples from the reader's start on that were gone before it came."""

    @property
    def position(self) -> int:
        """The next position to be read."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Feed:
    """The readers of one sink or one subscriber, drained together.

    What a drain gives of a call is contiguous: each item starts at the position where the last
    one ended. A reader that falls behind its ring loses its own oldest audio and gets a gap with
    reason overrun for exactly those positions. What was gone before it came is a gap with reason
    late, and no loss.
    """

    def __new__(cls, on_ready: Callable[[], None] | None = None) -> Self:
        """Make a feed without calls.

        Args:
            on_ready: Called without arguments when a feed that had nothing pending becomes
                pending, in the thread that pushes, ends or attaches, with no lock held. At most
                once between two drains. What it raises goes to `sys.unraisablehook`.
        """

    def attach(
        self,
        call: int,
        pipeline: Pipeline,
        *,
        channels: Sequence[int] = (0, 1),
        position: int | None = 0,
        owed_from: int | None = None,
    ) -> None:
        """Add a reader of a pipeline.

        Args:
            call: A number of the caller's choice, 1 to 2**32 - 1.
            pipeline: What to read; it is kept until `detach`.
            channels: Which channels are wanted, in which order.
            position: Where to begin; `None` is the end of what is written, and so is a position
                past it. What the ring holds no more is an overrun.
            owed_from: The pipeline's `oldest_position` when the reader came: what is gone before
                it is late. `None`: it was there all the time.

        Raises:
            ValueError: The number is 0 or attached already, or the channels are not known.
        """

    def detach(self, call: int) -> Books:
        """Remove a reader and give its last books; what was unread is dropped as `detached`.

        Raises:
            KeyError: The number is not attached.
        """

    def drain(self, max_bytes: int) -> bytes:
        """Take audio and gap frames of the PCM stream from all calls that have news.

        Calls get turns of at most one second of audio. Only whole frames are given; audio is one
        frame per wanted channel that the call has. The interpreter is released meanwhile. Drains
        of one feed wait for each other, but which of two threads writes its bytes first is
        theirs to settle.

        Args:
            max_bytes: Where to stop; exceeded by less than one item of one call.

        Returns:
            Frames, or `b""` if nothing is pending (then `on_ready` is armed again).

        Raises:
            CoreFault: A defect outside of any call. A defect within a call ends that call, drops
                its unread audio as `fault` and goes to `sys.unraisablehook`.
        """

    def drain_blocks(
        self, max_bytes: int, *, codec: str = "L16"
    ) -> list[tuple[int, int, int, int, bytes]]:
        """Take what `drain` would, as tuples instead of frames.

        Args:
            max_bytes: Where to stop, in bytes of audio plus 32 for each tuple.
            codec: `L16`, `PCMU` or `PCMA`.

        Returns:
            Call, position, samples of the gap, reason of the gap, audio. Either the gap is of at
            least one sample and the audio empty, or the other way round. Audio is interleaved in
            the order of the wanted channels; a channel that the call does not have is silent.

        Raises:
            ValueError: Unknown codec.
            CoreFault: As for `drain`.
        """

    def finished(self) -> list[int]:
        """Give the calls that have ended and are read to their end, each once; detach them."""

    def books(self, call: int) -> Books:
        """Give the books of a call as they are now.

        Raises:
            KeyError: The number is not attached.
        """

    def lag_samples(self, call: int) -> int:
        """Give how many samples of a call wait to be read.

        Raises:
            KeyError: The number is not attached.
        """

    @property
    def pending(self) -> bool:
        """Whether a drain would find news: audio, a gap or the end of a call."""

_FactTuple: TypeAlias = tuple[int, str, int | None, int, int | None, str | None, int | None]
_LaneTuple: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, float, float, float]
_SummaryTuple: TypeAlias = tuple[int, int, int, int, int | None, list[_LaneTuple]]
_StretchTuple: TypeAlias = tuple[int, int, int, bytes]

@final
class SignalFeed:
    """The readers of one sink, measured as they are read: nobody sees the audio.

    What a call says depends on its samples and gaps alone. Positions are samples per channel.
    One thread calls `measure`; everything else belongs to the loop's thread, and waits for a
    step of measuring at most (about 10 frames).
    """

    def __new__(
        cls,
        *,
        dead_air_seconds: float,
        pause_seconds: float,
        talk_over_seconds: float,
        interruption_seconds: float,
        one_way_seconds: float,
    ) -> Self:
        """Make a feed without calls; what the thresholds mean is in `docs/concepts/signal.md`."""

    def attach(self, call: int, pipeline: Pipeline, *, channels: Sequence[int], rate: int) -> None:
        """Measure a call from its first sample.

        Args:
            call: A number of the caller's choice, 1 to 2**32 - 1.
            pipeline: What to read; it is kept until `finish`.
            channels: All channels of the call.
            rate: Samples per second and channel, 8000 or 16000.

        Raises:
            ValueError: The number is attached already, or there is no such channel or rate.
        """

    def measure(self) -> bool:
        """Measure what there is, with the interpreter released.

        Returns:
            Whether something may be left, because somebody else had to get in between.
        """

    @property
    def pending(self) -> bool:
        """Whether `take` would give something."""

    def take(self, most: int) -> list[_FactTuple]:
        """Take what was found since the last time; of a call, in the order in which it was found.

        Args:
            most: How many at most; `pending` tells whether there are more.

        Returns:
            Call, kind, channel, start, end (None: it goes on), word (a digit, what a tone means),
            samples that were clipped.
        """

    def finish(
        self, call: int, /
    ) -> tuple[list[_FactTuple], _SummaryTuple | None, _StretchTuple | None, Books]:
        """Measure the rest of a call, and let go of it.

        Returns:
            What was found and not taken yet, `summary`, `envelope` of all of it, and the reader's
            last books.

        Raises:
            KeyError: The number is not attached.
        """

    def summary(self, call: int, /) -> _SummaryTuple | None:
        """Sum a call up so far.

        Returns:
            Samples measured, of talk-over, of dead air, of the longest dead air; the channel
            that was silent while the other spoke; and for each channel: its number, samples
            measured, of talk, of tones, of music, clipped; spans of talk, digits, interruptions
            that it made; root mean square and peak in dBFS, mean of all samples. None if the
            call is not attached, or a defect has cost it its analysis.
        """

    def levels(self, call: int, /) -> list[tuple[int, float, float, bool]]:
        """Per channel: number, root mean square and peak of the last 100 ms in dBFS, and whether
        somebody speaks.
        """

    def envelope(self, call: int, since: int, /) -> _StretchTuple | None:
        """How loud a call has been, in all points that end behind the position `since`.

        A call keeps 8 KiB of it: 768 points of all of it, and those of its last 25 s, which
        are finer in a long call and given where `since` is not before them.

        Returns:
            Samples that a point stands for: 0.1 s, or that times a power of two; the position of
            the first point; the end of the last one, which may not be whole yet; and the points.
            Each is five bytes: peak and root mean square of channel 0, those of channel 1, each as
            twice the dBFS plus 255 (0: digital silence), and 1 if there is no audio. None if the
            call is not attached, or a defect has cost it its analysis.
        """

    def books(self, call: int, /) -> Books:
        """The books of a reader now.

        Raises:
            KeyError: The number is not attached.
        """

@final
class Switchboard:
    """The connections of one loop, read together. For the loop's thread."""

    def __new__(cls) -> Self:
        """Make a board without lines.

        Raises:
            OSError: There is no descriptor left for it.
        """

    def fileno(self) -> int:
        """Give the descriptor that is readable while a line has something to be served."""

    def take_outlet(self) -> int:
        """Give, once, the descriptor of a socket over which connections are passed in.

        It is the caller's to close.

        Raises:
            ValueError: It has been given.
        """

    def admit(self, owner: object) -> Line:
        """Make a line of the connection whose descriptor was passed in before.

        Args:
            owner: Called by the line, with no lock held: `hear_greeting()` while TLS is being
                agreed, `hear_bytes(bytes)`, `hear_end()` when nothing more will come,
                `hear_room(unsent_bytes)` when the kernel has taken some of what waits,
                `flush()` when TLS may have something to send, `abort()` when the line must end.

        Raises:
            OSError: The descriptor did not come: there is none left.
        """

    def serve(self, now: float) -> tuple[int, int]:
        """Take what the lines have brought, at most 64 KiB of each.

        Lines that are still in their handshake come last, and only some of them: the others stay
        ready.

        Args:
            now: Monotonic seconds.

        Returns:
            How many lines had something, and how many of them are in their handshake.
        """

@final
class Line:
    """One connection of a switchboard. What it brings goes to its owner as it comes, at first."""

    def secure(self, write: Callable[[bytes], int], read: Callable[[int], bytes]) -> None:
        """Expect TLS: what comes goes to `write`, and `owner.hear_greeting()` is called.

        It goes there record by record. Who sends more than 2000 in a second (ten for each frame
        that is allowed, once there are frames), or more than 10 that bring nothing, is cut:
        `owner.abort()`, or `hear_broken` of who listens to frames. Each costs work, however little
        it holds, and new keys cost very much more than asking for them.

        Args:
            write: `MemoryBIO.write` of an `SSLObject`.
            read: Its `SSLObject.read`.
        """

    def pass_bytes(self) -> None:
        """TLS is agreed: from now on what comes is decrypted and goes to `owner.hear_bytes`."""

    def pass_frames(self, listener: object, limits: tuple[int, int, int, int]) -> None:
        """Take what comes for frames of a WebSocket client, and hold it to RFC 6455.

        Args:
            listener: Called with no lock held: `hear_text(bytes)`, `hear_audio(bytes)`,
                `hear_ping(bytes)`, `hear_close(code or 0)`, `hear_broken(rule, close code or 0)`,
                after which nothing follows, and `hear_fault(error)` when audio in the lane could
                not be stored.
            limits: Bytes of a message, fragments of a message, frames a second, pings and pongs
                a second.
        """

    def open_lane(self, pipeline: Pipeline, group_bytes: int) -> None:
        """Push binary messages of whole sample groups into a pipeline, and tell nobody.

        Raises:
            ValueError: A group of no bytes.
        """

    def close_lane(self) -> None:
        """Give binary messages to the listener."""

    def take_kept(self) -> tuple[int, float]:
        """Give what went through the lane since the last call: samples, and `now` of the last."""

    def feed(self, early: bytes, now: float) -> None:
        """Take bytes that came otherwise, decrypted, as if they had come now."""

    def send(self, ready: bytes) -> int:
        """Send, as it is; what the kernel does not take is kept. Gives how much is kept."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the kernel has not taken yet."""

    def soak(self, most_bytes: int) -> None:
        """Forget what comes, undecrypted; call `owner.abort()` when it is more than that."""

    def finish(self) -> None:
        """Tell the peer that nothing more will be sent."""

    def hang_up(self) -> None:
        """End the connection now, and forget owner and listener. Doing it again does nothing."""

@final
class FrameDecoder:
    """Turns the bytes of a PCM stream into frames, however they are cut. For one thread."""

    def __new__(cls, max_frame_bytes: int = 1048576) -> Self:
        """Make a decoder that refuses frames longer than this, their length field included."""

    def feed(self, chunk: Buffer, /) -> list[tuple[int, int, int, int, int, int, bytes]]:
        """Take in the next bytes and give the frames that they complete.

        Returns:
            Kind, call, channel, position, samples, reason and body of each frame. The body is the
            PCM of an audio frame or the text of a JSON frame. What a kind does not have is 0 or
            empty. Frames of unknown kinds are left out.

        Raises:
            StreamError: A rule is broken, which the text names; raised again ever after. Frames
                that ended before the fault are given first, and the error is raised by the next
                call: see `broken`.
            ValueError: The decoder is in use by another thread.
        """

    @property
    def broken(self) -> str | None:
        """The rule that the stream has broken, as soon as it has."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes of a frame that is not complete; not 0 at the end of a stream: it was cut."""

@final
class Merger:
    """Merges the PCM streams of several workers into the one that a single gateway would send.

    Frames pass whole, calls under new numbers; all channels of a call pass together. What is not
    complete is kept, at most one frame per channel and source.
    """

    def __new__(cls) -> Self: ...
    def add(self, source: int, /) -> None:
        """Begin with a source, under a number of the caller's choice (0 to 2**32 - 1)."""

    def feed(self, source: int, chunk: Buffer, /) -> tuple[bytes, list[tuple[int, bytes]]]:
        """Take in the next bytes of a source.

        Returns:
            What may pass to the consumer now; and kind and body of each frame of call 0, which
            does not pass. Nothing of a source that is not known.

        Raises:
            StreamError: The source breaks a rule; what it sent with this chunk is lost. Lose it.
        """

    def lose(self, source: int, /) -> tuple[bytes, int]:
        """End a source.

        Returns:
            A `close` for each of its open calls, with reason `worker_lost` and the books of what
            has passed; and how many these are.
        """

    def route(self, call: int, /) -> tuple[int, int] | None:
        """Source of an open call, and its number there."""

    def acknowledge(self, call: int, position: int, /) -> tuple[int, int] | None:
        """Say where an ack goes, as `route`; nowhere if it leads no further than those before."""

    def find(self, session: str, /) -> int | None:
        """Give the number under which the call of a session passes; the id in lower case."""

    def closed_by(self, session: str, /) -> int | None:
        """Give the source that has closed a session's call a while ago; the id in lower case."""

    @property
    def calls(self) -> int:
        """Calls that are open."""

    @property
    def audio_frames(self) -> int:
        """Audio frames that have passed."""

    @property
    def held_bytes(self) -> int:
        """Bytes of frames that are not complete."""

def encode_frame(kind: int, call: int, body: Buffer) -> bytes:
    """Encode a frame of one of the JSON kinds; `body` is not checked to be JSON.

    Raises:
        ValueError: The kind is unknown or has no JSON body, or the frame would exceed 1 MiB.
    """

def encode_ack(call: int, channel: int, position: int) -> bytes:
    """Encode a consumer's report of how far it has got; channel 255 means all."""

def decode_g711(codes: Buffer, law: str) -> bytes:
    """Decode G.711 (`PCMU` or `PCMA`) to PCM, exactly; the interpreter is released meanwhile.

    Raises:
        ValueError: Unknown law.
    """

def encode_g711(pcm: Buffer, law: str) -> bytes:
    """Encode PCM as G.711 (`PCMU` or `PCMA`); the interpreter is released meanwhile.

    Raises:
        ValueError: Unknown law, or an odd number of bytes.
    """

def measure_levels(audio: Buffer, codec: str, channels: int) -> list[tuple[int, int]]:
    """Measure interleaved audio; the interpreter is released meanwhile.

    Args:
        audio: Whole sample groups in `codec`; may be empty.
        codec: As of `Pipeline`.
        channels: 1 or 2.

    Returns:
        Per channel in interleave order: the peak (0 to 32768) and the energy, which is the sum of
        the squares of all samples. Energies of successive pieces add up.

    Raises:
        MalformedFrame: Not whole sample groups.
        ValueError: Unknown codec, or another number of channels.
    """
