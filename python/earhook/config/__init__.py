"""The configuration: its shape, how it is read, checked, printed and documented."""
