"""Recordings: one WAV file per call and a JSON sidecar beside it.

Start reading at `sink` (the loop's side), then `writer` (the thread that writes) and `recording`
(one call on disk). `repair` and `inspect` work on files alone and need no gateway.
"""
