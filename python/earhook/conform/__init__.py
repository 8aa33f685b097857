"""`earhook conform`: whether a server keeps the AudioHook protocol, clause by clause.

`clauses/` is the list, a file for each part of the protocol. A check gets a `Stage`, talks to the
server over sockets of its own, and returns its evidence or raises `Broken`. `suite.py` runs them,
`report.py` writes down what came out.
"""
