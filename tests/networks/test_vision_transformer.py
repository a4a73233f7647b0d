"""A trained vision transformer on handwritten digits: the SNN answers as the ANN does."""

from pathlib import Path

import numpy as np
import pytest

import onnx2genn

NETWORK = Path(__file__).parents[1] / "models" / "digits_vit.onnx"
EXAMPLES = Path(onnx2genn.__file__).parent / "examples"


def digits(split):
    with np.load(EXAMPLES / f"digits_{split}.npz") as data:
        return data["x"].transpose(0, 3, 1, 2).copy(), data["y"].astype(int)


@pytest.mark.parametrize("steps", [8, 10])
def test_accuracy(steps):
    network = onnx2genn.convert(NETWORK, digits("train")[0][:500], steps=steps)
    assert network.neurons < 20_000
    found = network.evaluate(*digits("test"), backend="onnxruntime")
    assert found.ann_accuracy > 0.95
    assert abs(found.snn_accuracy - found.ann_accuracy) <= 0.005
    assert found.snn_accuracy == found.forecast_accuracy
    assert found.agreement > 0.99
    assert min(item.correlation for item in found.populations) > 0.98
