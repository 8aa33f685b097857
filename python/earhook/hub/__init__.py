"""The hub: who is live and who reads. It never sees audio."""
