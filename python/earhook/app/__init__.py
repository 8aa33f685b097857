"""Composition: the only room that knows every other one.

`gateway.py` is the one to read first: what there is, how it starts, and how it ends. `files.py`
reads what rooms are made from, `ways_in.py` and `https_door.py` build the doors, `reloading.py`
lists what can be changed while calls are live, `serving.py` makes a process of it.
"""

from .gateway import Gateway
from .serving import serve

__all__ = ["Gateway", "serve"]
