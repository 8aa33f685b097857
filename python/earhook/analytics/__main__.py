"""`python -m earhook.analytics`: a process that `processes.py` starts; not for people."""

import sys

from .process import run_process

sys.exit(run_process())
