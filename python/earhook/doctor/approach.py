"""Coming to a door with some credentials, to see whether it opens.

To an AudioHook door as the connection probe of Genesys Cloud (AudioHook protocol §10), which is no
call; to an ingest with 20 ms of silence, because it lets in whom it does not know as long as
nothing is brought.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from earhook.clock import SystemClock
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_record import PeerRecord
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup, PeerCredential, PeerManners
from earhook.testing.sources import Source
from earhook.transport.dial import DialError, dial

from .errand import Errand
from .http import AskFailed, Reply, ask
from .network import Reached

__all__ = ["Approach", "Door", "Knock"]

SILENCE: Final = b"\xff" * 160
POSTED_AUDIO: Final = {"Content-Type": "audio/PCMU;rate=8000;channels=1"}
_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True)
class Approach:
    """What is shown at the door.

    Attributes:
        credential: Key and secret; None: neither.
        token: Bearer token.
        authority: Signed in the place of what is sent as `Host`; empty: that.
        target: Signed in the place of path and query that are sent; empty: those.
    """

    credential: PeerCredential | None = None
    token: str | None = None
    authority: str = ""
    target: str = ""

    def shifted(self, seconds: int) -> Approach:
        """The same, signed by a clock that is so far ahead."""
        credential = self.credential
        if credential is None:
            return self
        return replace(self, credential=replace(credential, clock_offset_seconds=seconds))


@dataclass(frozen=True, slots=True)
class Knock:
    """How a door answered.

    Attributes:
        status: Of HTTP; None where there was no answer.
        record: Of the session, where one was begun.
        fault: Why there was no answer.
    """

    status: int | None
    record: PeerRecord | None = None
    fault: str = ""

    @property
    def refused(self) -> bool:
        """Whether it said that it does not know us, before or after the upgrade."""
        in_band = self.record is not None and self.record.disconnect_reason == "unauthorized"
        return in_band or self.status in {401, 403}

    @property
    def admitted(self) -> bool:
        """Whether it let us in. A door that said neither was not there, or full."""
        return not self.refused and self.status is not None and self.status < 300

    @property
    def words(self) -> str:
        """What was seen."""
        if self.record is not None and self.record.disconnect_reason:
            return f"upgraded, then disconnect: {self.record.disconnect_reason}"
        if self.status == 101:
            return "upgraded"
        return self.fault if self.status is None else f"answered {self.status}"


class Door:
    """A server that was reached and may be shown credentials."""

    def __init__(self, errand: Errand, reached: Reached) -> None:
        self.errand = errand
        self._reached = reached

    def context(self) -> ssl.SSLContext | None:
        """What a connection that carries credentials is checked with; None: in the clear."""
        return self.errand.trust.checking_context() if self.errand.target.is_secure else None

    def headers(self, approach: Approach, setup: CallSetup) -> dict[str, str]:
        """The headers of a request, signed where there is a secret."""
        target = self.errand.target
        authority = approach.authority or target.authority
        # What is signed leaves out the port of this scheme: one that is written shall stay.
        scheme = "ws" if authority.endswith(":443") else "wss"
        signed = f"{scheme}://{authority}{approach.target or target.request_target}"
        nonce = base64.b64encode(os.urandom(18)).decode("ascii")
        made = upgrade_headers(signed, setup, approach.credential, _CLOCK.wall_seconds(), nonce)
        headers = dict(made) | {"Host": target.authority}
        if approach.token is not None:
            headers["Authorization"] = f"Bearer {approach.token}"
        return headers

    def probe_setup(self) -> CallSetup:
        """A connection probe of the organization that was named."""
        return CallSetup.probe(organization_id=self.errand.organization_id)

    async def ask(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Ask in HTTP. Raises AskFailed where there is no answer."""
        return await ask(self.errand, self._reached, self.context(), (method, headers, body))

    async def knock(self, approach: Approach) -> Knock:
        """Come, and go again."""
        if self.errand.target.is_ingest:
            return await self._post(approach)
        return await self._probe(approach)

    async def _post(self, approach: Approach) -> Knock:
        headers = self.headers(approach, self.probe_setup()) | POSTED_AUDIO
        try:
            reply = await self.ask("POST", headers, SILENCE)
        except AskFailed as failure:
            return Knock(None, fault=str(failure))
        return Knock(reply.status)

    async def _probe(self, approach: Approach) -> Knock:
        limits, setup = self.errand.limits, self.probe_setup()
        manners = PeerManners(
            open_seconds=limits.opened_seconds, close_seconds=limits.closed_seconds
        )
        peer = CallPeer(CallPlan(source=Source.silence(), setup=setup, manners=manners))
        headers = list(self.headers(approach, setup).items())
        try:
            async with asyncio.timeout(limits.patience_seconds):
                await dial(self.errand.target.url, headers, peer, self.context())
            async with asyncio.timeout(limits.opened_seconds + 2 * limits.closed_seconds):
                await peer.finished()
        except DialError as error:
            # The text of the error begins with the URL, whose query is nobody's affair.
            what = str(error).removeprefix(f"{self.errand.target.url}: ")
            return Knock(error.status, fault=what)
        except TimeoutError:
            return Knock(None, peer.record, "neither an answer nor an end")
        finally:
            peer.abort()
        return Knock(101, peer.record)
