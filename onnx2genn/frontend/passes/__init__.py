"""The rewrites of a graph, one in each module; ``pipeline`` has their order."""
