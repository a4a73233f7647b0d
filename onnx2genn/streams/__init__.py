"""Linear streams: the affine maps between populations, and relays that several of them share."""

AUTO, NONE, ALL = "auto", "none", "all"
RELAYS = (AUTO, NONE, ALL)
"""Choices of relays: those that make a network cheapest, none, or one wherever one may stand."""
