"""Outputs that are no row of classes are judged by what suits them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.models import mlp
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn import CodingError, DataError
from onnx2genn.cli import main
from onnx2genn.ir.run import session

X = normal(60, 2, 6, 6)


def image_to_image(*heads: onnx.NodeProto, channels: int = 3) -> onnx.ModelProto:
    """Make a network of two convolutions that keep the size of images."""
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("Relu", "a", "r"),
        node("Conv", "r v", "z" if heads else "y"),
        *heads,
    ]
    weights = {"w": normal(8, 2, 3, 3), "v": normal(channels, 8, 1, 1)}
    return model(nodes, {"x": ["N", 2, 6, 6]}, weights)


def ann(proto: onnx.ModelProto, x: np.ndarray = X) -> np.ndarray:
    (found,) = session(proto).run(None, {"x": x})
    return np.asarray(found)


def test_a_map_of_values_has_errors_and_no_agreement() -> None:
    network = onnx2genn.convert(image_to_image(), X)
    found = network.evaluate(X, backend="onnxruntime")
    got, wanted = network.predict(X, backend="onnxruntime"), ann(image_to_image())
    assert (found.agreement, found.agreement_by_step, found.snn_accuracy) == (None, None, None)
    assert found.score.metric == "nrmse"
    error = np.sqrt(np.mean((got - wanted) ** 2))
    assert found.score.error == pytest.approx(error, rel=1e-4)
    assert found.score.to_ann == pytest.approx(error / wanted.std(), rel=1e-4)
    assert found.score.to_ann == pytest.approx(found.score.to_ann_by_step[-1])
    assert found.score.to_ann < 0.02
    assert found.score.correlation == pytest.approx(
        np.corrcoef(got.ravel(), wanted.ravel())[0, 1], rel=1e-4
    )
    assert not found.differences
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_right_values_give_the_error_of_the_task() -> None:
    network = onnx2genn.convert(image_to_image(), X)
    wanted = ann(image_to_image())
    found = network.evaluate(X, wanted + 1.0, backend="onnxruntime").score
    assert (found.metric, found.units) == ("mae", True)
    assert found.ann == pytest.approx(1.0, rel=1e-4)
    assert found.snn == pytest.approx(1.0, abs=0.1)


def test_classes_are_chosen_at_every_position() -> None:
    proto = image_to_image(node("Softmax", "z", "y", axis=1))
    network = onnx2genn.convert(proto, X)
    wanted = ann(proto).argmax(axis=1)
    found = network.evaluate(X, wanted, backend="onnxruntime")
    chosen = network.predict(X, backend="onnxruntime").argmax(axis=1)
    assert found.ann_accuracy == 1.0
    assert found.snn_accuracy == found.agreement == np.mean(chosen == wanted)
    overlap = network.evaluate(X, wanted, metric="iou", backend="onnxruntime").score
    assert overlap.ann == 1.0
    assert 0.8 < overlap.to_ann < 1


def test_a_mask_is_judged_by_its_overlap() -> None:
    proto = image_to_image(node("Sigmoid", "z", "y"), channels=1)
    network = onnx2genn.convert(proto, X)
    mask = ann(proto) > 0.5
    found = network.evaluate(X, mask, backend="onnxruntime").score
    got = network.predict(X, backend="onnxruntime") > 0
    assert (found.metric, found.ann) == ("iou", 1.0)
    assert found.snn == found.to_ann == pytest.approx((got & mask).sum() / (got | mask).sum())


def test_users_get_the_output_of_the_model() -> None:
    for head in ("Softmax", "ArgMax"):
        proto = image_to_image(node(head, "z", "y", axis=1))
        network = onnx2genn.convert(proto, X, steps=12)
        logits = network.predict(X, backend="onnxruntime")
        answers = network.predict(X, heads=True, backend="onnxruntime")
        assert logits.shape == (60, 3, 6, 6)
        if head == "ArgMax":
            assert np.array_equal(answers, logits.argmax(axis=1)[:, None])
        else:
            np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
            np.testing.assert_allclose(answers, ann(proto), atol=0.02)


def test_without_heads_the_output_is_the_readout() -> None:
    network = onnx2genn.convert(image_to_image(), X)
    plain = network.predict(X, backend="onnxruntime")
    assert np.array_equal(network.predict(X, heads=True, backend="onnxruntime"), plain)


def test_steps_are_chosen_by_the_error_of_values() -> None:
    network = onnx2genn.convert(image_to_image(), X, steps="auto", loss=0.02)
    assert network.evaluate(X, backend="onnxruntime").score.to_ann <= 0.02
    fewer = onnx2genn.convert(image_to_image(), X, steps=network.coding.steps - 1)
    assert fewer.evaluate(X, backend="onnxruntime").score.to_ann > 0.02
    with pytest.raises(CodingError, match="units"):
        onnx2genn.convert(image_to_image(), X, steps="auto", metric="mae")
    by_units = onnx2genn.convert(image_to_image(), X, steps="auto", metric="mae", loss=0.5)
    assert by_units.evaluate(X, metric="mae", backend="onnxruntime").score.to_ann <= 0.5


def test_wrong_answers_and_metrics_are_refused() -> None:
    network = onnx2genn.convert(mlp(), normal(40, 6))
    with pytest.raises(DataError, match="the outputs y"):
        network.evaluate(normal(4, 6), {"z": np.zeros(4, int)}, backend="onnxruntime")
    with pytest.raises(CodingError, match="no metric"):
        network.evaluate(normal(4, 6), metric="f1", backend="onnxruntime")


def test_the_command_line_says_what_suits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, data, page = (str(tmp_path / name) for name in ("m.onnx", "x.npz", "r.html"))
    onnx.save(image_to_image(), source)
    np.savez(data, x=X)
    common = [source, "--calibrate", data, "--evaluate", data, "--backend", "onnxruntime"]
    assert main([*common, "--report", page]) == 0
    out = capsys.readouterr().out
    assert "error against the ANN" in out
    assert "agreement" not in out
    assert "agreement" not in (tmp_path / "r.html").read_text()
    assert main([*common, "--metric", "accuracy"]) == 0
    assert "agreement with the ANN" in capsys.readouterr().out
    onnx.save(image_to_image(node("Softmax", "z", "y", axis=1)), source)
    assert main(common) == 0
    assert "heads=True" in capsys.readouterr().out


def test_errors_behind_heads_choose_steps() -> None:
    proto = image_to_image(node("Sigmoid", "z", "y"), channels=1)
    network = onnx2genn.convert(proto, X, steps="auto", metric="mae", loss=0.01)
    answers = network.predict(X, heads=True, backend="onnxruntime")
    assert np.abs(answers - ann(proto)).mean() <= 0.01
