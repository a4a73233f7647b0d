"""Models with several inputs: from the file to the spikes, by names, in order, and from files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers import grid_networks
from helpers.onnx_models import check_model, model, node, normal, operators

import onnx2genn
from onnx2genn import DataError, UnsupportedModelError
from onnx2genn.cli import main
from onnx2genn.data import load_samples, samples_of
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session

ENTRIES = {"image": (2, 5, 5), "depth": (1, 5, 5), "vector": (4,)}


def samples(count: int = 40) -> dict[str, np.ndarray]:
    return {
        name: normal(count, *shape, seed=index)
        for index, (name, shape) in enumerate(ENTRIES.items())
    }


def ann(x: dict[str, np.ndarray]) -> np.ndarray:
    return session(grid_networks.fusion()).run(None, x)[0]


def relative_error(logits: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(((logits - wanted) ** 2).mean()) / wanted.std())


def test_the_inputs_are_slices_of_one() -> None:
    found = check_model(grid_networks.fusion())
    assert check(grid_networks.fusion()) == []
    assert found.entries == ENTRIES
    assert list(found.graph.inputs.values()) == [(79,)]
    assert operators(found)[:5] == ["Slice", "Reshape", "Slice", "Reshape", "Slice"]
    assert [item.depth for item in found.parts.populations] == [0, 0, 1, 2]


def test_a_single_input_is_not_touched() -> None:
    found = check_model(model([node("Relu", "x", "y")], {"x": ["N", 3]}))
    assert operators(found) == ["Relu"]
    assert found.graph.inputs == found.entries == {"x": (3,)}


@pytest.mark.parametrize(
    ("coding", "steps"), [("few-spike", (4, 8, 12)), ("two-phase", (8, 64)), ("rate", (32, 512))]
)
def test_the_logits_approach_those_of_the_ann(coding: str, steps: tuple[int, ...]) -> None:
    x = samples()
    errors = []
    for count in steps:
        network = onnx2genn.convert(grid_networks.fusion(), x, coding, steps=count, threshold="max")
        logits = network.predict(x, backend="onnxruntime")
        errors.append(relative_error(logits, ann(x)))
        assert network.evaluate(x, backend="onnxruntime").logits_error == pytest.approx(errors[-1])
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02


def test_every_form_of_samples_is_the_same() -> None:
    x = samples()
    forms = [x, dict(reversed(x.items())), tuple(x.values()), list(x.values())]
    networks = [onnx2genn.convert(grid_networks.fusion(), form) for form in forms]
    wanted = networks[0].predict(x, backend="onnxruntime")
    for network, form in zip(networks, forms, strict=True):
        assert np.array_equal(network.predict(form, backend="onnxruntime"), wanted)
        assert np.array_equal(Forecast(network).logits(form), Forecast(networks[0]).logits(x))


@pytest.mark.parametrize("options", [{}, {"coding": "rate", "steps": 20, "input": "poisson"}])
def test_a_saved_network_has_the_inputs_of_the_model(
    tmp_path: Path, options: dict[str, object]
) -> None:
    x = samples()
    network = onnx2genn.convert(grid_networks.fusion(), x, **options)
    network.save(tmp_path / "snn.onnx")
    runner = session(onnx.load(tmp_path / "snn.onnx"))
    assert {item.name: tuple(item.shape[1:]) for item in runner.get_inputs()} == ENTRIES
    np.testing.assert_allclose(runner.run(["y"], x)[0], ann(x), atol=1e-5)
    loaded = onnx2genn.load(tmp_path / "snn.onnx")
    assert loaded.entries == ENTRIES
    assert loaded.input_scales == network.input_scales
    wanted = network.predict(x, backend="onnxruntime")
    assert np.array_equal(loaded.predict(x, backend="onnxruntime"), wanted)


def test_a_poisson_input_has_a_scale_for_each_entry() -> None:
    """Else the spikes of a small input would be rare beside those of a large one."""
    x = samples()
    x["vector"] *= 100
    network = onnx2genn.convert(grid_networks.fusion(), x, "rate", steps=4, input="poisson")
    assert network.input_scales == {name: np.abs(array).max() for name, array in x.items()}
    parts = np.split(network.input_scale, [50, 75])
    for name, part in zip(ENTRIES, parts, strict=True):
        assert set(part.tolist()) == {network.input_scales[name]}


def test_the_fewest_steps_are_found() -> None:
    x = samples()
    network = onnx2genn.convert(grid_networks.fusion(), x, steps="auto")
    logits = network.predict(x, backend="onnxruntime")
    assert np.mean(logits.argmax(1) != ann(x).argmax(1)) <= 0.01


def test_calibration_with_spikes() -> None:
    x = samples()
    options = {"coding": "rate", "steps": 8, "threshold": "spike-norm"}
    biases = []
    for correct in (False, True):
        network = onnx2genn.convert(grid_networks.fusion(), x, bias_correction=correct, **options)
        error = network.predict(x, backend="onnxruntime") - ann(x)
        biases.append(np.abs(error.mean(axis=0)).max())
    assert biases[1] < 1e-3 < biases[0]


def test_open_sizes_are_taken_from_the_samples() -> None:
    nodes = [
        node("GlobalAveragePool", "image", "g"),
        node("GlobalAveragePool", "sound", "h"),
        node("Flatten", "g", "f"),
        node("Flatten", "h", "i"),
        node("Concat", "f i", "y", axis=1),
    ]
    proto = model(nodes, {"image": ["N", 3, "H", "W"], "sound": ["N", 2, "T"]})
    assert [item.node for item in check(proto)] == ["image", "sound"]
    x = (normal(5, 3, 6, 7), normal(5, 2, 9))
    network = onnx2genn.convert(proto, x)
    assert network.entries == {"image": (3, 6, 7), "sound": (2, 9)}
    assert network.predict(x, backend="onnxruntime").shape == (5, 5)


def test_an_input_that_only_gives_its_shape_is_not_asked_for() -> None:
    nodes = [
        node("Shape", "other", "s"),
        node("Gather", "s zero", "n"),
        node("Concat", "n rest", "t", axis=0),
        node("Reshape", "x t", "y"),
    ]
    weights = {"zero": np.array([0]), "rest": np.array([6])}
    proto = model(nodes, {"other": ["N", 5], "x": ["N", 2, 3]}, weights)
    assert read(proto).entries == {"x": (2, 3)}
    x = normal(4, 2, 3)
    network = onnx2genn.convert(proto, x)
    np.testing.assert_allclose(network.predict(x, backend="onnxruntime"), x.reshape(4, 6))


def test_an_output_that_depends_on_no_input_is_refused() -> None:
    nodes = [node("Shape", "x", "s"), node("ConstantOfShape", "s", "y")]
    with pytest.raises(UnsupportedModelError, match="does not depend on any input"):
        read(model(nodes, {"x": ["N", 3]}))


def test_inputs_of_several_batch_sizes_are_refused() -> None:
    proto = model([node("Concat", "a b", "y", axis=1)], {"a": [2, 3], "b": [1, 3]})
    with pytest.raises(UnsupportedModelError, match="2 in 'a', 1 in 'b'"):
        read(proto)


def test_a_fixed_batch_is_opened() -> None:
    nodes = [node("Reshape", "a s", "r"), node("Concat", "r b", "y", axis=1)]
    proto = model(nodes, {"a": [1, 2, 3], "b": [1, 4]}, {"s": np.array([1, 6])})
    network = onnx2genn.convert(proto)
    x = (normal(5, 2, 3), normal(5, 4))
    wanted = np.concatenate([x[0].reshape(5, 6), x[1]], axis=1)
    np.testing.assert_allclose(network.predict(x, backend="onnxruntime"), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x["image"], r"one array of shape \[40, 2, 5, 5\].*'depth' \[1, 5, 5\]"),
        (lambda x: (x["image"], x["depth"]), "2 arrays.*3 inputs: image, depth, vector"),
        (lambda x: {"image": x["image"]}, r"arrays for image;.*'vector' \[4\]"),
        (lambda x: {**x, "sound": x["vector"]}, "sound;.*'vector'"),
        (lambda x: {**x, "vector": x["vector"][:3]}, "40 for 'depth', 3 for 'vector'"),
        (lambda x: {**x, "depth": x["image"]}, r"input 'depth' has shape \[40, 2, 5, 5\]"),
        (lambda x: {**x, "vector": x["vector"] * np.nan}, "input 'vector'.*NaN"),
    ],
)
def test_samples_that_do_not_fit_are_explained(change, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=message):
        samples_of(ENTRIES, change(samples()))
    network = onnx2genn.convert(grid_networks.fusion())
    with pytest.raises(DataError, match=message):
        network.predict(change(samples()), backend="onnxruntime")


def write(folder: Path, **arrays: np.ndarray) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def test_files_have_arrays_of_the_inputs_names(tmp_path: Path) -> None:
    x = samples()
    loaded = load_samples(write(tmp_path, **x, y=np.arange(40)), ENTRIES, limit=7)
    assert np.array_equal(loaded.x, samples_of(ENTRIES, x)[:7])
    assert loaded.y is not None
    assert loaded.y.tolist() == list(range(7))


def test_an_input_called_y_is_no_label(tmp_path: Path) -> None:
    loaded = load_samples(write(tmp_path, x=normal(5, 2), y=normal(5, 3)), {"x": (2,), "y": (3,)})
    assert loaded.x.shape == (5, 5)
    assert loaded.y is None


def test_files_that_lack_an_input_are_explained(tmp_path: Path) -> None:
    path = write(tmp_path, image=samples()["image"], y=np.arange(40))
    with pytest.raises(DataError, match=r"image, y, but none is called depth or vector.*'depth':"):
        load_samples(path, ENTRIES)
    np.save(tmp_path / "one.npy", samples()["image"])
    for name in (tmp_path / "one.npy", tmp_path):
        with pytest.raises(DataError, match=r"several inputs.*savez.*'vector': samples"):
            load_samples(name, ENTRIES)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = samples()
    data = write(tmp_path, **x, y=ann(x).argmax(1))
    source, saved, result = (tmp_path / name for name in ("m.onnx", "s.onnx", "r.json"))
    onnx.save(grid_networks.fusion(), source)
    assert main([str(source), "--check"]) == 0
    common = ["--evaluate", str(data), "--backend", "onnxruntime", "--json", str(result)]
    words = [str(source), "--calibrate", str(data), "--save", str(saved), "--steps", "12"]
    assert main([*words, *common]) == 0
    record = json.loads(result.read_text())
    assert record["samples"] == 40
    assert record["ann_accuracy"] == 1.0
    assert record["snn_accuracy"] >= 0.95
    assert main([str(saved), *common]) == 0
    again = json.loads(result.read_text())
    assert again["logits_error"] == record["logits_error"]
    assert main([str(saved), "--backend", "onnxruntime"]) == 0
    assert "random inputs" in capsys.readouterr().out
    assert main([str(source), "--calibrate", str(write(tmp_path, x=x["image"]))]) == 1
    assert "none is called image or depth or vector" in capsys.readouterr().err


def test_one_number_for_each_sample(tmp_path):
    nodes = [node("Mul", "x w", "h"), node("Relu", "h", "r"), node("Add", "r b", "y")]
    proto = model(nodes, {"x": ["N"]}, {"w": normal(1), "b": normal(1)})
    x = normal(30)
    network = onnx2genn.convert(proto, x)
    (wanted,) = session(proto).run(None, {"x": x})
    assert network.entries == {"x": ()}
    assert np.allclose(network.predict(x, backend="onnxruntime"), wanted, atol=0.02)
    network.save(tmp_path / "snn.onnx")
    again = onnx2genn.load(tmp_path / "snn.onnx")
    assert np.array_equal(again.predict(x), network.predict(x))
