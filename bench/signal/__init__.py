"""How right the analysis of calls is: who speaks, keys, tones, music."""
