"""The edge that both doors share: from a listening socket to a connection that may speak.

`entrance.py` is the way, and the files are its steps: `accept.py` takes a connection off the
kernel, `access.py` knows who may knock, `caps.py` gives a place among the strangers, `proxies.py`
and `proxy_protocol.py` find out who the client is, `tls.py` and `client_certificate.py` shake
hands. `arrival.py` holds what is then known, and the rules that each request is asked about.

Behind the entrance `request.py` reads the head of a request, and `response.py` has the answers
that need no thought. `redirect.py` is a whole port made of these: plain HTTP's way to HTTPS.
"""
