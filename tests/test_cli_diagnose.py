"""``--diagnose`` on data and networks that are broken on purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn.cli import main
from onnx2genn.evaluate.variants import better_prepared, variants


def diagnosed(digits: Example, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    common = ["--backend", "onnxruntime", "--limit", "200", "--diagnose"]
    assert main([str(digits.model), "--calibrate", str(digits.train), *common, *words]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_what_a_remedy_brings_is_told(
    digits: Example, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    words = ["--evaluate", str(digits.test), "--steps", "1", "--report", str(page)]
    text = diagnosed(digits, capsys, *words)
    assert "Tried --steps 2: accuracy" in text
    before, after = (
        onnx2genn.convert(digits.model, digits.x_train, steps=steps)
        .evaluate(digits.x_test[:200], digits.y_test[:200], backend="onnxruntime")
        .snn_accuracy
        for steps in (1, 2)
    )
    assert f"{100 * before:.2f} % -> {100 * after:.2f} %" in text
    assert "Tried --steps 2" in page.read_text("utf-8")


def test_a_good_network_needs_nothing(digits: Example, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing to mend" in diagnosed(digits, capsys, "--evaluate", str(digits.test))


def test_a_wrong_layout_is_found(
    digits: Example, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    turned = tmp_path / "turned.npz"
    np.savez(turned, x=digits.x_test.swapaxes(1, 2), y=digits.y_test)
    text = diagnosed(digits, capsys, "--evaluate", str(turned))
    assert "With the axes of a sample in the order 2, 1, 3" in text


@pytest.mark.parametrize(
    ("spoil", "how"),
    [
        (lambda x, y: (1 - x, y), "dark and light exchanged"),
        (lambda x, y: (x, y.astype(int) + 1), "labels that begin at 0"),
        (lambda x, y: (x, y.astype(int) - 1), "labels that begin at 1"),
    ],
)
def test_how_data_were_meant_is_found(digits: Example, spoil, how: str) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train)
    x, y = digits.x_test[:200], digits.y_test[:200]
    assert better_prepared(network, x, y) == []
    (line,) = better_prepared(network, *spoil(x, y))
    assert how in line


def test_ways_to_read_samples_keep_their_shape() -> None:
    x = np.random.default_rng(0).random((5, 3, 4, 4), dtype=np.float32)
    found = dict(variants(x))
    assert all(item.shape == x.shape for item in found.values())
    mistaken = x.transpose(0, 2, 3, 1).reshape(x.shape)  # channels last, read as channels first
    assert any(np.array_equal(item, x) for item in dict(variants(mistaken)).values())


def test_a_saved_network_says_what_trying_needs(
    digits: Example, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "saved.onnx"
    onnx2genn.convert(digits.model, digits.x_train, steps=1).save(path)
    words = ["--evaluate", str(digits.test), "--limit", "50", "--backend", "onnxruntime"]
    assert main([str(path), "--diagnose", *words]) == 0
    assert "--steps 2 was not tried" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit, match="2"):
        main([str(path), "--diagnose"])
