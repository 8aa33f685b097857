"""Sockets, TLS, the upgrade and the strict frame rules; the only room that imports picows.

A connection's way through the files: `server.py` accepts it, `gate.py` reads its request
(`request.py`) and decides (`upgrade.py`), `handover.py` turns it into a WebSocket, `strict.py`
holds it to the rules, `connection.py` ties it to a session and a pipeline.
"""
