"""Calls come and go for an hour, or for a night: nothing may be lost, and nothing may grow."""
