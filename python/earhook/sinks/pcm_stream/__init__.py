"""The PCM stream: many calls to many consumers, over Unix sockets or TCP.

`docs/reference/pcm-stream.md` is what goes over the wire. Here, from the outside in: `sink` is
what the hub knows, `endpoint` listens or dials, `subscriber` is one connection, `outbox` decides
what it is sent in which order, `messages`, `subscription` and `commands` read what it says, and
`ledger` keeps the books. Of these only `endpoint`, `subscriber` and `sink` know a loop.
"""
