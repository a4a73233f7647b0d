"""The intermediate representation: graphs, how they are written and run, and affine segments."""
