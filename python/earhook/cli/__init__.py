"""The command `earhook`. Each command lies in a module of its own and is imported when called."""

from .main import main

__all__ = ["main"]
