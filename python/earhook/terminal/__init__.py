"""What a terminal shows of calls: `earhook top` and `earhook tail`, of a gateway elsewhere.

Everything comes from the admin port, as docs/reference/console-feed.md describes it.
`admin_port.py` asks, `live_list.py` keeps what the feed says, `top_view.py` draws it,
`event_text.py` writes an event as one line, `json_line.py` as JSON. In both, text of strangers
steers no terminal, which is why other commands write it with them. Only `cli` and `demo` know
this room.
"""
