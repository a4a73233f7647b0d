"""How onnxruntime is used."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from conftest import Example
from helpers.onnx_models import model as proto
from helpers.onnx_models import node, normal
from onnx import numpy_helper

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir import run as runtime
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner, samples_at_once, serialised


def test_large_networks_are_computed_a_few_samples_at_a_time() -> None:
    with onnx2genn.memory_budget(100):
        assert samples_at_once(100, 50) == 50
        assert samples_at_once(2**22, 256) == 32
        assert samples_at_once(10**9, 50) == 1


def test_large_weights_are_no_part_of_what_is_serialised(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would end at 2 GiB."""
    w, v = normal(8, 40), normal(40, 300)
    nodes = [node("Gemm", "x w", "z"), node("MatMul", "z v", "a"), node("Add", "a b", "y")]
    large = proto(nodes, {"x": ["N", 8]}, {"w": w, "v": v, "b": normal(300)})
    kept = large.SerializeToString()
    sizes = []
    monkeypatch.setattr(runtime, "_FED_BYTES", 1000)
    monkeypatch.setattr(
        runtime, "serialised", lambda model: sizes.append(model.ByteSize()) or serialised(model)
    )
    runners = [Runner(large, optimise=optimise) for optimise in (False, True)]
    assert large.SerializeToString() == kept
    assert max(sizes) < w.nbytes
    x, b = normal(3, 8), numpy_helper.to_array(large.graph.initializer[2])
    del large, kept
    gc.collect()
    for runner in runners:
        np.testing.assert_allclose(runner({"x": x})["y"], x @ w @ v + b, rtol=1e-4, atol=1e-4)


def test_a_model_beyond_the_limit_of_onnx_is_explained() -> None:
    class TooLarge:
        def SerializeToString(self) -> bytes:
            raise ValueError("Failed to serialize proto")

    with pytest.raises(UnsupportedModelError, match="2 GiB"):
        serialised(TooLarge())  # type: ignore[arg-type]


@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_the_batch_changes_no_threshold(
    digits: Example, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = digits.x_train[:60]
    wanted = onnx2genn.convert(digits.model, x, coding)
    monkeypatch.setattr(runtime, "_KEPT_BYTES", 7 * 4 * wanted.neurons)
    found = onnx2genn.convert(digits.model, x, coding)
    for name, threshold in wanted.thresholds.items():
        # Sums of another batch may differ in their last digits.
        np.testing.assert_allclose(found.thresholds[name], threshold, rtol=1e-5)


def test_large_weights_are_given_as_they_lie() -> None:
    weight = normal(1024, 512)
    product = Node(op="MatMul", inputs=("x", "w"), outputs=("y",), name="product")
    graph = Graph(inputs={"x": (1024,)}, output="y", nodes=[product], constants={"w": weight})
    runner = Runner.of(graph)
    assert runner.inputs == ("x",)
    x = normal(3, 1024)
    np.testing.assert_allclose(runner({"x": x})["y"], x @ weight, rtol=1e-4, atol=1e-4)
    weight[:] = 0
    assert (runner({"x": x})["y"] == 0).all()


def test_so_many_samples_at_a_time_stay_in_a_cache(digits: Example) -> None:
    """Few where tensors are large; more where each run loads weights that outweigh them."""
    model = read(digits.model)
    largest = max(4 * int(np.prod(item.shape)) for item in model.parts.populations)
    assert model.samples_in_cache == 2**20 // largest
    wide = {"w": normal(2**18, 4), "v": normal(4, 2)}
    nodes = [node("MatMul", "x w", "z"), node("Relu", "z", "a"), node("MatMul", "a v", "y")]
    few_neurons = read(proto(nodes, {"x": ["N", 2**18]}, wide))
    assert few_neurons.samples_in_cache == 2**18 + 2
