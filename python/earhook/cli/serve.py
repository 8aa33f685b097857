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
    change, or nothing does; no call is touched. With several workers, SIGUSR2 is a rolling restart:
    a new program and configuration take over, calls go on to their end.
    """
    from earhook.control.cores import worker_count
    from earhook.workers.succession import is_successor

    # Looked for once: a file that has gone by the time of a reload is a fault, not "no file".
    file = find(config)
    configuration = load(file, assignments)
    if worker_count(configuration.workers) == 1 and not is_successor():
        from earhook.app import serve as run_gateway

        run_gateway(configuration, reread=lambda: load(file, assignments))
    else:
        from earhook.workers.serving import serve_workers

        serve_workers(configuration, lambda: load(file, assignments))
