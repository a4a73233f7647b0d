"""Networks that start within the model: at what token ids are looked up as, or a named tensor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.onnx_models import ints, model, node, normal
from onnx import helper

import onnx2genn
from onnx2genn import DataError, UnsupportedModelError
from onnx2genn.cli import main
from onnx2genn.ir.run import session

IDS = np.random.default_rng(0).integers(0, 20, (200, 6))
WAVES = normal(200, 32)


def classifier_of_tokens(batch: int | str = "N") -> onnx.ModelProto:
    """Embeddings and positions, a mean over tokens that are not 0, and two dense layers."""
    nodes = [
        node("Gather", "table ids", "words"),
        node("Add", "words positions", "placed"),
        node("Equal", "ids none", "padding"),
        node("Not", "padding", "kept"),
        node("Cast", "kept", "weight", to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", "weight last", "weights"),
        node("MatMul", "placed w", "hidden"),
        node("Relu", "hidden", "active"),
        node("Mul", "active weights", "masked"),
        node("ReduceMean", "masked", "mean", axes=[1], keepdims=0),
        node("MatMul", "mean v", "y"),
    ]
    weights = {
        "table": normal(20, 8),
        "positions": normal(6, 8, scale=0.3),
        "none": np.zeros((), np.int64),
        "last": ints(-1),
        "w": normal(8, 16),
        "v": normal(16, 3),
    }
    proto = model(nodes, {}, weights)
    proto.graph.input.append(
        helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [batch, 6])
    )
    return proto


def classifier_of_sounds() -> onnx.ModelProto:
    """A spectrogram by sines, in decibels, and two dense layers."""
    nodes = [
        node("MatMul", "wave sines", "parts"),
        node("Mul", "parts parts", "power"),
        node("Add", "power floor", "raised"),
        node("Log", "raised", "spectrum"),
        node("MatMul", "spectrum w", "hidden"),
        node("Relu", "hidden", "active"),
        node("MatMul", "active v", "y"),
    ]
    weights = {"sines": normal(32, 8), "floor": np.full(1, 1e-3, np.float32)}
    weights |= {"w": normal(8, 16, scale=0.3), "v": normal(16, 3)}
    return model(nodes, {"wave": ["N", 32]}, weights)


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(((got - wanted) ** 2).mean()) / wanted.std())


@pytest.mark.parametrize("batch", ["N", 4])
def test_token_ids_are_looked_up_when_samples_are_prepared(batch: int | str) -> None:
    proto = classifier_of_tokens(batch)
    (wanted,) = session(classifier_of_tokens()).run(["y"], {"ids": IDS})
    snn = onnx2genn.convert(proto, IDS, steps=10)
    assert error(snn.predict(IDS[:99], backend="onnxruntime"), wanted[:99]) < 0.01
    assert snn.entries == {"words": (6, 8), "weight": (6,)}
    assert any("words, weight" in note for note in snn.model.graph.notes)


def test_token_ids_that_come_as_floats_and_may_count_from_the_end() -> None:
    """As Keras writes an Embedding: where(id < 0, id + 20, id), by products of whole numbers."""
    whole, real = onnx.TensorProto.INT32, onnx.TensorProto.FLOAT
    nodes = [
        node("Cast", "ids", "i", to=whole),
        node("Add", "i count", "j"),
        node("Cast", "i", "f", to=real),
        node("Less", "f zero", "below"),
        node("Not", "below", "above"),
        node("Cast", "below", "b", to=whole),
        node("Cast", "above", "a", to=whole),
        node("Mul", "b j", "bj"),
        node("Mul", "a i", "ai"),
        node("Add", "bj ai", "k"),
        node("Gather", "table k", "words"),
        node("Relu", "words", "y"),
    ]
    weights = {"count": np.array(20, np.int32), "zero": np.float32(0), "table": normal(20, 8)}
    proto = model(nodes, {"ids": ["N", 6]}, weights)
    ids = (IDS - 10).astype(np.float32)
    (wanted,) = session(proto).run(["y"], {"ids": ids})
    snn = onnx2genn.convert(proto, ids, steps=10)
    assert snn.entries == {"words": (6, 8)}
    assert error(snn.predict(ids, backend="onnxruntime"), wanted) < 0.01


def test_a_table_in_whole_numbers_with_the_time_first() -> None:
    """As the quantiser leaves an Embedding before an LSTM; samples come first here."""
    random = np.random.default_rng(0)
    nodes = [
        node("Gather", "table ids", "words"),
        node("Transpose", "words", "turned", perm=[1, 0, 2]),
        node("DequantizeLinear", "turned scale", "floats"),
        node("MatMul", "floats w", "m"),
        node("Relu", "m", "r"),
        node("Transpose", "r", "y", perm=[1, 0, 2]),
    ]
    weights = {
        "table": random.integers(0, 256, (20, 8)).astype(np.uint8),
        "scale": np.float32(0.01),
        "w": normal(8, 3),
    }
    proto = model(nodes, {}, weights)
    proto.graph.input.append(helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["N", 6]))
    (wanted,) = session(proto).run(["y"], {"ids": IDS})
    snn = onnx2genn.convert(proto, IDS, steps=10)
    assert snn.entries == {"floats/samples_first": (6, 8)}
    assert error(snn.predict(IDS, backend="onnxruntime"), wanted) < 0.01


def test_such_a_network_is_saved_with_its_table(tmp_path: Path) -> None:
    snn = onnx2genn.convert(classifier_of_tokens(), IDS)
    snn.save(tmp_path / "saved.onnx")
    again = onnx2genn.load(tmp_path / "saved.onnx")
    np.testing.assert_array_equal(
        again.predict(IDS, backend="onnxruntime"), snn.predict(IDS, backend="onnxruntime")
    )


@pytest.mark.parametrize(
    ("ids", "reason"),
    [(IDS + 0.5, "fractions"), (IDS + 100, "indices"), (IDS[:, :4], r"\[6\]")],
)
def test_data_that_cannot_be_looked_up(ids: np.ndarray, reason: str) -> None:
    snn = onnx2genn.convert(classifier_of_tokens(), IDS)
    with pytest.raises(DataError, match=reason):
        snn.predict(ids, backend="onnxruntime")


def test_from_the_command_line(tmp_path: Path) -> None:
    onnx.save(classifier_of_tokens(), tmp_path / "model.onnx")
    (wanted,) = session(classifier_of_tokens()).run(["y"], {"ids": IDS})
    np.savez(tmp_path / "data.npz", x=IDS, y=wanted.argmax(axis=1))
    data, results = str(tmp_path / "data.npz"), tmp_path / "results.json"
    words = [str(tmp_path / "model.onnx"), "--calibrate", data, "--evaluate", data]
    assert main([*words, "--json", str(results), "--backend", "onnxruntime"]) == 0
    assert json.loads(results.read_text())["snn_accuracy"] > 0.98


def test_a_named_tensor_is_where_the_network_starts() -> None:
    proto = classifier_of_sounds()
    wanted, spectra = session(
        model(
            list(proto.graph.node),
            {"wave": ["N", 32]},
            outputs=["y", "spectrum"],
            weights={
                item.name: onnx.numpy_helper.to_array(item) for item in proto.graph.initializer
            },
        )
    ).run(["y", "spectrum"], {"wave": WAVES})
    snn = onnx2genn.convert(proto, WAVES, inputs="spectrum", steps=10)
    assert [item.kind for item in snn.populations] == ["Relu"]
    assert error(snn.predict(WAVES, backend="onnxruntime"), wanted) < 0.01
    np.testing.assert_allclose(
        snn.predict(spectra, backend="onnxruntime"),
        snn.predict(WAVES, backend="onnxruntime"),
        atol=1e-5,
    )
    given = onnx2genn.convert(proto, spectra, inputs="spectrum", steps=10)
    assert error(given.predict(spectra, backend="onnxruntime"), wanted) < 0.01
    with pytest.raises(DataError):
        given.predict(WAVES, backend="onnxruntime")


def test_a_tensor_that_is_not_there_is_named_with_those_like_it() -> None:
    with pytest.raises(UnsupportedModelError, match="mean 'spectrum'"):
        onnx2genn.convert(classifier_of_sounds(), inputs="spectra")
    with pytest.raises(UnsupportedModelError, match="no tensor 'nothing'"):
        onnx2genn.check(classifier_of_sounds(), inputs="nothing")


def test_what_the_output_does_not_depend_on_is_no_input() -> None:
    proto = classifier_of_sounds()
    proto.graph.node.insert(0, node("Neg", "wave", "aside"))
    with pytest.raises(UnsupportedModelError, match="aside"):
        onnx2genn.convert(proto, WAVES, inputs="aside")


def test_images_of_whole_numbers_stay_inputs() -> None:
    nodes = [node("Cast", "x", "f", to=1), node("MatMul", "f w", "h"), node("Relu", "h", "y")]
    proto = model(nodes, {"x": ["N", 5]}, {"w": normal(5, 3)}, dtype=onnx.TensorProto.UINT8)
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_tensor_value_info("y", 1, None))
    snn = onnx2genn.convert(proto, np.random.default_rng(0).integers(0, 256, (64, 5)))
    assert snn.entries == {"x": (5,)}


def attention_with_padding(form: str) -> onnx.ModelProto:
    """Attention over vectors, where a mask hides some, as BERT adds it or as torch fills it."""
    whole = onnx.TensorProto.INT64 if form == "added" else onnx.TensorProto.BOOL
    mask = [node("Unsqueeze", "mask middle", "m")]
    if form == "added":
        mask += [
            node("Cast", "m", "f", to=onnx.TensorProto.FLOAT),
            node("Sub", "one f", "padding"),
            node("Mul", "padding least", "hiding"),
        ]
    else:
        mask += [node("Where", "m nothing infinite", "hiding")]
    nodes = [
        node("Gather", "table ids", "x"),
        *(node("MatMul", f"x w{name}", name) for name in "qkv"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "q kt", "scores"),
        *mask,
        node("Add", "scores hiding", "hidden"),
        node("Softmax", "hidden", "shares", axis=-1),
        node("MatMul", "shares v", "mixed"),
        node("ReduceMean", "mixed", "y", axes=[1], keepdims=0),
    ]
    weights = {f"w{name}": normal(8, 4, seed=index) for index, name in enumerate("qkv")}
    weights |= {
        "table": normal(20, 8, seed=3, scale=0.5),
        "middle": ints(1),
        "one": np.float32(1),
        "least": np.float32(np.finfo(np.float32).min),
        "nothing": np.float32(0),
        "infinite": np.float32(-np.inf),
    }
    proto = model(nodes, {}, weights)
    for name, kind in (("ids", onnx.TensorProto.INT64), ("mask", whole)):
        proto.graph.input.append(helper.make_tensor_value_info(name, kind, ["N", 6]))
    return proto


@pytest.mark.parametrize("form", ["added", "filled"])
def test_a_mask_that_comes_with_the_samples(form: str, tmp_path: Path) -> None:
    """Neurons for its largest difference have digits left for those of scores."""
    mask = np.arange(6) < np.random.default_rng(1).integers(2, 7, (200, 1))
    proto = attention_with_padding(form)
    x = {"ids": IDS, "mask": mask.astype(np.int64) if form == "added" else mask}
    (wanted,) = session(proto).run(["y"], x)
    snn = onnx2genn.convert(proto, {name: item[:100] for name, item in x.items()}, steps=8)
    rest = {name: item[100:] for name, item in x.items()}
    got = snn.predict(rest, backend="onnxruntime")
    assert error(got, wanted[100:]) < 0.05
    snn.save(tmp_path / "saved.onnx")
    again = onnx2genn.load(tmp_path / "saved.onnx").predict(rest, backend="onnxruntime")
    np.testing.assert_array_equal(again, got)
