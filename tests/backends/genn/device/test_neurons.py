"""The text of neuron models."""

from __future__ import annotations

import re

import numpy as np
from helpers import grid_networks
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.backends.genn.device.neurons import _simulation, states_of
from onnx2genn.backends.genn.planner import make_plan

HOSTILE = (
    '"); system("reboot"); //', "*/ #include </etc/passwd>", "a\nb", "a b", "a_b", "Ω", "int", "9",
    "../../x", "", "$(id)", "__x__", "input_", "readout_", "x" * 300,
)  # fmt: skip


def test_names_of_the_model_are_no_code() -> None:
    """Whatever a node is called, generated code has an identifier of its own for it."""
    nodes, last = [], "x"
    for index, name in enumerate(HOSTILE):
        nodes += [
            node("MatMul", f"{last} w", f"m{index}"),
            node("Relu", f"m{index}", f"{index};}}//", name=name),
        ]
        last = f"{index};}}//"
    nodes.append(node("MatMul", f"{last} w", "y"))
    proto = model(nodes, {"x": ["N", 3]}, {"w": np.eye(3, dtype=np.float32)})
    plan = make_plan(onnx2genn.convert(proto))
    names = [item.name for item in plan.neurons]
    assert len(names) == len(set(names)) == len(HOSTILE) + 1  # the readout
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name, re.ASCII) for name in names)
    for item in plan.neurons:
        states = states_of(item, buffered=True)
        text = _simulation(item, plan.steps, states, buffered=True, scatter=True)
        assert not any(name in text for name in (*HOSTILE[:3], "Ω", "../", "$", "//\n;", ";}//"))


def test_the_text_of_a_pool_does_not_grow_with_its_window() -> None:
    """Else a global max pooling takes minutes to compile."""
    texts = []
    for size in (8, 32):
        plan = make_plan(onnx2genn.convert(grid_networks.largest(size)))
        pool = plan.by_name["pool"]
        assert pool.ports == size**2
        texts.append(_simulation(pool, plan.steps, ["S"], buffered=True, scatter=True).splitlines())
    assert len(texts[0]) == len(texts[1]) < 40
