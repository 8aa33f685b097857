"""What calls sound like, of every call: who speaks when, levels, tones, dead air.

A sink as any other, with a reader and a thread of its own; what it finds it gives back to the hub,
which tells all sinks. Start reading at `sink` (the loop's side), then `measurer` (the thread) and
`telling` (facts as events).
"""
