"""Several processes that are one gateway: a parent, its workers, and a relay of the PCM stream.

`channel.py` is how they talk, `crew.py` decides who lives (pure, with time as an argument),
`parent.py` carries it out, `worker.py` is what a worker runs, `serving.py` begins it all.
"""
