"""The command `earhook`, and `python -m earhook`."""

import signal


def main() -> None:
    """Run the command line."""
    # It takes a moment until the command is there. Ctrl-C before then ends the process as a shell
    # expects it, without the traceback of whatever was being imported.
    awaits_command = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if awaits_command:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from earhook.cli import main as run

    if awaits_command:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
