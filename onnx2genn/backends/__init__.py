"""Engines that simulate a spiking network; ``registry`` has their names."""
