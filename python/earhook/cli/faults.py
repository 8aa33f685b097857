"""How a command says that something is wrong: on standard error, as a list, no traceback."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from earhook.errors import ConfigurationError, ConfigurationFault, EarhookError

__all__ = ["fault_text", "show_error"]


def show_error(error: EarhookError) -> None:
    """Print an error for a person."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not isinstance(error, ConfigurationError):
        console.print(Text.assemble(("earhook: ", "bold red"), str(error)))
        return
    count = len(error.faults)
    heading = f"{count} fault{'s' if count != 1 else ''} to correct"
    console.print(Text.assemble(("earhook: ", "bold red"), heading))
    for fault in error.faults:
        console.print(fault_text(fault))


def fault_text(fault: ConfigurationFault) -> Text:
    """One fault on one line, or two where there is a remedy."""
    text = Text.assemble("  ", (fault.where, "bold"), ": ", fault.what)
    if fault.remedy:
        text.append(f"\n      {fault.remedy}", style="dim")
    return text
