"""Spiking networks as files for other programs."""
