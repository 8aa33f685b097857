"""What workers do when things go wrong: stories that are played against a real `earhook serve`.

`just faults` (`PYTHONPATH=tests python -m faults`) plays the long ones. Short forms are in the
suite: `integration/workers/test_workers.py` (kills, stopped, parent, rolled),
`integration/workers/test_hard_times.py` (descriptors), `integration/workers/test_recycling.py`
(memory, and age besides).
"""
