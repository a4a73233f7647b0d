"""Linear streams: the affine maps between populations, and relays that several of them share."""
