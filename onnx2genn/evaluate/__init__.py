"""How the spiking network does against its ANN, and what it costs."""
