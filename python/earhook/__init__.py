"""Earhook: Genesys Cloud AudioHook calls in, raw PCM out.

The public doors for programs are `earhook.client` (consume the PCM stream) and
`earhook.testing` (fakes to test your own sinks with). Everything else is the gateway itself,
started with the command `earhook`.
"""

__all__ = ["__version__"]

TYPE_CHECKING = False  # as `typing` has it, which would be the slowest part of this import

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """`__version__`, when it is asked for: to read it takes as long as a small command."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return globals().setdefault(name, version("earhook"))
