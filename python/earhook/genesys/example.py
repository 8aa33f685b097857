"""An annotated description: what `earhook genesys example` prints and the reference page shows."""

from __future__ import annotations

from typing import Final

__all__ = ["EXAMPLE"]

EXAMPLE: Final = """\
# What shall be in a Genesys Cloud organization, as far as AudioHook goes.
# earhook genesys plan shows what apply would change. What is not named here is left alone.

region = "eu-central-1"            # --region and $EARHOOK_GENESYS_REGION go before it

# Queues whose calls are monitored, by their ids. Without one, no call comes.
monitored_queues = []              # ["6f0d6a3e-…"]

# AudioHook Monitor integrations: the dialect that the vendor's public SDK contains.
# An organization may have five.
[[integrations]]
name = "earhook"
connection_uri = "wss://gateway.example.com/audiohook"   # takes a public certificate
channel = "both"                   # or internal, external
notes = "Calls go to Earhook"
enabled = true
# One file for both sides: the gateway reads it, apply stores it in Genesys Cloud.
# earhook genesys keys makes what is missing; paths count from this file.
api_key_file = "keys/genesys.api-key"
client_secret_file = "keys/genesys.secret"

[integrations.custom_config]       # comes with every open as customConfig
# tenant = "blue"

# AudioHooks: the dialect of a community guide. The vendor's public SDK contains none of it; where
# an organization answers 404, it does not have it. Take out the # to use it.
# [[audiohooks]]
# name = "earhook-posts"           # unique, whatever its case
# destination_url = "https://gateway.example.com:8444/stream/v1/audiohook"
# format = "OPUS"                  # or PCMU
# description = "Audio of bound conversations"
# enabled = true
# encryption_key_file = "keys/genesys.encryption-key"
"""
