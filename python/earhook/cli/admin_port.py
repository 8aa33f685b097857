"""What every command that asks an admin port takes: where it is, and the token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earhook.errors import ConfigurationError

from .dialling import read_secret_text
from .options import load

if TYPE_CHECKING:
    from earhook.terminal.admin_port import AdminAddress

__all__ = ["AdminOption", "TokenFileOption", "TokenOption", "admin_address"]

AdminOption = Annotated[
    str | None,
    typer.Option(
        "--admin",
        envvar="EARHOOK_ADMIN",
        metavar="URL",
        help="The gateway's admin port, such as http://127.0.0.1:9090. Left out: the one of the "
        "configuration.",
        show_default=False,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="EARHOOK_ADMIN_TOKEN",
        help="What the admin port asks for. Left out: what the configuration says.",
        show_default=False,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="A file with the token."),
]
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
"""Where to dial what listens on all addresses."""


def admin_address(
    admin: str | None, token: str | None, token_file: Path | None, config: Path | None
) -> AdminAddress:
    """Where to ask: what was given, or what the configuration of this place says.

    Raises:
        ConfigurationError: With all faults.
    """
    from earhook.terminal.admin_port import AdminAddress, parse_admin_url

    shown = read_secret_text("--token", token, token_file)
    if admin is None:
        return _configured(shown, config)
    try:
        return AdminAddress(parse_admin_url(admin), shown)
    except ValueError as error:
        raise ConfigurationError.of("--admin", f"{admin!r}: {error}") from None


def _configured(token: str | None, config: Path | None) -> AdminAddress:
    from earhook.control.credentials import read_token
    from earhook.terminal.admin_port import AdminAddress

    settings = load(config, None).admin
    if settings.port == 0:
        what = "the configuration lets the system choose the port"
        raise ConfigurationError.of(
            "--admin", what, "give the address that the gateway logged (admin.listening)"
        )
    host = EVERYWHERE.get(settings.host, settings.host)
    if ":" in host:
        host = f"[{host}]"
    return AdminAddress(f"http://{host}:{settings.port}", token or read_token(settings))
