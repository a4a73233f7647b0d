"""A model together with the samples that it is calibrated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from onnx2genn.coding import Coding
from onnx2genn.data import (
    Inputs,
    Progress,
    load_arrays,
    load_events,
    load_samples,
    names_images,
    prepare,
    prepare_events,
    shapes_of,
)
from onnx2genn.frontend.file import InputShape, Source, load_proto
from onnx2genn.frontend.input_values import InputValues, with_values
from onnx2genn.frontend.outputs import Wanted, choose_outputs, input_names
from onnx2genn.frontend.pipeline import read
from onnx2genn.frontend.preprocessing import prepared
from onnx2genn.ir.model import Model
from onnx2genn.ir.preprocessing import AS_IT_IS, Preprocessing


def read_with_samples(
    source: Source,
    calibration: Inputs | str | Path | None,
    output: Wanted,
    input_shape: InputShape | None = None,
    start: Sequence[str] = (),
    coding: Coding | None = None,
    preprocessing: Preprocessing | None = None,
    progress: Progress | None = None,
    input_values: InputValues | None = None,
) -> tuple[Model, np.ndarray | None]:
    """Read a model, and samples for it.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: Samples, a file of them or a folder of images; None for none.
        output: As for :func:`read`.
        input_shape: Shape of one sample, where there are none and the model leaves it open.
        start: Tensors that the network starts at; samples may be of them, or of the inputs.
        coding: Coding that they are for; it may take events.
        preprocessing: What is done to samples, which becomes part of the model; None for nothing.
        progress: Called with the number of images read and the total.
        input_values: Inputs with one value for all samples, by name.

    Raises:
        UnsupportedModelError: The model cannot be converted.
        DataError: The samples do not fit the model.
    """
    preprocessing = preprocessing or AS_IT_IS
    proto, notes = with_values(load_proto(source), input_values)
    proto = prepared(proto, preprocessing, output)
    names = input_names(proto, choose_outputs(proto, output))
    dims = _sizes(proto, names)
    held = [proto]
    del source, proto

    def made(input_shape: InputShape | None) -> Model:
        # Whoever reads the model last may forget it, and with it a copy of its weights.
        model = read(held.pop(), output=output, start=start, input_shape=input_shape)
        graph = replace(model.graph, notes=[*notes, *model.graph.notes])
        return replace(model, graph=graph, preprocessing=preprocessing)

    if calibration is None:
        return made(input_shape), None
    if coding is not None and coding.events:
        model = made(input_shape)
        if isinstance(calibration, str | Path):
            return model, load_events(calibration, model, coding.steps).x
        return model, prepare_events(model, calibration, coding.steps)
    if isinstance(calibration, str | Path) and names_images(Path(calibration)):
        # Of images, the model says how large they are.
        model = made(input_shape)
        loaded = load_samples(
            calibration,
            model.entries,
            front=model.front,
            resize=preprocessing.resize,
            progress=progress,
        )
        return model, prepare(model, loaded.x)
    if isinstance(calibration, str | Path):
        calibration, _ = load_arrays(Path(calibration), names)
    if start and not _is_for(dims, names, calibration):
        names = list(start)
    model = made(shapes_of(names, calibration))
    return model, prepare(model, calibration)


def _sizes(proto: onnx.ModelProto, names: Sequence[str]) -> list[list[int]]:
    """Return the sizes of inputs as the file has them, 0 where they are open."""
    return [
        [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in proto.graph.input
        if info.name in names
    ]


def _is_for(dims: Sequence[Sequence[int]], names: Sequence[str], x: Inputs) -> bool:
    """Whether samples are for inputs of such sizes, and not for a tensor within the model."""
    if isinstance(x, Mapping):
        return not set(names).isdisjoint(x)
    if len(names) > 1:
        return True
    (known,) = dims
    sizes = np.shape(x[0] if isinstance(x, list | tuple) else x)
    return len(known) == len(sizes) and all(
        dim in (0, size) for dim, size in list(zip(known, sizes, strict=True))[1:]
    )
