"""How the gateway shows itself: log lines, metrics, the watch on the event loop. A leaf."""
