"""Who may knock at all: the networks in service."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from earhook.errors import ConfigurationError, ConfigurationFault

from .networks import Network, Networks

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import AccessSettings

__all__ = ["Access", "read_networks"]


class Access:
    """The allow-list of addresses. Without a list anybody may knock; with an empty one nobody.

    The list may have several sources (the configuration, published ranges), each replaced on
    its own. Written and asked on the loop's thread.

    Args:
        networks: The list of the configuration; None: there is none.
    """

    def __init__(self, networks: Iterable[Network | str] | None = None) -> None:
        self._sources: dict[str, frozenset[Network | str]] = {}
        self._networks: Networks | None = None
        self.replace(networks)

    def __len__(self) -> int:
        return 0 if self._networks is None else len(self._networks)

    @property
    def is_open(self) -> bool:
        """Whether there is no list, so that anybody may knock."""
        return self._networks is None

    def allows(self, address: str) -> bool:
        """Whether a client of this address may go on."""
        return self._networks is None or address in self._networks

    def replace(
        self, networks: Iterable[Network | str] | None, source: str = "configuration"
    ) -> None:
        """Put the list of one source in service, at once and as a whole.

        Args:
            networks: May be empty: this source then lets nobody in. None: there is no such
                source (any more).
            source: Whose list it is.

        Raises:
            ValueError: One is no network; the old list stays.
        """
        sources = {name: each for name, each in self._sources.items() if name != source}
        if networks is not None:
            sources[source] = frozenset(networks)
        everything = Networks(set().union(*sources.values())) if sources else None
        self._sources, self._networks = sources, everything


def read_networks(settings: AccessSettings | None) -> tuple[Network, ...] | None:
    """The list that the configuration holds or names; None without the table.

    Raises:
        ConfigurationError: The file cannot be read, or a line of it is no network.
    """
    if settings is None:
        return None
    networks = settings.parsed_networks
    if settings.networks_file is None:
        return networks
    return networks + _read_file(settings.networks_file)


def _read_file(path: Path) -> tuple[Network, ...]:
    where = f"access.networks_file {path}"
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
        lines = raw.decode().splitlines()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError.of(
            where, f"cannot be read: {reason}", "check path and permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError.of(where, "is no text", "give one network a line") from error
    if len(raw) > _MAX_FILE_BYTES:
        what = f"is larger than {_MAX_FILE_BYTES} bytes"
        raise ConfigurationError.of(where, what, "join networks to larger ones")
    networks: list[Network] = []
    faults: list[ConfigurationFault] = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            remedy = "one network a line, such as 192.0.2.0/24; # begins a comment"
            faults.append(ConfigurationFault(f"{where} line {number}", str(error), remedy))
    if faults:
        raise ConfigurationError(faults[:_MAX_FAULTS])
    return tuple(networks)


_MAX_FILE_BYTES: Final = 1 << 20
_MAX_FAULTS: Final = 20
