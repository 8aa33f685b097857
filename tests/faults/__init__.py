"""What workers do when things go wrong: stories that are played against a real `earhook serve`.

`python -m faults` (from `tests`, or `just faults`) plays the long ones and prints a table; the
suite plays short forms of some.
"""
