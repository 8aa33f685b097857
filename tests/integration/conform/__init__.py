"""`earhook conform` against servers that keep the protocol, and that do not."""
