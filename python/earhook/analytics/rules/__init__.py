"""Rules for calls: what must be said, what must not, and what must not happen.

`language.py` is what a file of rules may hold; `rules_file.py` reads it with all of its faults at
once; `detectors.py` sees one kind of thing each; `watch.py` is windows, thresholds and *not*;
`evaluation.py` puts them together for a call. Rules that come with Earhook lie beside as TOML.
"""

from .evaluation import Evaluation, Hit, RuleBook
from .rules_file import example_rules, read_rules

__all__ = ["Evaluation", "Hit", "RuleBook", "example_rules", "read_rules"]
