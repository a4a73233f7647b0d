"""Saving and loading: the network that is loaded is the network that was saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers import grid_networks
from helpers.architectures import ARCHITECTURES
from helpers.models import mlp
from helpers.onnx_models import model, node, normal
from onnx import helper, numpy_helper

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.backends.registry import open_simulator
from onnx2genn.coding import CODINGS, PRESETS
from onnx2genn.data import samples_of
from onnx2genn.ir.graph import Node
from onnx2genn.ir.partition import Partition
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment
from onnx2genn.network import Saving
from onnx2genn.spiking_network import SpikingNetwork

MODELS = Path(__file__).parent / "models"


def layer_norm() -> onnx.ModelProto:
    """Products of tensors, and a residual stream that is cut by relays."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Add", "a x", "s"),
        node("LayerNormalization", "s scale shift", "n", axis=-1),
        node("Gelu", "n", "g"),
        node("MatMul", "g v", "h"),
        node("Add", "h s", "r"),
        node("LayerNormalization", "r scale shift", "m", axis=-1),
        node("ReduceMean", "m axes", "y", keepdims=0),
        node("Softmax", "y", "p", axis=-1),
    ]
    weights = {"w": normal(8, 8), "v": normal(8, 8), "scale": normal(8), "shift": normal(8)}
    weights["axes"] = np.array([1])
    return model(nodes, {"x": ["N", 5, 8]}, weights, outputs=["p"], opset=20)


def attention() -> onnx.ModelProto:
    """Scores of two tensors, Softmax within the network, and a choice at its end."""
    nodes = [
        *(node("MatMul", f"x {name}", name.upper()) for name in "qkv"),
        node("Transpose", "K", "T", perm=[0, 2, 1]),
        node("MatMul", "Q T", "scores"),
        node("Softmax", "scores", "A", axis=-1),
        node("MatMul", "A V", "m"),
        node("Flatten", "m", "f"),
        node("ArgMax", "f", "y", axis=1, keepdims=0),
    ]
    weights = {name: normal(4, 4, seed=index) for index, name in enumerate("qkv")}
    proto = model(nodes, {"x": ["N", 3, 4]}, weights)
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return proto


def activations() -> onnx.ModelProto:
    """Functions, bounded and signed activations, and a maximum of signed values."""
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Sigmoid", "c", "s"),
        node("Mul", "c s", "silu"),
        node("Conv", "silu v", "d", pads=[1, 1, 1, 1]),
        node("LeakyRelu", "d", "l", alpha=0.1),
        node("Clip", "l zero six", "k"),
        node("Conv", "k v", "e"),
        node("MaxPool", "e", "p", kernel_shape=[2, 2]),
        node("Elu", "p", "q", alpha=0.7),
        node("Flatten", "q", "y"),
    ]
    weights = {"w": normal(4, 2, 3, 3, scale=0.4), "b": normal(4), "v": normal(4, 4, 3, 3)}
    weights |= {"six": np.float32(6), "zero": np.float32(0)}
    return model(nodes, {"x": ["N", 2, 6, 6]}, {k: np.asarray(v) for k, v in weights.items()})


def quantised() -> onnx.ModelProto:
    """Pairs of QuantizeLinear and DequantizeLinear, which give the inputs limits."""
    nodes = [
        *(node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")),
        node("MatMul", "d w", "c"),
        node("Relu", "c", "r"),
        *(node("QuantizeLinear", "r s u", "p"), node("DequantizeLinear", "p s u", "a")),
        node("MatMul", "a v", "y"),
    ]
    weights = {"s": np.float32(8 / 255), "z": np.uint8(128), "u": np.uint8(0)}
    weights |= {"w": normal(5, 6, scale=0.3), "v": normal(6, 3)}
    return model(nodes, {"x": ["N", 5]}, {k: np.asarray(v) for k, v in weights.items()})


def odd_names() -> onnx.ModelProto:
    """Names that are neither ASCII nor C, and some that saving uses itself."""
    first, second, third = "onnx2genn/threshold/1\"\n'é", "onnx2genn/offset/", "ü"
    name = '"; \\ über\n'
    nodes = [
        helper.make_node("MatMul", ["x", "onnx2genn/threshold/w"], [first]),
        helper.make_node("Relu", [first], [second], name=name),
        helper.make_node("Sigmoid", [first], [third], name=f"{name}2"),
        helper.make_node("Concat", [second, third], ["y"], axis=1),
    ]
    proto = model(nodes, {"x": ["N", 5]}, {"onnx2genn/threshold/w": normal(5, 3)})
    proto.graph.name = "<network> \"'\n\\ 日本"
    return proto


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    **ARCHITECTURES,
    **{item.__name__: item for item in (layer_norm, attention, activations, quantised, odd_names)},
    **{
        item.__name__: item
        for item in (grid_networks.branches, grid_networks.fusion, grid_networks.tokens)
    },
    "mnist": lambda: onnx.load(MODELS / "mnist.onnx"),
    "digits_vit": lambda: onnx.load(MODELS / "digits_vit.onnx"),
}  # fmt: skip


def samples_for(proto: onnx.ModelProto, count: int) -> dict[str, np.ndarray]:
    return {
        info.name: normal(
            count, *[dim.dim_value for dim in info.type.tensor_type.shape.dim[1:]], seed=index
        )
        for index, info in enumerate(proto.graph.input)
    }


def made_of(parts: Partition) -> list[object]:
    """All that a partition consists of, as values that can be compared."""
    found: list[object] = [parts.inputs, parts.depth, _segment(parts.readout)]
    for item in parts.populations:
        constants = {name: (array.dtype, array.tolist()) for name, array in item.constants.items()}
        found.append((item.name, item.kind, item.depth, item.shape, constants))
        found += [_node(item.node), _segment(item.segment)]
    return found


def _node(item: Node) -> tuple[object, ...]:
    attributes = {
        name: np.float32(value) if isinstance(value, float) else value
        for name, value in item.attributes.items()
    }
    body = [_node(part) for part in item.body]
    return item.op, item.domain, item.name, item.inputs, item.outputs, attributes, body


def _segment(item: Segment) -> tuple[object, ...]:
    return item.sources, item.target, item.shapes, item.to_onnx().SerializeToString()


def assert_same(loaded: SpikingNetwork, network: SpikingNetwork) -> None:
    assert made_of(loaded.model.parts) == made_of(network.model.parts)
    assert list(loaded.model.graph.shapes.items()) == list(network.model.graph.shapes.items())
    assert loaded.model.to_onnx().SerializeToString() == network.model.to_onnx().SerializeToString()
    assert loaded.model.graph.notes == network.model.graph.notes
    for name in ("coding", "entries", "input_scales", "calibration_samples", "calibration_maxima"):
        assert getattr(loaded, name) == getattr(network, name), name
    assert (loaded.digits, loaded.saving) == (network.digits, network.saving)
    for name in ("error", "limits"):
        assert getattr(loaded.model, name) == getattr(network.model, name), name
    for name in ("thresholds", "offsets", "corrections"):
        mine, other = getattr(loaded, name), getattr(network, name)
        assert mine.keys() == other.keys(), name
        assert all(np.array_equal(mine[key], other[key]) for key in other), name
        assert {key: array.shape for key, array in mine.items()} == {
            key: array.shape for key, array in other.items()
        }
    assert np.array_equal(loaded.readout_threshold, network.readout_threshold)


def assert_same_spikes(
    loaded: SpikingNetwork, network: SpikingNetwork, x: Any, backend: str = "onnxruntime"
) -> None:
    activities = []
    for item in (loaded, network):
        with open_simulator(item, backend) as simulator:
            activities.append(simulator.run(samples_of(item.entries, x), record=True))
    got, wanted = activities
    assert np.array_equal(got.logits, wanted.logits)
    assert np.array_equal(got.logits_by_step, wanted.logits_by_step)
    for name in wanted.codes:
        assert np.array_equal(got.codes[name], wanted.codes[name]), name
        assert np.array_equal(got.spikes[name], wanted.spikes[name]), name


def saved(network: SpikingNetwork, folder: Path) -> tuple[SpikingNetwork, onnx.ModelProto]:
    """Save and load twice; both files are the same."""
    first, second = folder / "first.onnx", folder / "second.onnx"
    network.save(first)
    loaded = onnx2genn.load(first)
    loaded.save(second)
    assert first.read_bytes() == second.read_bytes()
    return loaded, onnx.load(first)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_is_the_same(name: str, tmp_path: Path) -> None:
    proto = NETWORKS[name]()
    x = samples_for(proto, 12)
    network = onnx2genn.convert(proto, x, bias_correction=True)
    loaded, file = saved(network, tmp_path)
    assert_same(loaded, network)
    assert_same_spikes(loaded, network, x)
    onnx.checker.check_model(file, full_check=True)
    at_once = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 12
    got, wanted = (
        np.concatenate([next(iter(part.values())) for part in runner.batches(x, at_once)])
        for runner in (Runner(file), Runner(proto, [network.model.graph.output]))
    )
    tolerance = 0.05 if name == "quantised" else 1e-4  # spikes round by themselves
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())


def test_relays_stay(tmp_path: Path) -> None:
    network = onnx2genn.convert(NETWORKS["digits_vit"]())
    assert sum(item.kind == "Identity" for item in network.populations) > 5
    loaded, _ = saved(network, tmp_path)
    assert len(loaded.populations) == len(network.populations) == 35


@pytest.mark.parametrize("coding", [*CODINGS, *PRESETS])
@pytest.mark.parametrize("name", ["vgg", "fusion"])
def test_every_coding(name: str, coding: str, tmp_path: Path) -> None:
    proto = NETWORKS[name]()
    x = samples_for(proto, 12)
    options = {"percentile": 97.5} if coding == "rate" else {}
    network = onnx2genn.convert(proto, x, coding, steps=6, **options)
    loaded, _ = saved(network, tmp_path)
    assert_same(loaded, network)
    assert_same_spikes(loaded, network, x)


def test_fewer_digits(tmp_path: Path) -> None:
    proto = NETWORKS["vgg"]()
    x = samples_for(proto, 12)
    pool = next(item for item in onnx2genn.convert(proto).populations if item.pools)
    network = onnx2genn.convert(proto, x, steps=6, digits={pool.name: 3})
    saving = Saving(spikes=(3.5, 2.5), operations=(20.0, 10.0))
    network = replace(network, saving=saving)
    assert len(network.digits) >= 2
    loaded, _ = saved(network, tmp_path)
    assert_same(loaded, network)
    assert_same_spikes(loaded, network, x)


@pytest.mark.genn
@pytest.mark.parametrize("name", ["resnet18", "layer_norm", "activations", "fusion"])
def test_on_genn(name: str, tmp_path: Path) -> None:
    proto = NETWORKS[name]()
    x = samples_for(proto, 4)
    network = onnx2genn.convert(proto, x, steps=4)
    loaded, _ = saved(network, tmp_path)
    assert_same_spikes(loaded, network, x, "single_threaded_cpu")


def test_a_network_without_calibration(digits: Example, tmp_path: Path) -> None:
    network = onnx2genn.convert(digits.model)
    loaded, _ = saved(network, tmp_path)
    assert_same(loaded, network)


def test_a_plain_model_is_no_saved_network(digits: Example) -> None:
    with pytest.raises(UnsupportedModelError, match="plain ONNX model"):
        onnx2genn.load(digits.model)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "snn.onnx"
    network = onnx2genn.convert(mlp(), normal(20, 6))
    first = network.populations[0]
    corrections = {first.segment.target: normal(*first.shape)}
    replace(network, corrections=corrections).save(path)
    return path.read_bytes()


def record_of(proto: onnx.ModelProto) -> tuple[onnx.StringStringEntryProto, dict[str, Any]]:
    (entry,) = [item for item in proto.metadata_props if item.key == "onnx2genn"]
    return entry, json.loads(entry.value)


def changed(file: bytes, **changes: object) -> onnx.ModelProto:
    """Change entries of the record; ``None`` takes one out."""
    proto = onnx.load_from_string(file)
    entry, record = record_of(proto)
    record |= changes
    entry.value = json.dumps({name: value for name, value in record.items() if value is not None})
    return proto


def with_array(file: bytes, start: str, array: np.ndarray | None) -> onnx.ModelProto:
    """Put another array in the place of one, or leave it out."""
    proto = onnx.load_from_string(file)
    (place,) = [item for item in proto.graph.initializer if item.name.startswith(start)][:1]
    if array is None:
        proto.graph.initializer.remove(place)
    else:
        place.CopyFrom(numpy_helper.from_array(array, place.name))
    return proto


def test_the_format_before_is_read(file: bytes) -> None:
    """It has no neurons with several ports, and is the same for all others."""
    now = onnx2genn.load(onnx.load_from_string(file))
    assert_same(onnx2genn.load(changed(file, format=4, digits=None, saving=None)), now)


@pytest.mark.parametrize("format_number", [1, 3, 99, "4"])
def test_another_format_is_refused(file: bytes, format_number: object) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"format {format_number}.*Convert"):
        onnx2genn.load(changed(file, format=format_number))


THRESHOLD, OFFSET = "onnx2genn/threshold/", "onnx2genn/offset/"
WEIGHT = "z0/MatMul_0/1"


@pytest.mark.parametrize(
    ("start", "array", "message"),
    [
        (THRESHOLD, None, "no threshold"),
        (OFFSET, None, "no threshold or no offset"),
        (THRESHOLD, np.full((), np.nan, "f4"), "threshold of .* is nan"),
        (THRESHOLD, np.full((), np.inf, "f4"), "threshold of .* is inf"),
        (THRESHOLD, np.zeros((), "f4"), r"threshold of .* is 0\.0"),
        (THRESHOLD, np.full(8, -1, "f4"), r"threshold of .* is -1\.0"),
        (THRESHOLD, np.ones(7, "f4"), r"threshold of .* has shape \[7\]"),
        (THRESHOLD, np.ones((2, 8), "f4"), r"threshold of .* has shape \[2, 8\]"),
        (OFFSET, np.full((), np.nan, "f4"), "offset of .* is nan"),
        (OFFSET, np.full((), -1e23, "f4"), "no threshold is anything in float32"),
        ("onnx2genn/correction/", np.ones(7, "f4"), "correction"),
        ("onnx2genn/readout_threshold/", None, "missing"),
        ("onnx2genn/readout_threshold/", np.zeros((), "f4"), "readout"),
        (WEIGHT, None, WEIGHT),
        (WEIGHT, np.full((6, 8), np.nan, "f4"), "not a number"),
        (WEIGHT, np.ones((5, 8), "f4"), ""),
    ],
)
def test_wrong_arrays_are_found(
    file: bytes, start: str, array: np.ndarray | None, message: str
) -> None:
    proto = with_array(file, start, array)
    with pytest.raises(UnsupportedModelError, match=rf"(?s)damaged.*{message}"):
        onnx2genn.load(proto)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": None},
        {"coding": None},
        {"coding": "none"},
        {"options": {"steps": 8, "stepz": 1}},
        {"options": {"steps": -1}},
        {"options": []},
        {"populations": []},
        {"graph": None},
        {"graph": {"functions": [], "shapes": {}, "notes": []}},
        {"scope": 3},
        {"input_scales": {"x": -1.0}},
        {"input_scales": {"z": 1.0}},
        {"input_scales": ["x"]},
        {"calibration_samples": "many"},
        {"error": None},
        {"digits": {"nothing": 2}},
        {"digits": {"Relu_1_a0": 9}},
        {"digits": 3},
        {"saving": {"spikes": 3}},
    ],
)
def test_a_wrong_record_is_found(file: bytes, changes: dict[str, object]) -> None:
    with pytest.raises(UnsupportedModelError, match="damaged"):
        onnx2genn.load(changed(file, **changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"text"'])
def test_what_is_no_record_is_found(file: bytes, text: str) -> None:
    proto = onnx.load_from_string(file)
    record_of(proto)[0].value = text
    with pytest.raises(UnsupportedModelError, match="damaged"):
        onnx2genn.load(proto)


@pytest.mark.parametrize("index", range(4))
def test_a_missing_node_is_found(file: bytes, index: int) -> None:
    proto = onnx.load_from_string(file)
    del proto.graph.node[index]
    with pytest.raises(UnsupportedModelError, match="damaged"):
        onnx2genn.load(proto)


def test_functions_that_others_took_apart_are_found(tmp_path: Path) -> None:
    network = onnx2genn.convert(activations())
    _, proto = saved(network, tmp_path)
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([nodes[0], onnx.helper.make_node("Identity", ["x"], ["other"])])
    proto.graph.node.extend(nodes[1:])
    with pytest.raises(UnsupportedModelError, match="damaged"):
        onnx2genn.load(proto)


@pytest.mark.parametrize("shape", [[0, 2**41, 45], [0, 5, 9]])
def test_a_shape_that_was_changed_is_found(tmp_path: Path, shape: list[int]) -> None:
    path = tmp_path / "snn.onnx"
    nodes = [node("Relu", "x", "r"), node("Reshape", "r s", "y")]
    proto = model(nodes, {"x": ["N", 9, 5]}, {"s": np.array([0, 45])})
    onnx2genn.convert(proto, normal(4, 9, 5)).save(path)
    saved = onnx.load(path)
    (place,) = [
        item for item in saved.graph.initializer if item.data_type == onnx.TensorProto.INT64
    ]
    place.CopyFrom(numpy_helper.from_array(np.array(shape), place.name))
    saved.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UnsupportedModelError, match="damaged"):
        onnx2genn.load(saved)
