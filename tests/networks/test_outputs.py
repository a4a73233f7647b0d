"""Networks with several outputs: one readout, told apart behind it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.onnx_models import FLOAT, model, node, normal
from onnx import helper

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.cli import main
from onnx2genn.ir.outputs import READOUT
from onnx2genn.ir.run import session

X = normal(100, 2, 6, 6)
WEIGHTS = {
    "w": normal(8, 2, 3, 3, scale=0.3),
    "m": normal(1, 8, 1, 1),
    "v": normal(8 * 36, 5, scale=0.1),
    "b": normal(5),
}
BODY = [
    node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
    node("Relu", "a", "r"),
    node("Conv", "r m", "mask"),
    node("Flatten", "r", "f"),
    node("Gemm", "f v b", "logits"),
    node("Softmax", "logits", "classes", axis=1),
    node("ArgMax", "logits", "label", axis=1, keepdims=0),
]
INPUTS = {"x": ["N", 2, 6, 6]}


def network_of(*outputs: str, further: tuple[onnx.NodeProto, ...] = ()) -> onnx.ModelProto:
    return model([*BODY, *further], INPUTS, WEIGHTS, outputs=outputs)


def ann(proto: onnx.ModelProto, x: np.ndarray = X) -> dict[str, np.ndarray]:
    names = [info.name for info in proto.graph.output]
    return dict(zip(names, session(proto).run(names, {"x": x}), strict=True))


@pytest.mark.parametrize("backend", ["onnxruntime", "single_threaded_cpu"])
def test_all_outputs_are_answered(backend: str) -> None:
    if backend != "onnxruntime":
        pytest.importorskip("pygenn", reason="PYGENN IS MISSING: GeNN is not tested")
    proto = network_of("mask", "classes")
    network = onnx2genn.convert(proto, X, steps=10)
    wanted = ann(network_of("mask", "logits"))
    x = X[:20]
    logits = network.predict(x, backend=backend)
    assert [(name, item.shape[1:]) for name, item in logits.items()] == [
        ("mask", (1, 6, 6)),
        ("classes", (5,)),
    ]
    for found, expected in zip(logits.values(), wanted.values(), strict=True):
        np.testing.assert_allclose(found, expected[:20], atol=0.03 * expected.std())
    answers = network.predict(x, heads=True, backend=backend)
    for name, expected in ann(proto, x).items():
        np.testing.assert_allclose(answers[name], expected, atol=0.05)


def test_the_output_of_another_one_takes_no_place() -> None:
    network = onnx2genn.convert(network_of("logits", "classes"), X)
    assert network.model.parts.readout.shape == (5,)
    found = network.predict(X, backend="onnxruntime")
    assert np.array_equal(found["logits"], found["classes"])


def test_outputs_are_chosen_by_name() -> None:
    proto = network_of("mask", "logits", "classes")
    alone = onnx2genn.convert(proto, X, output="classes").predict(X, backend="onnxruntime")
    assert alone.shape == (100, 5)
    two = onnx2genn.convert(proto, X, output=["classes", "mask"])
    assert [*two.predict(X, backend="onnxruntime")] == ["classes", "mask"]
    with pytest.raises(UnsupportedModelError, match="outputs are mask, logits, classes"):
        onnx2genn.convert(proto, X, output=["classes", "masks"])


def test_a_choice_may_be_one_of_them() -> None:
    proto = network_of("label", "classes")
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_tensor_value_info("label", onnx.TensorProto.INT64, None))
    proto.graph.output.append(helper.make_tensor_value_info("classes", FLOAT, None))
    assert onnx2genn.convert(proto, X).predict(X[:2], backend="onnxruntime").shape == (2, 5)
    network = onnx2genn.convert(proto, X, output=["classes", "label"], steps=12)
    answers = network.predict(X, heads=True, backend="onnxruntime")
    assert np.array_equal(answers["label"], answers["classes"].argmax(axis=1))
    assert answers["label"].dtype == np.int64


def test_heads_that_are_read_within_stay_there() -> None:
    further = (node("Concat", "classes f", "both", axis=1), node("Gemm", "both u", "more"))
    proto = network_of("classes", "more", further=further)
    proto.graph.initializer.append(
        onnx.numpy_helper.from_array(normal(5 + 8 * 36, 3, scale=0.1), "u")
    )
    network = onnx2genn.convert(proto, X, steps=12)
    answers = network.predict(X, heads=True, backend="onnxruntime")
    for name, expected in ann(proto).items():
        assert np.corrcoef(answers[name].ravel(), expected.ravel())[0, 1] > 0.99


def test_a_head_of_one_may_be_read_before_it_is_moved() -> None:
    further = (
        node("Sigmoid", "mask", "s"),
        node("Flatten", "s", "flat"),
        node("GlobalAveragePool", "s", "mean"),
        node("Flatten", "mean", "f2"),
        node("Concat", "flat f2", "two", axis=1),
        node("Gemm", "two u", "more"),
    )
    proto = network_of("flat", "more", further=further)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(normal(37, 3, scale=0.1), "u"))
    network = onnx2genn.convert(proto, X, output=["flat", "more"], steps=12)
    answers = network.predict(X, heads=True, backend="onnxruntime")
    for name, expected in ann(proto).items():
        assert np.corrcoef(answers[name].ravel(), expected.ravel())[0, 1] > 0.99


def test_each_is_evaluated_by_what_suits_it() -> None:
    proto = network_of("mask", "classes")
    network = onnx2genn.convert(proto, X)
    wanted = ann(proto)
    y = wanted["classes"].argmax(axis=1)
    found = network.evaluate(X, {"classes": y}, backend="onnxruntime")
    mask, classes = found.scores
    assert (mask.output, mask.metric, mask.snn) == ("mask", "nrmse", None)
    assert (classes.output, classes.metric, classes.ann) == ("classes", "accuracy", 1.0)
    assert mask.to_ann < 0.03
    probabilities = network.evaluate(
        X, {"classes": wanted["classes"]}, metric="mae", backend="onnxruntime"
    )
    assert probabilities.scores[1].ann == pytest.approx(0, abs=1e-5)
    assert 0 < probabilities.scores[1].snn < 0.02
    json.dumps(found.to_dict(), allow_nan=False)


def test_saved_networks_have_all_outputs(tmp_path: Path) -> None:
    proto = network_of("mask", "classes")
    network = onnx2genn.convert(proto, X)
    network.save(tmp_path / "n.onnx")
    loaded = onnx2genn.load(tmp_path / "n.onnx")
    assert loaded.model.parts.outputs == network.model.parts.outputs
    ours, theirs = (item.predict(X, backend="onnxruntime") for item in (network, loaded))
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    for name, expected in ann(onnx.load(tmp_path / "n.onnx")).items():
        np.testing.assert_allclose(expected, ann(proto)[name], rtol=1e-4, atol=1e-5)


def test_what_is_dear_or_cannot_be_converted_is_left_out() -> None:
    dear = (node("Conv", "r k", "more"), node("Conv", "more k", "evenmore"))
    proto = network_of("classes", "evenmore", further=dear)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(normal(8, 8, 3, 3, scale=0.1), "k"))
    network = onnx2genn.convert(proto, X)
    assert [item.name for item in network.model.parts.outputs] == ["classes"]
    assert any("without evenmore" in note for note in network.model.graph.notes)
    both = onnx2genn.convert(proto, X, output=["classes", "evenmore"])
    assert len(both.model.parts.outputs) == 2
    sorting = (node("NonZero", "mask", "order"), node("Cast", "order", "no", to=FLOAT))
    network = onnx2genn.convert(network_of("classes", "no", further=sorting), X)
    assert [item.name for item in network.model.parts.outputs] == ["classes"]


def test_sequences_and_states_of_recurrent_layers() -> None:
    random = {"w": normal(1, 16, 3), "r": normal(1, 16, 4, scale=0.3)}
    proto = model(
        [node("LSTM", "x w r", "y h c", hidden_size=4)],
        {"x": [5, "N", 3]},
        random,
        outputs=["y", "h", "c"],
    )
    x = normal(80, 5, 3, scale=0.5)
    network = onnx2genn.convert(proto, x, steps=12)
    answers = network.predict(x, backend="onnxruntime")
    wanted = session(proto).run(None, {"x": x.transpose(1, 0, 2)})
    assert [item.shape for item in answers.values()] == [(80, 5, 1, 4), (80, 1, 4), (80, 1, 4)]
    for found, expected in zip(answers.values(), wanted, strict=True):
        moved = np.moveaxis(np.asarray(expected), -2, 0)
        assert np.corrcoef(found.ravel(), moved.ravel())[0, 1] > 0.99


def test_streams_and_steps(tmp_path: Path) -> None:
    network = onnx2genn.convert(network_of("mask", "classes"), X, steps="auto", loss=0.05)
    assert network.model.parts.readout.target == READOUT
    wanted = network.predict(X[:3], backend="onnxruntime")
    for index, found in enumerate(network.stream(iter(X[:3]), backend="onnxruntime")):
        assert all(np.array_equal(found[name], wanted[name][index]) for name in wanted)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, data, result = (str(tmp_path / name) for name in ("m.onnx", "x.npz", "r.json"))
    onnx.save(network_of("mask", "logits", "classes"), source)
    np.savez(data, x=X, y=ann(network_of("logits"))["logits"].argmax(axis=1))
    common = ["--calibrate", data, "--evaluate", data, "--backend", "onnxruntime"]
    words = [source, *common, "--output", "classes", "--output", "mask", "--json", result]
    assert main([*words, "--report", str(tmp_path / "r.html")]) == 0
    record = json.loads(Path(result).read_text())
    assert [item["output"] for item in record["scores"]] == ["classes", "mask"]
    assert record["ann_accuracy"] == 1.0
    out = capsys.readouterr().out
    assert "classes: SNN accuracy" in out and "mask: error against the ANN" in out
    assert main([source, "--check", "--output", "classes", "--output", "mask"]) == 0


@pytest.mark.parametrize("outputs", [["score", "box"], ["box", "score"]])
def test_one_score_beside_another_output(outputs):
    nodes = [
        node("MatMul", "x w", "a"),
        node("Relu", "a", "r"),
        node("MatMul", "r v", "l"),
        node("Sigmoid", "l", "score"),
        node("MatMul", "r u", "box"),
    ]
    weights = {"w": normal(5, 8), "v": normal(8, 1), "u": normal(8, 4)}
    proto, x = model(nodes, {"x": ["N", 5]}, weights, outputs=outputs), normal(60, 5, seed=1)
    network = onnx2genn.convert(proto, x, steps=12)
    got = network.predict(x, heads=True, backend="onnxruntime")
    wanted = session(proto).run(outputs, {"x": x})
    for name, values in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(got[name], values, atol=0.01)
