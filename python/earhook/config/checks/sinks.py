"""Ways out: addresses that can be listened on or reached, directories that can be written."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from earhook.address import MAX_UNIX_PATH_BYTES, TcpAddress, UnixAddress
from earhook.errors import ConfigurationError
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.tls import client_context, server_context
from earhook.sinks.recording.settings import RecordingSettings

from .finding import Finding, doubtful, faults_from, fine, wrong
from .network import check_connect, check_listen

__all__ = ["check_pcm_stream", "check_recording"]

CONNECT_SECONDS = 2.0
SOON_FULL_MINUTES = 60
_BYTES_PER_SECOND = {"L16": 32_000, "PCMU": 16_000}
"""Of one call in stereo."""


def check_pcm_stream(
    number: int, settings: PcmStreamSettings, *, offline: bool, running: bool = False
) -> Iterator[Finding]:
    """One `[[sinks]]` table of kind `pcm-stream`."""
    where = f"sinks[{number}]"
    address = settings.address
    if settings.tls is not None:
        try:
            make = server_context if settings.listen is not None else client_context
            make(settings.tls, where)
        except ConfigurationError as error:
            yield from faults_from(error)
    if settings.token_file is not None and not os.access(settings.token_file, os.R_OK):
        yield wrong(f"{where}.token_file", f"{settings.token_file} cannot be read", "create it")
    if settings.insecure:
        what = "whoever reaches the port hears every call"
        yield doubtful(f"{where}.insecure", what, "use TLS with client_ca, or a Unix socket")
    if running and settings.listen is not None:
        return
    if isinstance(address, UnixAddress) and settings.listen is not None:
        yield _check_unix_listen(f"{where}.listen", address)
    elif isinstance(address, TcpAddress) and settings.listen is not None:
        yield check_listen(f"{where}.listen", address.host, address.port)
    elif not offline:
        yield _check_connect(f"{where}.connect", address)


def check_recording(number: int, settings: RecordingSettings, max_calls: int) -> Iterator[Finding]:
    """One `[[sinks]]` table of kind `recording`."""
    where, directory = f"sinks[{number}].directory", settings.directory
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent  # the gateway makes what is missing
    if not place.is_dir():
        yield wrong(where, f"{place} is no directory", "move it away, or choose another directory")
        return
    if (refusal := _write_refusal(place)) is not None:
        what = f"{place} cannot be written: {refusal}"
        yield wrong(where, what, "change its owner, or choose another directory")
        return
    free = shutil.disk_usage(place).free - (settings.reserve_mib << 20)
    rate = _BYTES_PER_SECOND[settings.codec] * max_calls
    minutes = max(0, int(free / rate / 60))
    if minutes < SOON_FULL_MINUTES:
        what = f"{max_calls} calls fill {directory} in {minutes} minutes"
        yield doubtful(where, what, "use a larger volume, or lower max_calls")
    else:
        yield fine(where, f"can write {directory}, {minutes} minutes of {max_calls} calls fit")


def _write_refusal(directory: Path) -> str | None:
    """Why no file can be made in a directory; None where one can."""
    try:
        with tempfile.TemporaryFile(dir=directory, prefix=".earhook-check-") as file:
            file.write(b"earhook")
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _check_unix_listen(where: str, address: UnixAddress) -> Finding:
    path = Path(address.path)
    if len(os.fsencode(path)) > MAX_UNIX_PATH_BYTES:
        what = f"{path} is longer than the {MAX_UNIX_PATH_BYTES} bytes a socket's path may have"
        return wrong(where, what, "choose a directory nearer to the root")
    if not path.parent.is_dir():
        return wrong(where, f"directory {path.parent} does not exist", f"mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        what = f"directory {path.parent} cannot be written by this user"
        return wrong(where, what, "change its owner, or choose another directory")
    if _answers(path):
        what = f"somebody listens on {path} already"
        return wrong(where, what, "stop that process, or choose another path")
    return fine(where, f"can listen on {address}")


def _check_connect(where: str, address: UnixAddress | TcpAddress) -> Finding:
    if isinstance(address, TcpAddress):
        return check_connect(where, address.host, address.port)
    if _answers(Path(address.path)):
        return fine(where, f"{address} answers")
    return wrong(where, f"cannot reach {address}", "is the service running? see --offline")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
