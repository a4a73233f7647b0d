"""The text of neuron models."""

from __future__ import annotations

from helpers import grid_networks

import onnx2genn
from onnx2genn.backends.genn.device.neurons import _simulation
from onnx2genn.backends.genn.planner import make_plan


def test_the_text_of_a_pool_does_not_grow_with_its_window() -> None:
    """Else a global max pooling takes minutes to compile."""
    texts = []
    for size in (8, 32):
        plan = make_plan(onnx2genn.convert(grid_networks.largest(size)))
        pool = plan.by_name["pool"]
        assert pool.ports == size**2
        texts.append(_simulation(pool, plan.steps, ["S"], buffered=True, scatter=True).splitlines())
    assert len(texts[0]) == len(texts[1]) < 40
