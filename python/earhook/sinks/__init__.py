"""Sinks: the ways out. One package or file a way, one contract (`base`), one suite of tests."""
