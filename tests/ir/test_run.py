"""How onnxruntime is used."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Example
from helpers.onnx_models import normal

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.ir import run as runtime
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner, samples_at_once, serialised


def test_large_networks_are_computed_a_few_samples_at_a_time() -> None:
    with onnx2genn.memory_budget(100):
        assert samples_at_once(100, 50) == 50
        assert samples_at_once(2**22, 256) == 32
        assert samples_at_once(10**9, 50) == 1


def test_a_model_beyond_the_limit_of_onnx_is_explained() -> None:
    class TooLarge:
        def SerializeToString(self) -> bytes:
            raise ValueError("Failed to serialize proto")

    with pytest.raises(UnsupportedModelError, match="2 GiB"):
        serialised(TooLarge())  # type: ignore[arg-type]


@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_the_batch_hardly_changes_the_thresholds(
    digits: Example, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = digits.x_train[:60]
    wanted = onnx2genn.convert(digits.model, x, coding)
    monkeypatch.setattr(runtime, "_KEPT_BYTES", 7 * 4 * wanted.neurons)
    found = onnx2genn.convert(digits.model, x, coding)
    for name, threshold in wanted.thresholds.items():
        # Where bins and candidates lie depends on the first batch.
        assert np.abs(found.thresholds[name] / threshold - 1).mean() < 0.1


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
