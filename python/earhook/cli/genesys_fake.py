"""`earhook genesys fake`: a Genesys Cloud on this machine, to try things by hand."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earhook.errors import OperatorError

from .dialling import CafileOption, read_secret_text

if TYPE_CHECKING:
    from earhook.testing.genesys import FakeGenesys

__all__ = ["fake"]

LOOK_SECONDS: Final = 1.0
"""How long it takes to look at an endpoint: whoever tries by hand waits for it."""


def fake(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: the system chooses.")] = 0,
    cafile: CafileOption = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="The bearer token that it shows where it posts audio.",
        ),
    ] = None,
    wav: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What is spoken over WebSocket and in PCMU, over and over. Left out: a short "
            "conversation that is shipped.",
        ),
    ] = None,
) -> None:
    """Serve a fake Genesys Cloud on this machine, to try things by hand, until Ctrl-C.

    It really probes what is enabled there, and streams the audio of conversations that are
    monitored or bound. Conversations are begun and moved by requests that it prints; no Genesys
    Cloud has those. Nothing of it is kept.
    """
    from earhook.demo import speech
    from earhook.testing.genesys import FakeGenesys, Reach
    from earhook.testing.wav_source import read_wav
    from earhook.transport.dial import client_context

    trust = client_context(cafile)
    spoken = replace(speech() if wav is None else read_wav(wav), length_samples=None)
    server = FakeGenesys()
    server.health.examine = Reach(trust)
    server.health.after_seconds = LOOK_SECONDS
    server.streams.way.trust = trust
    server.streams.way.token = read_secret_text("--token", None, token_file) or ""
    server.streams.source_of = lambda _conversation: spoken
    server.organization.ip_ranges.append(
        {"cidr": "127.0.0.1/32", "service": "audiohook", "region": "fake"}
    )
    asyncio.run(_serve(server, port))


async def _serve(server: FakeGenesys, port: int) -> None:
    """Serve until a signal; what is streamed then ends politely.

    Raises:
        OperatorError: The port cannot be had.
    """
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    client = server.add_client()
    queue_id = server.queues.add("Fake queue")
    try:
        async with server.served(port=port):
            typer.echo(_invitation(server.url, client.id, client.secret, queue_id))
            await ended.wait()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise OperatorError(f"127.0.0.1:{port}: {why}; choose another --port") from None


def _invitation(url: str, client_id: str, secret: str, queue_id: str) -> str:
    conversations = f"{url}/fake/conversations"
    return "\n".join(
        [
            f"export EARHOOK_GENESYS_URL={url}",
            f"export EARHOOK_GENESYS_CLIENT_ID={client_id}",
            f"export EARHOOK_GENESYS_CLIENT_SECRET={secret}",
            f"export QUEUE={queue_id}  # for monitored_queues of a description",
            "",
            "# A customer calls, and later an agent answers; see what is streamed:",
            f"""curl -X POST {conversations} -d '{{"queueId": "{queue_id}"}}'""",
            f"curl -X POST {conversations}/CONVERSATION/connect",
            f"curl {conversations}/CONVERSATION",
            "# In place of connect: hold, retrieve, pause, resume, disconnect.",
        ]
    )
