"""The AudioHook protocol as a value machine: no socket, clock, task, randomness or log.

Bytes, lengths and the time go in; replies, events and a deadline come out. Start reading at
`states.py` (the tables) and `session.py` (the doors). The clauses cited in this room
("AudioHook protocol §8") are those of `docs/protocol/audiohook.md`.
"""
