"""The load generator: plays Genesys, many times over, against any AudioHook server.

Read `shape.py` (when calls are due), `agenda.py` (how thousands of them are driven by one timer)
and `call.py` (one of them) first; `proof.py` says what is proved at the far end, `outcome.py` what
comes out. Nothing but the command line imports this room.
"""
