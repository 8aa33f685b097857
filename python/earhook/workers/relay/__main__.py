"""`python -m earhook.workers.relay`."""

from .process import main

main()
