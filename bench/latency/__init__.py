"""How old a frame is when a local subscriber of the PCM stream has it, beside a C relay."""
