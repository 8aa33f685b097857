"""Call audio over HTTPS POST: the second door of the gateway."""
