"""The networks that Genesys Cloud calls from, as its ip-ranges API publishes them.

A list is put in service only as a whole and only when it makes sense; otherwise the last good
one serves on, over a restart as well, because it is kept in a file. Its age is the operator's
to watch: it grows until somebody fetches.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earhook.edge.access import Access
from earhook.edge.networks import Network
from earhook.errors import ConfigurationError, ConfigurationFault, EarhookError
from earhook.ops.logging import get_logger

from .credentials import read_secret_file
from .fetching import Source, fetch

if TYPE_CHECKING:
    from earhook.clock import Clock

    from .settings import IpRangesSettings

__all__ = ["Fetch", "IpRanges", "Row", "read_networks_of", "read_rows"]

Fetch = Callable[[Source, str | None], Awaitable[bytes]]
"""Gets a document, with a bearer token; raises `FetchFailed`."""

ACCESS_SOURCE: Final = "ip-ranges"
"""What the allow-list calls our networks."""


Text = Annotated[str, Field(max_length=128)]


class Row(BaseModel):
    """One network of the published list, and what it is for."""

    model_config = ConfigDict(frozen=True)

    cidr: Text
    service: Text | None = None
    region: Text | None = None


Shape = TypeVar("Shape", bound=BaseModel)


class IpRanges:
    """Keeps the published networks in service.

    Args:
        settings: Where they are published, and which of them count.
        access: The allow-list they join.
        clock: Time.
        fetch: Gets the document.

    Attributes:
        failures: Refreshes that failed since the last good one.
        refreshes: Refreshes so far, `good` and `bad`.
    """

    def __init__(
        self, settings: IpRangesSettings, access: Access, clock: Clock, fetch: Fetch = fetch
    ) -> None:
        self._settings = settings
        self._access = access
        self._clock = clock
        self._fetch = fetch
        self._networks: frozenset[Network] = frozenset()
        self._fetched_wall_seconds: float | None = None
        self._tried_at = float("-inf")
        self._alarmed_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self.failures = 0
        self.refreshes = {"good": 0, "bad": 0}
        access.replace((), ACCESS_SOURCE)

    @property
    def networks(self) -> int:
        """How many are in service."""
        return len(self._networks)

    @property
    def age_seconds(self) -> float | None:
        """Since the list in service was fetched; None: there is none."""
        if self._fetched_wall_seconds is None:
            return None
        return max(0.0, self._clock.wall_seconds() - self._fetched_wall_seconds)

    @property
    def is_old(self) -> bool:
        """Whether the operator has to look at it."""
        age = self.age_seconds
        return age is None or age > self._settings.alarm_hours * _HOUR_SECONDS

    async def start(self) -> None:
        """Put the kept list in service, or else fetch one; then refresh it from time to time.

        Without either the gateway starts all the same: nobody of the list gets in until there
        is one, and readiness says so.
        """
        if not self._take_copy():
            await self.refresh()
        self._refreshing = asyncio.create_task(self._refresh_for_ever())

    async def stop(self) -> None:
        """Refresh no more."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refreshing
            self._refreshing = None

    async def refresh(self) -> bool:
        """Fetch, and put in service what makes sense. Says in the log what does not.

        Returns:
            Whether a list was put in service; if not, the one before serves on.
        """
        self._tried_at = self._clock.monotonic_seconds()
        settings = self._settings
        try:
            token = await asyncio.to_thread(_token, settings.token_file)
            document = await self._fetch(Source(settings.url, settings.ca_file), token)
            rows = read_rows(document)
            networks = read_networks_of(rows, settings)
        except (EarhookError, OSError, ValueError) as error:
            self.failures += 1
            self.refreshes["bad"] += 1
            _LOG.error(
                "ip_ranges.not_refreshed",
                url=settings.url,
                reason=str(error),
                in_service=f"{self.networks} networks of before",
                remedy="try the url from this machine; it is tried again by itself",
            )
            return False
        now = self._clock.wall_seconds()
        self.failures = 0
        self.refreshes["good"] += 1
        self._put_in_service(networks, now)
        await self._keep_copy(rows, now)
        return True

    def seconds_until_due(self) -> float:
        """How long to wait before the next refresh; 0: it is due."""
        if self.failures or self._fetched_wall_seconds is None:
            pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** max(0, self.failures - 1), _HOUR_SECONDS)
            since = self._clock.monotonic_seconds() - self._tried_at
            return max(0.0, pause - since)
        since = self._clock.wall_seconds() - self._fetched_wall_seconds
        if since < 0:
            return 0.0  # kept by a machine whose clock was ahead
        return max(0.0, self._settings.refresh_hours * _HOUR_SECONDS - since)

    async def _refresh_for_ever(self) -> None:
        while True:
            # The wall clock may be set meanwhile, so it is looked at again every minute.
            await asyncio.sleep(min(self.seconds_until_due(), _LOOK_SECONDS))
            if self.seconds_until_due() <= 0:
                await self.refresh()
            self._raise_alarm()

    def _raise_alarm(self) -> None:
        now = self._clock.monotonic_seconds()
        if not self.is_old or now - self._alarmed_at < _HOUR_SECONDS:
            return
        self._alarmed_at = now
        age = self.age_seconds
        _LOG.error(
            "ip_ranges.old",
            age_hours=None if age is None else round(age / _HOUR_SECONDS, 1),
            networks=self.networks,
            remedy="see ip_ranges.not_refreshed; calls from new networks are not let in",
        )

    def _put_in_service(self, networks: frozenset[Network], fetched_wall_seconds: float) -> None:
        before, self._networks = self._networks, networks
        self._fetched_wall_seconds = fetched_wall_seconds
        self._access.replace(networks, ACCESS_SOURCE)
        added, removed = len(networks - before), len(before - networks)
        if not added and not removed:
            return
        # What has shrunk by half may be half a list, and whoever is missing cannot call.
        write = _LOG.warning if removed * 2 > len(before) > 0 else _LOG.info
        write("ip_ranges.in_service", networks=len(networks), added=added, removed=removed)

    def _take_copy(self) -> bool:
        """Put the list of the file in service, if there is one for this address."""
        path = self._settings.copy_file
        try:
            with path.open("rb") as file:
                kept = _read(_Copy, file.read(_MAX_COPY_BYTES))
            if kept.url != self._settings.url:
                raise ValueError(f"is of {kept.url}")
            networks = read_networks_of(kept.entities, self._settings)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            _LOG.warning("ip_ranges.copy_unusable", file=str(path), reason=str(error))
            return False
        self._put_in_service(networks, kept.fetched)
        return True

    async def _keep_copy(self, rows: list[Row], wall_seconds: float) -> None:
        path = self._settings.copy_file
        copy = _Copy(entities=rows, url=self._settings.url, fetched=wall_seconds)
        content = copy.model_dump_json(indent=1).encode()
        try:
            await asyncio.to_thread(_write_whole, path, content)
        except OSError as error:
            _LOG.error(
                "ip_ranges.copy_failed",
                file=str(path),
                reason=error.strerror,
                remedy="make its directory writable, or set access.ip_ranges.copy_file",
            )


def read_rows(document: bytes) -> list[Row]:
    """Read what the API answers.

    Raises:
        ValueError: It is not of that shape; the text says why and quotes nothing.
    """
    return _read(_Published, document).entities


def read_networks_of(rows: Iterable[Row], settings: IpRangesSettings) -> frozenset[Network]:
    """The networks of the services and regions that count.

    Raises:
        ValueError: There is none, there are too many, or one is no network or so large that it
            would let anybody in.
    """
    networks: set[Network] = set()
    for row in rows:
        if row.service not in settings.services:
            continue
        if settings.regions and row.region not in settings.regions:
            continue
        network = ipaddress.ip_network(row.cidr, strict=False)
        if network.prefixlen < _SHORTEST_PREFIX[network.version]:
            raise ValueError(f"holds {network}, which is too large to be a sender's network")
        networks.add(network)
        if len(networks) > _MAX_NETWORKS:
            raise ValueError(f"holds more than {_MAX_NETWORKS} networks")
    if not networks:
        wanted = ", ".join((*settings.services, *settings.regions))
        raise ValueError(f"holds no network of {wanted}")
    return frozenset(networks)


class _Published(BaseModel):
    """The API's answer, as far as it is read."""

    entities: list[Row] = Field(max_length=20_000)


class _Copy(_Published):
    """A list as it was kept."""

    url: str
    fetched: float = Field(allow_inf_nan=False)


def _read(kind: type[Shape], content: bytes) -> Shape:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise ValueError(f"is not the list that was expected: {where}: {first['type']}") from None


def _token(path: Path | None) -> str | None:
    """Read a bearer token; raises `ConfigurationError`."""
    if path is None:
        return None
    faults: list[ConfigurationFault] = []
    token = read_secret_file("access.ip_ranges.token_file", path, faults)
    if faults:
        raise ConfigurationError(faults)
    return token


def _write_whole(path: Path, content: bytes) -> None:
    """Replace a file, so that whoever reads it finds the old one or the new one, and whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


_HOUR_SECONDS: Final = 3600.0
_FIRST_PAUSE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 60.0
_SHORTEST_PREFIX: Final = {4: 8, 6: 20}
_MAX_NETWORKS: Final = 5_000
_MAX_COPY_BYTES: Final = 8 << 20
_LOG: Final = get_logger(__name__)
