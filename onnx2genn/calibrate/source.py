"""A model together with the samples that it is calibrated on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from onnx2genn.data import Inputs, load_arrays, load_samples, prepare, shapes_of
from onnx2genn.frontend.file import InputShape, Source, load_proto
from onnx2genn.frontend.outputs import Wanted, choose_outputs, input_names
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.model import Model


def read_with_samples(
    source: Source,
    calibration: Inputs | str | Path | None,
    output: Wanted,
    input_shape: InputShape | None = None,
    memory: float | None = None,
) -> tuple[Model, np.ndarray | None]:
    """Read a model, and samples for it.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: Samples, a file of them or a folder of images; None for none.
        output: As for :func:`read`.
        input_shape: Shape of one sample, where there are none and the model leaves it open.
        memory: GiB that reading may take; a quarter of the machine's memory if None.

    Raises:
        UnsupportedModelError: The model cannot be converted.
        DataError: The samples do not fit the model.
    """
    proto = load_proto(source)
    made = partial(read, proto, output=output, memory=memory)
    if calibration is None:
        return made(input_shape=input_shape), None
    names = input_names(proto, choose_outputs(proto, output))
    if isinstance(calibration, str | Path) and Path(calibration).is_dir():
        # Of images, the model says how large they are.
        model = made(input_shape=input_shape)
        return model, prepare(model, load_samples(calibration, model.entries).x)
    if isinstance(calibration, str | Path):
        calibration, _ = load_arrays(Path(calibration), names)
    model = made(input_shape=shapes_of(names, calibration))
    return model, prepare(model, calibration)
