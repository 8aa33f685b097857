"""A WAV file as a source: any rate, one or two channels, PCM16, mu-law or A-law."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from earhook.errors import OperatorError, RecordingError
from earhook.media.g711 import decode_g711, encode_g711
from earhook.media.wav import WavHeader, read_header

from .sources import Source

__all__ = ["read_wav"]

RATE: Final = 8000
LOWEST_RATE: Final = 4000


def read_wav(path: Path) -> Source:
    """Read a whole file. Mono is the customer's side; in stereo the customer is left.

    Mu-law at 8 kHz is taken as it is; everything else is decoded, resampled where it must be,
    and encoded to mu-law, which is what Genesys sends.

    Raises:
        OperatorError: It cannot be read, or holds something else; the text says what and why.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file)
            file.seek(header.audio_offset)
            audio = file.read(header.audio_bytes_in(path.stat().st_size))
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from None
    except RecordingError as error:
        raise OperatorError(f"{path} {error}") from None
    channels = _channels(path, header)
    if not audio:
        raise OperatorError(f"{path} holds no audio")
    if header.format.codec == "PCMU" and header.format.rate == RATE:
        return Source.once(audio, channels)
    return Source.once(encode_g711(_at_8_khz(audio, header), "PCMU"), channels)


def _channels(path: Path, header: WavHeader) -> tuple[int, ...]:
    if header.format.channels > 2:
        raise OperatorError(f"{path} has {header.format.channels} channels; a call has one or two")
    if header.format.rate < LOWEST_RATE:
        raise OperatorError(f"{path} has {header.format.rate} samples a second; too few for speech")
    return tuple(range(header.format.channels))


def _at_8_khz(audio: bytes, header: WavHeader) -> bytes:
    codec, rate = header.format.codec, header.format.rate
    pcm = audio if codec == "L16" else decode_g711(audio, codec)
    if rate == RATE:
        return pcm
    import soxr  # only files of other rates need it

    lanes: npt.NDArray[np.int16] = np.frombuffer(pcm, dtype="<i2")
    resampled = soxr.resample(lanes.reshape(-1, header.format.channels), rate, RATE)
    return bytes(np.asarray(resampled, dtype="<i2").tobytes())
