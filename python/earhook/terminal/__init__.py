"""What a terminal shows of a gateway that runs elsewhere: `earhook top` and `earhook tail`.

Everything comes from the admin port, as docs/reference/console-feed.md describes it.
`admin_port.py` asks, `live_list.py` keeps what the feed says, `top_view.py` draws it,
`event_text.py` writes an event as one line. Only `cli` and `demo` know this room.
"""
