"""The one full scale that the decoders, the store and the noise estimate share."""

FULL_SCALE = 65535  # of uint16 pixels
