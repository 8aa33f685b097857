"""Finds the command, runs it, and says what went wrong without a traceback."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from earhook.errors import EarhookError

from .faults import show_error

__all__ = ["main"]

COMMANDS: Final = (
    "demo",
    "serve",
    "check",
    "call",
    "conform",
    "load",
    "doctor",
    "genesys",
    "listen",
    "analyze",
    "tail",
    "top",
    "record",
    "config",
    "version",
)
"""In the order of the help page. `earhook.cli.<name>` defines `app`, a `typer.Typer`."""


def main() -> None:
    """Run the command line.

    The exit code is 0, 1 for what the operator must change, 2 for a command line that makes no
    sense, or what the command's help page says.
    """
    try:
        app()
    except EarhookError as error:
        show_error(error)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has gone (`earhook listen | head`): end as quietly as he did.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


class _LazyCommands(TyperGroup):
    """Imports a command's module when it is called, so that `earhook version` stays fast."""

    def list_commands(self, ctx: object) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"earhook.cli.{cmd_name}")
        command = cast("TyperCommand | TyperGroup", typer.main.get_command(module.app))
        command.name = cmd_name
        _tidy_help(command, typer.Context(command, parent=cast("typer.Context", ctx)))
        return command

    def format_help(self, ctx: object, formatter: object) -> None:
        context = cast("typer.Context", ctx)
        _tidy_help(self, context)
        super().format_help(context, cast("Any", formatter))


def _tidy_help(command: TyperCommand | TyperGroup, context: typer.Context) -> None:
    """Let help pages show `--json`, not `--json <bool>`, and text as wide as the terminal is."""
    command.help = _flowing(command.help or "")
    for option in command.get_params(context):
        if isinstance(option, TyperOption) and option.is_flag:
            option.metavar = ""
    if isinstance(command, TyperGroup) and not isinstance(command, _LazyCommands):
        for child in command.commands.values():
            below = typer.Context(child, parent=context)
            _tidy_help(cast("TyperCommand", child), below)


def _flowing(text: str) -> str:
    """Paragraphs without the line ends of the source; what is laid out by indenting stays."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        paragraph if "\n " in paragraph or "\b" in paragraph else paragraph.replace("\n", " ")
        for paragraph in paragraphs
    )


app = typer.Typer(
    name="earhook",
    cls=_LazyCommands,
    no_args_is_help=True,
    invoke_without_command=True,  # for --version, which is no command
    rich_markup_mode="rich",
    # A traceback with local variables would print keys and audio.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def earhook(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True)
    ] = False,
) -> None:
    """A gateway for Genesys Cloud AudioHook: calls in over WebSocket and HTTPS, raw PCM out.

    New here? [bold]earhook demo[/bold] shows it at work; it needs no file, account or server.
    """
    if version:
        from earhook import __version__

        typer.echo(f"earhook {__version__}")
        context.exit()
    if context.invoked_subcommand is None:
        context.fail("Missing command.")
