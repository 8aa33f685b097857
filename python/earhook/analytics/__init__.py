"""What calls say: recognisers, words and rules, in processes of their own (`earhook analyze`).

A consumer of the PCM stream like any other, on `earhook.client`; the gateway knows nothing of it.
`segment.py` is what is heard, `engine.py` who hears it, `result.py` what goes back.
"""
