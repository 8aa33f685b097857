"""`earhook serve`."""

from __future__ import annotations

import typer

from .options import ConfigOption, SetOption, find, load

app = typer.Typer(add_completion=False)


@app.command()
def serve(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Run the gateway until it is told to stop.

    SIGTERM drains: no new calls, live ones go on to their end. A second one ends at once. SIGHUP
    reads the configuration and its files again: keys, tokens, certificates, allow-lists and limits
    change, or nothing does; no call is touched.
    """
    from earhook.app import serve as run_gateway

    # Looked for once: a file that has gone by the time of a reload is a fault, not "no file".
    file = find(config)
    configuration = load(file, assignments)
    run_gateway(configuration, reread=lambda: load(file, assignments))
