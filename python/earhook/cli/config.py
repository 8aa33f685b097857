"""`earhook config`: write, show and document the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigOption, SetOption, load

app = typer.Typer(no_args_is_help=True, help="Write, show and document the configuration.")


@app.command()
def init(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ] = Path("earhook.toml"),
) -> None:
    """Write a commented starter file, with a fresh API key and secret in files of their own."""
    from earhook.config.starter import write_starter

    starter = write_starter(output)
    typer.echo(f"wrote {starter.configuration}")
    typer.echo(f"wrote {starter.key_file}      the API key for Genesys Cloud (mode 0600)")
    typer.echo(f"wrote {starter.secret_file}       the client secret for Genesys Cloud (mode 0600)")
    typer.echo(f"\nnext: earhook check --config {starter.configuration}")


@app.command("print")
def show(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Print the configuration in force: file, environment and flags merged, secrets redacted."""
    from earhook.config.printed import printed

    typer.echo(printed(load(config, assignments)), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    import orjson

    from earhook.config.schema import Configuration

    typer.echo(orjson.dumps(Configuration.model_json_schema(), option=orjson.OPT_INDENT_2).decode())


@app.command()
def reference() -> None:
    """Print the reference page of the configuration: every section, every key, every default."""
    from earhook.config.reference import configuration_page

    sys.stdout.write(configuration_page())
