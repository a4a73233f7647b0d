"""Which relays are taken by cost."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import grid_networks
from helpers.onnx_models import model, node, normal

from onnx2genn.coding import make
from onnx2genn.frontend.pipeline import read
from onnx2genn.streams.layout import make_streams


def bottleneck(narrow: int, *, steps: int = 8, coding: str = "few-spike") -> set[str]:
    nodes = [
        node("Relu", "x", "r"),
        node("Conv", "r w", "narrow"),
        node("Conv", "narrow v", "c"),
        node("Relu", "c", "q"),
        node("GlobalAveragePool", "q", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f u", "y"),
    ]
    weights = {
        "w": normal(narrow, 96, 1, 1),
        "v": normal(96, narrow, 1, 1),
        "u": normal(96, 200),
    }
    parts = read(model(nodes, {"x": ["N", 96, 7, 7]}, weights)).parts
    return set(make_streams(parts, make(coding, steps=steps)).relays)


@pytest.mark.parametrize(("narrow", "relayed"), [(8, True), (90, False)])
def test_a_bottleneck_is_sent_on_where_it_is_narrow(narrow: int, relayed: bool) -> None:
    assert ("narrow" in bottleneck(narrow)) == relayed
    # A mean of all places before many classes.
    assert "g" in bottleneck(narrow)


def test_it_depends_on_how_often_neurons_send() -> None:
    """One spike of few neurons in many steps against a relay that has to be updated in each."""
    assert "narrow" in bottleneck(8, coding="two-phase", steps=16)
    assert "narrow" not in bottleneck(8, coding="first-spike", steps=256)


def residual(blocks: int) -> onnx.ModelProto:
    """A linear stream that every block reads and adds to."""
    nodes, weights, stream = [node("Relu", "x", "r"), node("Conv", "r w", "s0")], {}, "s0"
    for index in range(1, blocks + 1):
        nodes += [
            node("Conv", f"{stream} v{index}", f"a{index}"),
            node("Relu", f"a{index}", f"b{index}"),
            node("Conv", f"b{index} w{index}", f"c{index}"),
            node("Add", f"c{index} {stream}", f"s{index}"),
        ]
        stream = f"s{index}"
        weights |= {f"v{index}": normal(64, 16, 1, 1), f"w{index}": normal(16, 64, 1, 1)}
    nodes += [node("Relu", stream, "z"), node("GlobalAveragePool", "z", "y")]
    return model(nodes, {"x": ["N", 64, 5, 5]}, {"w": normal(16, 64, 1, 1), **weights})


def test_synapses_of_a_residual_stream_grow_with_its_length_alone() -> None:
    found = {}
    for blocks in (3, 6):
        parts = read(residual(blocks)).parts
        for relays in ("auto", "none"):
            streams = make_streams(parts, make("few-spike", steps=8), relays)
            maps = [part for several in streams.maps.values() for part in several]
            maps += [item.segment for item in streams.relays.values()]
            found[blocks, relays] = sum(len(part.sources) for part in maps)
    assert found[6, "auto"] <= 2 * found[3, "auto"]
    assert found[6, "none"] >= 2.5 * found[3, "none"]


def test_networks_without_linear_streams_have_no_relays() -> None:
    network = grid_networks.convert("mobile", "few-spike", steps=6)
    assert not make_streams(network.model.parts, network.coding).relays


def test_the_choice_is_always_the_same() -> None:
    parts = grid_networks.convert("together", "few-spike", steps=6).model.parts
    first, second = (list(make_streams(parts, make("few-spike", steps=6)).relays) for _ in "12")
    assert first == second and np.size(first)
