"""The client as a whole: one OAuth client in one region."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Self

from .api import Api
from .audiohooks import AudioHooks, Check
from .conversations import Conversations
from .endpoint import examine_endpoint
from .events import OperationalEvents
from .integrations import Integrations
from .networks import AUDIO_SERVICES, IpRange, read_ip_ranges
from .oauth import Tokens
from .patience import Patience
from .queues import Queues
from .regions import Region
from .settings import AccountSettings, NetworkSettings, PatienceSettings
from .timing import Timing
from .transport import Transport

__all__ = ["GenesysCloud"]


class GenesysCloud:
    """Genesys Cloud, as far as AudioHook goes. Belongs to one event loop.

        async with GenesysCloud(find_region("eu-central-1"), account) as cloud:
            for integration in await cloud.integrations.list():
                ...

    Args:
        region: Where.
        account: Who.
        network: The way there.
        patience: How often requests are sent again.
        timing: Time and chance.
        check: Tests an endpoint before an AudioHook is enabled.

    Attributes:
        integrations: The integrations dialect.
        audiohooks: The AudioHooks dialect.
        conversations: States of conversations, and their recording.
        queues: Whether queues are monitored.
        events: What went wrong.
    """

    def __init__(
        self,
        region: Region,
        account: AccountSettings,
        *,
        network: NetworkSettings | None = None,
        patience: PatienceSettings | None = None,
        timing: Timing | None = None,
        check: Check = examine_endpoint,
    ) -> None:
        timing = timing or Timing()
        self._transport = Transport(network or NetworkSettings())
        waits = Patience(patience or PatienceSettings(), timing)
        self._tokens = Tokens(account, region.login_url, self._transport, waits, timing)
        self._api = Api(region.api_url, self._tokens, self._transport, waits, timing)
        self.conversations = Conversations(self._api)
        self.integrations = Integrations(self._api)
        self.audiohooks = AudioHooks(self._api, self.conversations, check)
        self.queues = Queues(self._api)
        self.events = OperationalEvents(self._api)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Forget the token, close every connection."""
        await self._tokens.close()
        await self._transport.close()

    async def log_in(self) -> None:
        """Log in now, to see whether we may.

        Raises:
            LoginRefused: The OAuth client is not accepted.
        """
        await self._tokens.current()

    async def ip_ranges(
        self, services: Collection[str] = AUDIO_SERVICES, regions: Collection[str] = ()
    ) -> list[IpRange]:
        """The networks that audio comes from; see `read_ip_ranges`."""
        return await read_ip_ranges(self._api, services, regions)
