"""Models without any activation: one affine map from the input to the readout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.cli import main
from onnx2genn.coding import CODINGS, PRESETS, make
from onnx2genn.data import samples_of

WEIGHTS = {"w": normal(5, 3), "b": normal(3)}
NETWORKS = {
    "linear": model([node("Gemm", "x w b", "y")], {"x": ["N", 5]}, WEIGHTS),
    "probabilities": model(
        [node("Gemm", "x w b", "l"), node("Softmax", "l", "y", axis=1)], {"x": ["N", 5]}, WEIGHTS
    ),
    "convolution": model(
        [node("Conv", "x w", "c"), node("GlobalAveragePool", "c", "g"), node("Flatten", "g", "y")],
        {"x": ["N", 2, 5, 5]},
        {"w": normal(3, 2, 3, 3)},
    ),
    "nothing": model([node("Identity", "x", "y")], {"x": ["N", 5]}),
    "two inputs": model([node("Add", "a b", "y")], {"a": ["N", 5], "b": ["N", 5]}),
}


def samples(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {
        info.name: normal(
            40, *[dim.dim_value for dim in info.type.tensor_type.shape.dim[1:]], seed=index
        )
        for index, info in enumerate(proto.graph.input)
    }


@pytest.mark.parametrize("coding", [*CODINGS, *PRESETS])
@pytest.mark.parametrize("name", NETWORKS)
def test_they_answer_as_the_ann(name: str, coding: str, tmp_path: Path) -> None:
    proto = NETWORKS[name]
    x = samples(proto)
    assert onnx2genn.check(proto) == []
    chosen = make(coding, steps=12)
    for calibration in (x, None):
        network = onnx2genn.convert(proto, calibration, chosen)
        assert network.populations == ()
        network.save(tmp_path / "snn.onnx")
        loaded = onnx2genn.load(tmp_path / "snn.onnx")
        logits = network.predict(x, backend="onnxruntime")
        assert np.array_equal(loaded.predict(x, backend="onnxruntime"), logits)
        found = network.evaluate(x, backend="onnxruntime")
        assert (found.populations, found.spikes_per_sample) == ([], 0.0)
        target = network.model.parts.readout.target
        entry = {network.input_name: samples_of(network.entries, x)}
        (wanted,) = network.model.runner([target])(entry).values()
        if network.poisson:  # random spikes, and a readout that fires has no negative values
            assert found.agreement > 0.4
        else:
            np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-6)
            assert found.agreement == 1.0


@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_one_step_is_enough(coding: str) -> None:
    proto = NETWORKS["linear"]
    assert onnx2genn.convert(proto, samples(proto), coding, steps="auto").coding.steps == 1


def test_the_command_line(tmp_path: Path) -> None:
    source, saved, result, data = (tmp_path / name for name in ("m", "s", "r", "d.npz"))
    onnx.save(NETWORKS["probabilities"], source)
    np.savez(data, x=normal(20, 5), y=np.zeros(20, int))
    assert main([str(source), "--check"]) == 0
    common = ["--evaluate", str(data), "--backend", "onnxruntime", "--json", str(result)]
    assert main([str(source), "--calibrate", str(data), "--save", str(saved), *common]) == 0
    assert json.loads(result.read_text())["agreement"] == 1.0
    assert main([str(saved), *common]) == 0
