"""`earhook config`: write, show and document the configuration."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from .options import ConfigOption, SetOption, load

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Write, show and document the configuration."
)

DEFAULT_FILE: Final = Path("earhook.toml")


@app.command()
def init(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ] = DEFAULT_FILE,
) -> None:
    """Write a commented starter file, with a fresh API key and secret in files of their own."""
    from earhook.config.starter import write_starter
    from earhook.transport.settings import MediaSettings

    starter = write_starter(output)
    media = MediaSettings()
    option = "" if output == DEFAULT_FILE else f" --config {shlex.quote(str(output))}"
    lines = (
        f"wrote {starter.configuration}, {starter.key_file}, {starter.secret_file}",
        "",
        "enter in the AudioHook integration of Genesys Cloud:",
        f"  connection URI  wss://HOST:{media.port}{media.path}, HOST being our public name",
        f"  API key         the content of {starter.key_file}",
        f"  client secret   the content of {starter.secret_file}",
        "",
        f"next: earhook check{option}, then earhook serve{option}",
    )
    typer.echo("\n".join(lines))


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
