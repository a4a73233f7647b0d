"""Saving and loading spiking networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import Example

import onnx2genn
from onnx2genn import DataError, UnsupportedModelError
from onnx2genn.saving import write_atomically

CODINGS = [
    ("few-spike", {}),
    ("rate", {"steps": 16, "reset": "hard", "lookahead": 0}),
    ("diehl", {"steps": 20}),
]


@pytest.mark.parametrize(("coding", "options"), CODINGS)
def test_predictions_after_loading_are_identical(
    digits: Example, tmp_path: Path, coding: str, options: dict[str, object]
) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train[:200], coding, **options)
    network.save(tmp_path / "snn.onnx")
    loaded = onnx2genn.load(tmp_path / "snn.onnx")
    assert loaded.coding == network.coding
    assert loaded.calibration_samples == 200
    wanted = network.predict(digits.x_test[:50], backend="onnxruntime")
    assert np.array_equal(loaded.predict(digits.x_test[:50], backend="onnxruntime"), wanted)


def test_a_saved_network_is_the_ann_for_onnxruntime(digits: Example, tmp_path: Path) -> None:
    path = tmp_path / "snn.onnx"
    onnx2genn.convert(digits.model, digits.x_train[:100]).save(path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    saved, original = (
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        for file in (path, digits.model)
    )
    feeds = {original.get_inputs()[0].name: digits.x_test[:50]}
    assert np.allclose(saved.run(None, feeds)[0], original.run(None, feeds)[0], atol=1e-5)


def test_a_plain_model_is_no_saved_network(digits: Example) -> None:
    with pytest.raises(UnsupportedModelError, match="plain ONNX model"):
        onnx2genn.load(digits.model)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DataError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_another_format_is_refused(digits: Example, tmp_path: Path) -> None:
    path = tmp_path / "snn.onnx"
    onnx2genn.convert(digits.model, digits.x_train[:100]).save(path)
    proto = onnx.load(path)
    (entry,) = [item for item in proto.metadata_props if item.key == "onnx2genn"]
    entry.value = json.dumps({**json.loads(entry.value), "format": 1})
    with pytest.raises(UnsupportedModelError, match=r"format 1.*[Cc]onvert"):
        onnx2genn.load(proto)
