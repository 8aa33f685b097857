"""How well sentiment tells complaints from thanks: labelled lines, with and without the lexicon."""
