"""What a projection is, as GeNN's synapses know it."""
