"""Saved spiking networks: ONNX files with all that makes the network in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn import coding as codings
from onnx2genn import files
from onnx2genn.errors import DataError, UnsupportedModelError
from onnx2genn.frontend.file import Source, load_proto
from onnx2genn.frontend.partition import cut
from onnx2genn.ir.front import Front
from onnx2genn.ir.graph import Graph, Shape
from onnx2genn.ir.model import Model
from onnx2genn.ir.partition import Partition
from onnx2genn.ir.preprocessing import Preprocessing
from onnx2genn.ir.run import Runner, serialised
from onnx2genn.ir.stored import pack, unpack
from onnx2genn.network import Network, Saving

_KEY = "onnx2genn"
_FORMAT = 7
# 5 has neurons with two ports; 6 may have what comes before the network; 7 fewer digits.
_READ = (4, 5, 6, 7)
_DAMAGE = (
    AttributeError,
    DataError,
    LookupError,
    TypeError,
    ValueError,
    UnsupportedModelError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)

_MOST_THRESHOLDS = 2**24


def save(network: Network, path: Path) -> None:
    """Write a network as one ONNX file, which onnxruntime runs as the ANN.

    The nodes and weights are those of the canonical graph. Thresholds, offsets and corrections
    are initializers that no node reads; all else is JSON in the metadata.

    Args:
        network: Network to save.
        path: File to write.

    Raises:
        DataError: It cannot be written; a file that was there before is left as it was.
        UnsupportedModelError: The network is larger than an ONNX file can be.
    """
    model = network.model
    front = model.front
    proto, graph = pack(model.graph, model.entries)
    scope = _free_scope(proto)
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), f"{scope}{kind}/{name}")
        for kind, arrays in _arrays(network).items()
        for name, array in arrays.items()
    )
    record = {
        "format": _FORMAT,
        "coding": network.coding.name,
        "options": network.coding.options(),
        "populations": _summary(model.parts),
        "scope": scope,
        "input_scales": dict(network.input_scales),
        "calibration_samples": network.calibration_samples,
        "calibration_maxima": dict(network.calibration_maxima),
        "digits": dict(network.digits),
        "saving": None if network.saving is None else asdict(network.saving),
        "error": model.error,
        "limits": model.limits,
        "preprocessing": model.preprocessing.options(),
        "front": None if front is None else {"entries": front.entries, "batch": front.batch},
        "graph": graph,
    }
    helper.set_model_props(proto, {_KEY: json.dumps(record)})
    files.write(path, serialised(proto))


def load(source: Source) -> Network:
    """Load a spiking network that :func:`save` wrote; it is the very same network.

    Args:
        source: Path of the file, or the model in memory.

    Raises:
        UnsupportedModelError: The file is missing, is no saved spiking network, was saved by
            another version, or is damaged.
    """
    proto = load_proto(source)
    label = "The model" if isinstance(source, onnx.ModelProto) else str(source)
    metadata = {item.key: item.value for item in proto.metadata_props}
    if _KEY not in metadata:
        raise UnsupportedModelError(
            f"{label} is a plain ONNX model, not a saved spiking network: use convert."
        )
    try:
        record = json.loads(metadata[_KEY])
        if record["format"] in _READ:
            onnx.checker.check_model(proto, full_check=True)
            return _rebuilt(proto, record)
    except _DAMAGE as error:
        lacking = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnsupportedModelError(
            f"{label} is a saved spiking network, but it is damaged: {lacking}. Convert the "
            "original model again."
        ) from error
    raise UnsupportedModelError(
        f"The spiking network was saved by another version of onnx2genn (format "
        f"{record['format']}; this one knows {_FORMAT}). Convert the original model again."
    )


def is_saved_network(proto: onnx.ModelProto) -> bool:
    """Whether a model carries a coding and thresholds."""
    return any(item.key == _KEY for item in proto.metadata_props)


def _free_scope(proto: onnx.ModelProto) -> str:
    """Begin the names of arrays as no tensor of the model begins."""
    names = {name for node in proto.graph.node for name in (*node.input, *node.output)}
    names.update(item.name for item in proto.graph.input)
    scope = f"{_KEY}/"
    while any(name.startswith(scope) for name in names):
        scope = f"_{scope}"
    return scope


def _arrays(network: Network) -> dict[str, Mapping[str, np.ndarray]]:
    front = network.model.front
    return {
        "threshold": network.thresholds,
        "offset": network.offsets,
        "correction": network.corrections,
        "readout_threshold": {"": network.readout_threshold},
        "front": {} if front is None else {"": np.frombuffer(serialised(front.model), np.uint8)},
    }


def _summary(parts: Partition) -> list[dict[str, Any]]:
    """Say which populations a network has; what is rebuilt must say the same."""
    return [
        {"name": item.name, "tensor": item.tensor, "kind": item.kind, "shape": list(item.shape)}
        for item in parts.populations
    ]


def _rebuilt(proto: onnx.ModelProto, record: Mapping[str, Any]) -> Network:
    arrays = {
        item.name: numpy_helper.to_array(item)
        for item in proto.graph.initializer
        if item.name.startswith(record["scope"])
    }
    graph, entries = unpack(proto, record["graph"], arrays.keys())
    _require_shapes(graph)
    parts = cut(graph)
    if _summary(parts) != record["populations"]:
        raise ValueError("its nodes do not make the populations that it was saved with")

    def named(kind: str) -> dict[str, np.ndarray]:
        start = f"{record['scope']}{kind}/"
        return {
            name.removeprefix(start): array
            for name, array in arrays.items()
            if name.startswith(start)
        }

    model = Model(
        graph=graph,
        entries=entries,
        parts=parts,
        error=float(record["error"]),
        limits={name: (float(low), float(high)) for name, (low, high) in record["limits"].items()},
        front=_front(record.get("front"), named("front")),
        preprocessing=Preprocessing(**record.get("preprocessing", {})),
    )
    network = Network(
        model=model,
        coding=codings.make(record["coding"], **record["options"]),
        thresholds=named("threshold"),
        offsets=named("offset"),
        readout_threshold=named("readout_threshold")[""],
        corrections=named("correction"),
        input_scales={name: float(scale) for name, scale in record["input_scales"].items()},
        calibration_samples=int(record["calibration_samples"]),
        calibration_maxima={
            name: float(value) for name, value in record.get("calibration_maxima", {}).items()
        },
        digits={name: int(value) for name, value in record.get("digits", {}).items()},
        saving=_saving(record.get("saving")),
    )
    for fault in _faults(network):
        raise ValueError(fault)
    return network


def _saving(record: Mapping[str, Any] | None) -> Saving | None:
    if record is None:
        return None
    pairs = {name: (float(before), float(after)) for name, (before, after) in record.items()}
    return Saving(**pairs)


def _front(record: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> Front | None:
    if record is None:
        return None
    entries = {name: tuple(map(int, shape)) for name, shape in record["entries"].items()}
    return Front(
        model=onnx.load_from_string(arrays[""].tobytes()), entries=entries, batch=record["batch"]
    )


def _require_shapes(graph: Graph) -> None:
    """Run a graph once, and compare the shapes of its tensors with those that were saved."""
    sample = {name: np.zeros((1, *shape), np.float32) for name, shape in graph.inputs.items()}
    for name, array in Runner.of(graph)(sample).items():
        if name in graph.shapes and array.shape != (1, *graph.shapes[name]):
            raise ValueError(
                f"{name!r} has shape {list(array.shape[1:])}, not {list(graph.shapes[name])}"
            )


def _faults(network: Network) -> Iterator[str]:
    """Find the numbers that no network has."""
    parts = network.model.parts
    shapes = {item.name: item.shape for item in parts.populations}
    segments = [*(item.segment for item in parts.populations), parts.readout]
    inputs = {item.target: item.shape for item in segments}
    for name in shapes:
        if name not in network.thresholds or name not in network.offsets:
            yield f"population {name!r} has no threshold or no offset"
    yield from _faults_of_digits(network)
    checked = (
        ("threshold", network.thresholds, shapes),
        ("offset", network.offsets, shapes),
        ("correction", network.corrections, inputs),
        ("threshold", {"readout": network.readout_threshold}, {"readout": parts.readout.shape}),
    )
    for kind, arrays, places in checked:
        for name, array in arrays.items():
            if name not in places:
                yield f"there is a {kind} for {name!r}, which the network does not have"
            elif not _fits(array, places[name]):
                yield f"the {kind} of {name!r} has shape {list(array.shape)}"
            elif not np.isfinite(array).all() or (kind == "threshold" and array.min() <= 0):
                yield f"the {kind} of {name!r} is {float(array.min())}"
    largest = max((float(item.max()) for item in network.thresholds.values()), default=0.0)
    for name, offset in network.offsets.items():
        if np.abs(offset).max() > _MOST_THRESHOLDS * largest:
            yield f"beside the offset of {name!r} no threshold is anything in float32"
    for name, scale in network.input_scales.items():
        if name not in network.entries or not 0 < scale < np.inf:
            yield f"the scale of the input {name!r} is {scale}"


def _faults_of_digits(network: Network) -> Iterator[str]:
    by_tensor = {item.tensor: network.digits_of(item) for item in network.populations}
    for name, digits in network.digits.items():
        if name not in network.thresholds:
            yield f"there are digits for {name!r}, which the network does not have"
        network.coding.with_digits(digits)
    for item in network.populations:
        if item.pools and {by_tensor[name] for name in item.segment.sources} != {
            by_tensor[item.tensor]
        }:
            yield f"the max pooling {item.name!r} has other digits than what it reads"


def _fits(array: np.ndarray, shape: Shape) -> bool:
    """Whether an array broadcasts to a shape."""
    try:
        return np.broadcast_shapes(array.shape, shape) == tuple(shape)
    except ValueError:
        return False
