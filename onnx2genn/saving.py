"""Saved spiking networks: ONNX files with the coding and its thresholds in them."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn import coding as codings
from onnx2genn.errors import DataError, UnsupportedModelError
from onnx2genn.frontend.file import Source, load_proto
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import serialised
from onnx2genn.network import Network

_KEY = "onnx2genn"
_FORMAT = 3
_THRESHOLD = "onnx2genn/threshold/"
_OFFSET = "onnx2genn/offset/"
_READOUT = "onnx2genn/readout_threshold"
_CORRECTION = "onnx2genn/correction/"


def save(network: Network, path: Path) -> None:
    """Write a network; see :meth:`onnx2genn.network.Network.save`."""
    proto = onnx.shape_inference.infer_shapes(network.model.to_onnx(joined=False))
    record = {
        "format": _FORMAT,
        "coding": network.coding.name,
        "options": network.coding.options(),
        "input_scales": dict(network.input_scales),
        "calibration_samples": network.calibration_samples,
    }
    helper.set_model_props(proto, {_KEY: json.dumps(record)})
    arrays = {}
    for item in network.populations:
        arrays[_THRESHOLD + item.tensor] = network.thresholds[item.name]
        arrays[_OFFSET + item.tensor] = network.offsets[item.name]
    arrays |= {_CORRECTION + name: array for name, array in network.corrections.items()}
    arrays[_READOUT] = network.readout_threshold
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array, np.float32), name)
        for name, array in arrays.items()
    )
    write_atomically(path, serialised(proto))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there.

    Raises:
        DataError: It cannot be written; a file that was there before is left as it was.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def load(source: Source) -> Network:
    """Load a spiking network that :meth:`Network.save` wrote.

    Args:
        source: Path of the file, or the model in memory.

    Raises:
        UnsupportedModelError: The file is missing, or is no saved spiking network.
    """
    proto = load_proto(source)
    metadata = {item.key: item.value for item in proto.metadata_props}
    if _KEY not in metadata:
        raise UnsupportedModelError(
            f"{source if not isinstance(source, onnx.ModelProto) else 'The model'} is a plain ONNX "
            "model, not a saved spiking network: use convert."
        )
    record = json.loads(metadata[_KEY])
    if record["format"] != _FORMAT:
        raise UnsupportedModelError(
            f"The spiking network was saved by another version of onnx2genn (format "
            f"{record['format']}; this one knows {_FORMAT}). Convert the original model again."
        )
    arrays = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    model = read(proto)
    return Network(
        model=model,
        coding=codings.make(record["coding"], **record["options"]),
        thresholds={
            item.name: arrays[_THRESHOLD + item.tensor] for item in model.parts.populations
        },
        offsets={item.name: arrays[_OFFSET + item.tensor] for item in model.parts.populations},
        readout_threshold=arrays[_READOUT],
        corrections={
            name.removeprefix(_CORRECTION): array
            for name, array in arrays.items()
            if name.startswith(_CORRECTION)
        },
        input_scales=record["input_scales"],
        calibration_samples=record["calibration_samples"],
    )


def is_saved_network(proto: onnx.ModelProto) -> bool:
    """Whether a model carries a coding and thresholds."""
    return any(item.key == _KEY for item in proto.metadata_props)
