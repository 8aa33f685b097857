"""The edge that both doors share: from a listening socket to a connection that may speak.

A connection's way through the files: `accept.py` takes it off the kernel, `caps.py` gives it a
place among the strangers, `tls.py` holds the certificate it is greeted with, `request.py` reads
the head of its request.
"""
