"""Scripted speech services, each with the wire of a real one: for tests of engines, and yours.

```python
async with VoskServer([Spoken("good morning", 1.0, 2.0)]) as server:
    engine = make_engine(EngineOptions(address=server.url))
```

They do not listen to the audio. They count it, and when as much has come as the script says, they
say what the service they stand for would say. Written from the services' public documentation:
vosk-server's `asr_server.py`, Deepgram's API reference, Wyoming's README.
"""

from .deepgram import DeepgramServer
from .script import Spoken
from .vosk import VoskServer
from .wyoming import WyomingServer

__all__ = ["DeepgramServer", "Spoken", "VoskServer", "WyomingServer"]
