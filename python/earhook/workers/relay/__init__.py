"""The one address that consumers of the PCM stream connect to, whichever worker has a call.

A process of its own. For each consumer it holds one connection to each worker, as an ordinary
consumer of that worker, and merges what they send. It keeps no audio: a consumer that is slow
makes it read less, and then what the worker does with slow consumers holds for this one.

From the outside in: `keeper` is the parent's part, `process` runs the rest, `exchange` stands in
for one sink, `consumer` is one consumer's connection and `upstream` its connection with a worker.
"""
