"""Earhook: Genesys Cloud AudioHook calls in, raw PCM out.

The public doors for programs are `earhook.client` (consume the PCM stream) and
`earhook.testing` (fakes to test your own sinks with). Everything else is the gateway itself,
started with the command `earhook`.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("earhook")
