"""From activations on calibration samples to thresholds."""
