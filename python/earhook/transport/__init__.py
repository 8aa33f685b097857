"""AudioHook over WebSocket: the upgrade, and what a call's frames mean.

A connection's way through the files: `server.py` accepts it, `gate.py` reads its request
(`request.py`) and decides (`upgrade.py`), `strict.py` is told of its frames by the core and holds
it to the rules, `connection.py` ties it to a session and a pipeline. `dial.py` is the other end of
the wire; only there picows is used, and only in this room.
"""
