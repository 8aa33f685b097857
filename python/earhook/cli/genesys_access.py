"""What every command that asks Genesys Cloud takes: where it is, who asks, which way it goes."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import typer

from earhook.errors import ConfigurationError, ConfigurationFault

from .dialling import CafileOption, read_secret_text

if TYPE_CHECKING:
    from earhook.genesys import AccountSettings, GenesysCloud, NetworkSettings, Region
    from earhook.genesys.audiohooks import Check

__all__ = [
    "NOT_AS_WANTED",
    "Access",
    "JsonOption",
    "asked",
    "gathered",
    "with_access",
]

NOT_AS_WANTED: Final = 3
"""The exit code when the question was answered, and the answer is not what one hopes for."""

Value = TypeVar("Value")
Rest = ParamSpec("Rest")

JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@dataclass(frozen=True, slots=True)
class Access:
    """What the command line says of the way to Genesys Cloud."""

    region: str | None
    url: str | None
    client_id: str | None
    client_secret_file: Path | None
    proxy: str | None
    cafile: Path | None

    def read(self, described_region: str | None = None) -> Way:
        """Everything that is needed before anything is asked.

        Args:
            described_region: That of a description; the command line goes before it.

        Raises:
            ConfigurationError: With all faults.
        """
        from pydantic import SecretStr

        from earhook.genesys import AccountSettings, NetworkSettings

        faults: list[ConfigurationFault] = []
        place = gathered(faults, lambda: self._place(described_region))
        if not self.client_id:
            remedy = "see Integrations > OAuth"
            faults.append(ConfigurationFault("--client-id", "is missing", remedy))
        environment = os.environ.get("EARHOOK_GENESYS_CLIENT_SECRET")
        file = self.client_secret_file
        secret = gathered(faults, lambda: read_secret_text("--client-secret", environment, file))
        if not secret and not faults:
            remedy = "set EARHOOK_GENESYS_CLIENT_SECRET, or give a file"
            faults.append(ConfigurationFault("--client-secret-file", "is missing", remedy))
        if faults or place is None:
            raise ConfigurationError(faults)
        proxy = None if self.proxy is None else SecretStr(self.proxy)
        return Way(
            place,
            AccountSettings(client_id=self.client_id or "", client_secret=SecretStr(secret or "")),
            NetworkSettings(proxy=proxy, ca_file=self.cafile),
        )

    def _place(self, described_region: str | None) -> Region:
        from earhook.genesys import custom_region, find_region

        if self.url is not None:
            return custom_region(self.url, self.url)
        name = self.region or described_region
        if name is None:
            raise ConfigurationError(
                [ConfigurationFault("--region", "is missing", "or give --url")]
            )
        return find_region(name)


@dataclass(frozen=True, slots=True)
class Way:
    """To one organization, for one OAuth client."""

    region: Region
    account: AccountSettings
    network: NetworkSettings

    def cloud(self, check: Check | None = None) -> GenesysCloud:
        """A client; to be closed by whoever opened it."""
        from earhook.genesys import GenesysCloud, examine_endpoint

        return GenesysCloud(
            self.region, self.account, network=self.network, check=check or examine_endpoint
        )


def gathered(faults: list[ConfigurationFault], read: Callable[[], Value]) -> Value | None:
    """What is read; where that fails its faults go to the others, so that all are told at once."""
    try:
        return read()
    except ConfigurationError as error:
        faults.extend(error.faults)
        return None


def asked(way: Way, question: Callable[[GenesysCloud], Awaitable[Value]]) -> Value:
    """Put a question to Genesys Cloud."""

    async def asking() -> Value:
        async with way.cloud() as cloud:
            return await question(cloud)

    return asyncio.run(asking())


def with_access(command: Callable[Concatenate[Access, Rest], None]) -> Callable[..., None]:
    """Give a command the options of an `Access`; it gets the `Access` as its first argument."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = list(inspect.signature(_options, eval_str=True).parameters.values())

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        access = Access(**{one.name: given.pop(one.name) for one in shared})
        command(access, **given)  # type: ignore[call-arg]

    # Arguments of a command come before options, whatever their order here.
    vars(wrapper)["__signature__"] = inspect.Signature(own + shared)
    wrapper.__annotations__ = {one.name: one.annotation for one in own + shared}
    return wrapper


def _options(
    region: Annotated[
        str | None,
        typer.Option(
            envvar="EARHOOK_GENESYS_REGION",
            help="Such as eu-central-1, euc1 or mypurecloud.de.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="EARHOOK_GENESYS_URL",
            metavar="URL",
            help="Instead of a region: where both login and API are, as of `earhook genesys fake`.",
            show_default=False,
        ),
    ] = None,
    client_id: Annotated[
        str | None,
        typer.Option(
            envvar="EARHOOK_GENESYS_CLIENT_ID",
            help="Id of an OAuth client of the grant type Client Credentials.",
            show_default=False,
        ),
    ] = None,
    client_secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with its secret. Left out: $EARHOOK_GENESYS_CLIENT_SECRET.",
        ),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            envvar="EARHOOK_GENESYS_PROXY",
            metavar="URL",
            help="An HTTP proxy. Left out: $HTTPS_PROXY and $NO_PROXY.",
            show_default=False,
        ),
    ] = None,
    cafile: CafileOption = None,
) -> None:
    """The signature that every command gets."""
