"""A plan as a PyGeNN model."""
