"""CPU and memory per call of the gateway, beside servers that do less, in the same run."""
