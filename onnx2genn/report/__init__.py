"""Evaluations and networks as text for a terminal."""
