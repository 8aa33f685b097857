"""`earhook version`."""

from __future__ import annotations

import platform
import ssl
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from earhook import __version__

app = typer.Typer(add_completion=False)

LIBRARIES = ("uvloop", "picows", "orjson", "pydantic", "aiohttp", "structlog", "numpy")


@app.command()
def version(
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything that matters in a report.")
    ] = False,
) -> None:
    """Print the version, or with --json also what it runs on."""
    if not as_json:
        typer.echo(f"earhook {__version__}")
        return
    import orjson

    facts = {
        "earhook": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "openssl": ssl.OPENSSL_VERSION,
        "libraries": {name: version_of(name) for name in LIBRARIES},
    }
    typer.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode())
