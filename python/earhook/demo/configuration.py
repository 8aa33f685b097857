"""How the gateway of the demo is set up: loopback, fresh keys, room for a machine that is busy."""

from __future__ import annotations

import base64
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from earhook.config.schema import Configuration
from earhook.testing.peer_setup import PeerCredential

__all__ = ["USUAL_ADMIN_PORT", "demo_configuration", "fresh_credential"]

USUAL_ADMIN_PORT: Final = 9090
"""Where `earhook top` and `earhook tail` look by themselves."""
RING_SECONDS: Final = 10.0
"""Five times the default. A laptop that compiles, or a container that is throttled, stands still
for longer than a gateway may; and six calls cost 1 MB in ten seconds."""


def demo_configuration(
    calls: int, recordings: Path, stream: str, keys: Mapping[str, PeerCredential], token: str
) -> Configuration:
    """The whole of it.

    Args:
        calls: How many come in over WebSocket.
        recordings: Directory to be filled.
        stream: Where PCM goes out.
        keys: Of those who place calls, by name.
        token: Of who posts one.
    """
    tables = [
        {
            "name": name,
            "api_key": credential.api_key,
            "secrets": [base64.b64encode(credential.secret or b"").decode("ascii")],
        }
        for name, credential in keys.items()
    ]
    host = {"host": "127.0.0.1", "port": 0}
    tokens = [{"name": "demo-sender", "token": token}]
    return Configuration.model_validate(
        {
            "media": {**host, "max_calls": max(calls, 100)},
            "ingest": {**host, "plaintext": True, "tokens": tokens},
            "admin": {"port": _admin_port()},
            # A gateway refuses calls when its machine is too busy to serve those it has. Here the
            # load is whatever else the machine does, and callers share the gateway's loop: a
            # refusal would say nothing about either. What is late is shown, and nothing is lost.
            "shedding": {"enabled": False},
            "ring": {"seconds": RING_SECONDS},
            # Nobody's voice: whoever uses this machine may hear it.
            "console": {"recordings": True},
            "keys": tables,
            "sinks": [
                {"kind": "recording", "directory": recordings},
                {"kind": "pcm-stream", "listen": stream},
            ],
        }
    )


def fresh_credential() -> PeerCredential:
    """A key that nobody has had."""
    return PeerCredential(secrets.token_urlsafe(24), os.urandom(32))


def _admin_port() -> int:
    """The usual one, so that `earhook top` finds it; any, where somebody has that."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_ADMIN_PORT))
        except OSError:
            return 0
    return USUAL_ADMIN_PORT
