"""Takes card numbers, phone numbers, e-mail addresses and national ids out of what was said.

`redactor.py` decides, per call; `reading.py` reads digits as people say them, `numbers.py` knows
which digits are what, `contexts.py` what is asked for, `addresses.py` finds e-mail addresses and
ids that have letters.

What it errs to is hiding: see `Redactor`.
"""

from .redactor import Finding, PersonalKind, Redactor, Told

__all__ = ["Finding", "PersonalKind", "Redactor", "Told"]
