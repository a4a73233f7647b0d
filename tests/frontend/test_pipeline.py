"""The passes, one by one: after each of them the graph computes what the file computes."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers import grid_networks
from helpers.models import mlp
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.frontend import pipeline
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.file import load_proto
from onnx2genn.frontend.outputs import choose_outputs
from onnx2genn.frontend.pipeline import DEQUANTISED, EXPANDED, PASSES, read, run
from onnx2genn.frontend.raw import raw_graph
from onnx2genn.frontend.reference import Expected, Reference
from onnx2genn.frontend.verify import verify, without_roundings
from onnx2genn.ir.graph import CANONICAL_OPSET, Graph

TESTS = Path(__file__).parents[1]
FILES = sorted([*TESTS.glob("models/*.onnx"), *TESTS.glob("fixtures/*.onnx")])


def quantised() -> onnx.ModelProto:
    """A layer with its activations in 8 bits, exported for a batch of two."""
    nodes = [
        node("MatMul", "x w", "m"),
        node("Relu", "m", "r"),
        node("QuantizeLinear", "r s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Reshape", "d shape", "f"),
        node("MatMul", "f v", "y"),
    ]
    weights = {
        "w": normal(3, 6, 8),
        "v": normal(24, 4, seed=1),
        "s": np.asarray(np.float32(0.03)),
        "z": np.asarray(np.int8(0)),
        "shape": np.array([2, 24]),
    }
    return model(nodes, {"x": [2, 3, 1, 6]}, weights)


def attention() -> onnx.ModelProto:
    """Weighted sums of values, with the batch in the middle for a while."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("MatMul", "t w", "q"),
        node("Transpose", "q", "a", perm=[1, 0, 2]),
        node("Transpose", "q", "b", perm=[1, 2, 0]),
        node("MatMul", "a b", "scores"),
        node("Softmax", "scores", "p", axis=-1),
        node("MatMul", "p a", "o"),
        node("Gelu", "o", "g"),
        node("Flatten", "g", "y"),
    ]
    return model(nodes, {"x": ["N", 4, 5]}, {"w": normal(5, 5)}, opset=20)


MODELS = {
    **{path.stem: lambda path=path: onnx.load(path) for path in FILES},
    **grid_networks.NETWORKS,
    "mlp": mlp,
    "quantised": quantised,
    "attention": attention,
}


@pytest.mark.parametrize("name", MODELS)
def test_after_every_pass(name: str) -> None:
    proto = load_proto(MODELS[name]())
    file, types, batch = raw_graph(proto, choose_outputs(proto)[0])
    context = Context(input_types=types, batch=batch)
    frozen = batch is not None
    reference = None
    for step, graph in run(file, context, PASSES):
        if step.name == EXPANDED:
            runner = context.runner(graph)
            reference = Reference(graph=graph, runner=runner, input_types=types, batch=batch)
        if step.name == DEQUANTISED and context.roundings:
            reference = without_roundings(reference, graph, context.roundings)
        if step.name == "open batch":
            frozen = False
        if reference is None or frozen:  # it does not run on other numbers of samples yet
            continue
        own = types if graph.opset != CANONICAL_OPSET or graph.imports else None
        # Squares, which products become, lose digits.
        assert verify(reference.expect(), graph, file.inputs, input_types=own) < 1e-2, step.name
    assert read(proto).error < 1e-2


def test_the_trace_has_a_line_for_each() -> None:
    found = read(mlp())
    assert [line.split(":")[0] for line in found.trace] == [item.name for item in PASSES]
    assert "nodes" in found.trace[0]


def test_names_are_unique() -> None:
    assert len({item.name for item in PASSES}) == len(PASSES)


def test_problems_of_all_passes_are_refused_before_the_next() -> None:
    nodes = [node("Unique", "x", "u"), node("NonZero", "u", "y")]
    proto = model(nodes, {"x": ["N", 3]})
    with pytest.raises(UnsupportedModelError) as raised:
        onnx2genn.convert(proto)
    assert {item.operator for item in raised.value.problems} >= {"Unique"}


class Held:
    """A protobuf model that can be seen to go."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto

    def __getattr__(self, name: str) -> object:
        return getattr(self.proto, name)


def test_weights_are_not_kept_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def load(source: onnx.ModelProto) -> Held:
        held = Held(source)
        seen.append(weakref.ref(held))
        return held

    def require(size: object) -> None:
        seen.append(seen[0]())

    monkeypatch.setattr(pipeline, "load_proto", load)
    monkeypatch.setattr(pipeline.size, "require", require)
    read(mlp())
    assert seen[1:] == [None]


def test_tensors_are_kept_that_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def compare(expected: Expected, graph: Graph, entries: dict[str, tuple[int, ...]]) -> float:
        kept.append((expected, graph))
        return verify(expected, graph, entries)

    monkeypatch.setattr(pipeline, "verify", compare)
    assert read(attention()).error < 1e-4
    ((expected, graph),) = kept
    assert expected.tensors.keys() == expected.tolerances.keys() < expected.graph.producers.keys()
    assert expected.tensors.keys() == expected.graph.producers.keys() & graph.producers.keys()
