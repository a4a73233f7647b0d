"""Samples and labels, checked against what the model takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from onnx2genn.errors import DataError
from onnx2genn.frontend.input_values import FIX_INPUT
from onnx2genn.ir.front import Front
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.inputs import join_arrays, separate_arrays
from onnx2genn.ir.model import Model
from onnx2genn.ir.preprocessing import CHANNELS_FIRST, layout_of

Inputs = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]
"""Samples [N, ...]; of a model with several inputs, arrays by name or in the model's order."""

Progress = Callable[[int, int], None]
"""Called with the number of samples done and the total."""


def samples_of(
    entries: Mapping[str, Shape],
    x: Inputs,
    where: str = "The data",
    front: Front | None = None,
) -> np.ndarray:
    """Check samples against the model's inputs and join them to the one array that it reads.

    Args:
        entries: Inputs that the model takes, with the shape of one sample.
        x: Samples; of several inputs, what this function returned is taken, too.
        where: What they are, for messages.
        front: What comes before the network, if samples may be of the inputs that this takes.

    Returns:
        Samples [N, ...], float32. Those of several inputs lie side by side, [N, elements].

    Raises:
        DataError: They do not fit; the message says what the model takes.
    """
    if front is not None and not _are_of(entries, x):
        x = front(_apart(front.entries, x, where))
    if len(entries) > 1 and isinstance(x, np.ndarray):
        total = sum(int(np.prod(shape)) for shape in entries.values())
        if x.shape[1:] != (total,):
            raise DataError(
                f"{where} is one array of shape {list(x.shape)}; {_taken(entries)}. {FIX_INPUT}"
            )
        return samples_for((total,), x, where)
    return join_arrays(entries, _apart(entries, x, where))


def _are_of(entries: Mapping[str, Shape], x: Inputs) -> bool:
    """Whether samples are what the network itself takes, by their names or shape."""
    if isinstance(x, Mapping):
        return set(x) == set(entries)
    if isinstance(x, list | tuple) and len(entries) > 1:
        return False
    total = (sum(int(np.prod(shape)) for shape in entries.values()),)
    shape = np.shape(x)[1:]
    return shape == (next(iter(entries.values())) if len(entries) == 1 else total)


def _apart(entries: Mapping[str, Shape], x: Inputs, where: str) -> dict[str, np.ndarray]:
    """Check samples and return those of each input."""
    arrays = _by_name(list(entries), x, where)
    if set(arrays) != set(entries):
        advice = f" {FIX_INPUT}" if set(arrays) < set(entries) else ""
        raise DataError(f"{where} has arrays for {', '.join(arrays)}; {_taken(entries)}.{advice}")
    if len(entries) == 1:
        ((name, shape),) = entries.items()
        return {name: samples_for(shape, arrays[name], where)}
    found = {
        name: samples_for(shape, arrays[name], f"{where} for input {name!r}")
        for name, shape in entries.items()
    }
    if len({len(array) for array in found.values()}) > 1:
        counts = ", ".join(f"{len(array)} for {name!r}" for name, array in found.items())
        raise DataError(f"{where} has different numbers of samples: {counts}.")
    return found


def prepare(model: Model, x: Inputs, where: str = "The data") -> np.ndarray:
    """Check samples against a model and make of them what its canonical graph takes.

    Args:
        model: The model, whose file may clip its inputs to a range when it quantises them.
        x: Samples as for :func:`samples_of`.
        where: What they are, for messages.

    Raises:
        DataError: They do not fit; the message says what the model takes.
    """
    joined = samples_of(model.entries, x, where, model.front)
    if not model.limits:
        return joined
    arrays = separate_arrays(model.entries, joined)
    for name, (low, high) in model.limits.items():
        arrays[name] = np.clip(arrays[name], np.float32(low), np.float32(high))
    return join_arrays(model.entries, arrays)


def batched(x: Inputs, *, separate: bool = False) -> Inputs:
    """Give a single sample, or one of each input, its batch axis.

    Args:
        x: The sample.
        separate: Whether samples are arrays of their own, as events are.
    """
    if separate:
        return [np.asarray(x)]
    if isinstance(x, Mapping):
        return {name: np.asarray(item)[None] for name, item in x.items()}
    if isinstance(x, list | tuple):
        return [np.asarray(item)[None] for item in x]
    return np.asarray(x)[None]


def shapes_of(names: Sequence[str], x: Inputs | None) -> dict[str, Shape]:
    """Return the shape of one sample for each input, before it is known what the model takes.

    Args:
        names: Inputs that the model takes.
        x: Samples.

    Raises:
        DataError: There are more or fewer arrays than inputs.
    """
    if x is None or (len(names) > 1 and isinstance(x, np.ndarray)):
        return {}
    arrays = _by_name(names, x, "The data")
    return {name: _array(array, "The data").shape[1:] for name, array in arrays.items()}


def _by_name(names: Sequence[str], x: Inputs, where: str) -> Mapping[str, Any]:
    if isinstance(x, Mapping):
        return x
    if len(names) == 1:
        return {names[0]: x}
    if not isinstance(x, Sequence):
        raise DataError(f"{where} is of type {type(x).__name__}; the model takes {_listed(names)}.")
    if len(x) != len(names):
        raise DataError(f"{where} has {len(x)} arrays; the model takes {_listed(names)}.")
    return dict(zip(names, x, strict=True))


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} inputs: {', '.join(names)}"


def _array(x: Any, where: str) -> np.ndarray:
    """Make an array of what may be lists of different lengths."""
    try:
        array = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} is no array of numbers: {error}.") from error
    if array.dtype.names:
        raise DataError(f"{where} has events, which coding='rate' with input='events' takes.")
    return array


def _taken(entries: Mapping[str, Shape]) -> str:
    inputs = [f"{name!r} {list(shape)}" for name, shape in entries.items()]
    if len(inputs) == 1:
        return f"the model takes the input {inputs[0]} alone"
    return f"the model takes the inputs {', '.join(inputs)}, as a dictionary of arrays by name"


def samples_for(shape: Shape, x: np.ndarray, where: str = "The data") -> np.ndarray:
    """Check samples against the model's input and return them as float32.

    Args:
        shape: Shape of one sample that the model takes.
        x: Samples [N, ...].
        where: What they are, for messages.

    Raises:
        DataError: Their shape or type does not fit, or a value is not finite.
    """
    array = _array(x, where)
    wanted = f"the model takes float samples of shape {list(shape)}, after the axis of samples"
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where} has elements of type {array.dtype}; {wanted}.")
    if array.ndim == 0 or not len(array):
        raise DataError(f"{where} has no samples; {wanted}.")
    if array.shape[1:] != tuple(shape):
        raise DataError(f"{where} has shape {list(array.shape)}; {wanted}.{_hint(array, shape)}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array.reshape(len(array), -1)).all(axis=1)).sum())
        raise DataError(
            f"{where} has infinite or undefined values (NaN) in {bad} of {len(array)} samples."
        )
    return array


def _hint(array: np.ndarray, shape: Shape) -> str:
    if array.shape == tuple(shape):
        return " The axis of samples is missing: use x[None]."
    layout = layout_of(array.shape[1:], shape)
    if layout is not None:
        first = layout == CHANNELS_FIRST
        here, there, axes = ("first", "last", "2, 3, 1") if first else ("last", "first", "3, 1, 2")
        return (
            f" The channels are {here}, the model wants them {there}: x.transpose(0, {axes}), or "
            f"--layout {layout}."
        )
    if array[0].size == np.prod(shape):
        return f" The number of values is right: x.reshape({', '.join(map(str, (-1, *shape)))})."
    return ""


def labels_for(classes: int, samples: int, y: np.ndarray, positions: Shape = ()) -> np.ndarray:
    """Check labels against samples and classes and return them as whole numbers.

    Args:
        classes: Outputs of the model.
        samples: Number of samples.
        y: Labels [N, *positions], or one-hot [N, classes] where a sample has one.
        positions: Shape of the labels of one sample.

    Raises:
        DataError: Their number, type or range does not fit.
    """
    array, wanted = _array(y, "y"), (samples, *positions)
    if array.dtype.kind not in "fiub":
        raise DataError(f"y holds values of type {array.dtype}; labels are whole numbers.")
    if not np.isfinite(array).all():
        raise DataError("y has infinite or undefined values (NaN); labels are whole numbers.")
    if array.shape == (samples, classes) and classes > 1 and prod(positions) == 1:
        array = array.argmax(axis=1)
    if array.shape[:1] == (samples,) and array.size == prod(wanted):
        array = array.reshape(wanted)
    if array.shape != wanted:
        needed = f"labels of shape {list(positions)}" if prod(positions) != 1 else "one label"
        raise DataError(
            f"y has shape {list(array.shape)} for {samples} samples: it needs {needed} for each."
        )
    if array.dtype.kind == "f" and not np.array_equal(array, np.floor(array)):
        raise DataError("y has fractions; labels are whole numbers.")
    if array.min() < 0 or array.max() >= classes:
        raise DataError(
            f"y has labels from {array.min():g} to {array.max():g}; the model has {classes} "
            f"classes, 0 to {classes - 1}."
        )
    return array.astype(np.int64)
