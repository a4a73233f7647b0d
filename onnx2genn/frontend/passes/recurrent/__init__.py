"""Networks with a state, written as the steps that they take."""
