"""The control plane: who may enter, how the gateway starts and ends, and the admin port."""
