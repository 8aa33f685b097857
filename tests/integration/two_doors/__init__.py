"""The whole gateway with both doors over TLS."""
