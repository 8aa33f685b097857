"""The live page at the admin port, and what it reads. Start with `console.py`."""
