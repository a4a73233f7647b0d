"""Samples and labels: from files, and checked against what the model takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnx2genn.errors import DataError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.inputs import join_arrays, separate_arrays
from onnx2genn.ir.model import Model

Inputs = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]
"""Samples [N, ...]; of a model with several inputs, arrays by name or in the model's order."""

_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff"}


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples as :func:`samples_of` gives them and, where known, their labels [N]."""

    x: np.ndarray
    y: np.ndarray | None = None


def load_samples(
    path: str | Path, entries: Mapping[str, Shape], limit: int | None = None
) -> Samples:
    """Load samples from a file or folder.

    Args:
        path: ``.npz`` with array ``x`` (and ``y``), ``.npy`` with ``x``, or a folder with one
            folder of images for each class, in the order of their names. For a model with several
            inputs, ``.npz`` with arrays of their names (and ``y``).
        entries: Inputs that the model takes, with the shape of one sample.
        limit: Use only the first samples; of images, the first of every class in turn.

    Raises:
        DataError: There is no such file, it cannot be read, or it does not fit the model.
    """
    place = Path(path)
    if not place.is_dir():
        arrays, y = load_arrays(place, entries)
        first = {name: array[:limit] for name, array in arrays.items()}
        x = samples_of(entries, first, str(path))
        return Samples(x=x, y=y if y is None else y[:limit])
    if len(entries) > 1:
        raise DataError(
            f"{path} is a folder of images, but the model takes several inputs. "
            + _how_to_save(entries)
        )
    (shape,) = entries.values()
    samples = _load_images(place, shape, limit)
    return Samples(x=samples_for(shape, samples.x, str(path)), y=samples.y)


def load_arrays(
    path: Path, names: Collection[str]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Load the arrays of a file by the inputs that they are for, and the labels.

    Args:
        path: ``.npz`` or ``.npy``.
        names: Inputs that the model takes. The samples for a single one are called ``x``.

    Raises:
        DataError: There is no such file, it cannot be read, or it lacks an array.
    """
    if not path.is_file():
        raise DataError(f"There is no data file or folder {str(path)!r}.")
    try:
        content = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read as an array of numbers. Use .npz with arrays x (and y), .npy "
            "with x alone, or a folder of class folders of images."
        ) from error
    called = dict.fromkeys(names, "x") if len(names) == 1 else {name: name for name in names}
    if isinstance(content, np.ndarray):
        if len(names) > 1:
            raise DataError(
                f"{path} has one array, but the model takes several inputs. {_how_to_save(names)}"
            )
        return dict.fromkeys(names, content), None
    with content:
        lacking = [key for key in called.values() if key not in content.files]
        if lacking:
            raise DataError(
                f"{path} has the arrays {', '.join(content.files) or '(none)'}, but none is called "
                f"{' or '.join(lacking)}. {_how_to_save(names)}"
            )
        labelled = "y" in content.files and "y" not in called.values()
        try:
            arrays = {name: content[key] for name, key in called.items()}
            return arrays, content["y"] if labelled else None
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read: {error}.") from error


def _how_to_save(names: Collection[str]) -> str:
    if len(names) == 1:
        return "Save it with numpy.savez(file, x=samples, y=labels)."
    arrays = ", ".join(f"{name!r}: samples" for name in names)
    return f"Save .npz with numpy.savez(file, **{{{arrays}}}, y=labels)."


def _load_images(folder: Path, shape: Shape, limit: int | None) -> Samples:
    """Load images in the layout of the model: [channels, height, width] or channels last."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            "Folders of images need Pillow: pip install 'onnx2genn[images]'."
        ) from error
    channels, size, channels_first = _image_layout(shape)
    classes = sorted(item for item in folder.iterdir() if item.is_dir())
    files = [
        [file for file in sorted(item.iterdir()) if file.suffix.lower() in _IMAGES]
        for item in classes
    ]
    chosen = sorted(
        (turn, label, file) for label, group in enumerate(files) for turn, file in enumerate(group)
    )[:limit]
    if not chosen:
        raise DataError(f"{folder} has no folders of images: it needs one folder for each class.")
    x = np.empty((len(chosen), *shape), np.float32)
    for index, (_, _, file) in enumerate(chosen):
        try:
            with Image.open(file) as image:
                mode = "L" if channels == 1 else "RGB"
                pixels = np.asarray(image.convert(mode), np.float32) / 255.0
        except OSError as error:
            raise DataError(f"{file} is not an image that can be read: {error}.") from error
        if pixels.shape[:2] != size:
            raise DataError(
                f"{file} has {pixels.shape[0]} x {pixels.shape[1]} pixels; the model takes "
                f"{size[0]} x {size[1]}. Resize the images first."
            )
        pixels = pixels.reshape(*size, channels)
        x[index] = pixels.transpose(2, 0, 1) if channels_first else pixels
    return Samples(x=x, y=np.array([label for _, label, _ in chosen]))


def _image_layout(shape: Shape) -> tuple[int, tuple[int, int], bool]:
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape[0], (shape[1], shape[2]), True
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[2], (shape[0], shape[1]), False
    raise DataError(
        f"The model takes samples of shape {list(shape)}, which are no images of 1 or 3 channels. "
        "Give the data as .npz."
    )


def samples_of(entries: Mapping[str, Shape], x: Inputs, where: str = "The data") -> np.ndarray:
    """Check samples against the model's inputs and join them to the one array that it reads.

    Args:
        entries: Inputs that the model takes, with the shape of one sample.
        x: Samples; of several inputs, what this function returned is taken, too.
        where: What they are, for messages.

    Returns:
        Samples [N, ...], float32. Those of several inputs lie side by side, [N, elements].

    Raises:
        DataError: They do not fit; the message says what the model takes.
    """
    if len(entries) > 1 and isinstance(x, np.ndarray):
        total = sum(int(np.prod(shape)) for shape in entries.values())
        if x.shape[1:] != (total,):
            raise DataError(f"{where} is one array of shape {list(x.shape)}; {_taken(entries)}.")
        return samples_for((total,), x, where)
    arrays = _by_name(list(entries), x, where)
    if set(arrays) != set(entries):
        raise DataError(f"{where} has arrays for {', '.join(arrays)}; {_taken(entries)}.")
    if len(entries) == 1:
        ((name, shape),) = entries.items()
        return samples_for(shape, arrays[name], where)
    found = {
        name: samples_for(shape, arrays[name], f"{where} for input {name!r}")
        for name, shape in entries.items()
    }
    if len({len(array) for array in found.values()}) > 1:
        counts = ", ".join(f"{len(array)} for {name!r}" for name, array in found.items())
        raise DataError(f"{where} has different numbers of samples: {counts}.")
    return join_arrays(entries, found)


def prepare(model: Model, x: Inputs, where: str = "The data") -> np.ndarray:
    """Check samples against a model and make of them what its canonical graph takes.

    Args:
        model: The model, whose file may clip its inputs to a range when it quantises them.
        x: Samples as for :func:`samples_of`.
        where: What they are, for messages.

    Raises:
        DataError: They do not fit; the message says what the model takes.
    """
    joined = samples_of(model.entries, x, where)
    if not model.limits:
        return joined
    arrays = separate_arrays(model.entries, joined)
    for name, (low, high) in model.limits.items():
        arrays[name] = np.clip(arrays[name], np.float32(low), np.float32(high))
    return join_arrays(model.entries, arrays)


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
    return {name: np.shape(array)[1:] for name, array in arrays.items()}


def _by_name(names: Sequence[str], x: Inputs, where: str) -> Mapping[str, Any]:
    if isinstance(x, Mapping):
        return x
    if len(names) == 1:
        return {names[0]: x}
    if len(x) != len(names):
        raise DataError(
            f"{where} has {len(x)} arrays; the model takes {len(names)} inputs: {', '.join(names)}."
        )
    return dict(zip(names, x, strict=True))


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
    array = np.asarray(x)
    wanted = f"the model takes float samples of shape {list(shape)}, after the axis of samples"
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where} has elements of type {array.dtype}; {wanted}.")
    if array.ndim == 0 or not len(array):
        raise DataError(f"{where} has no samples; {wanted}.")
    if array.shape[1:] != tuple(shape):
        raise DataError(f"{where} has shape {list(array.shape)}; {wanted}.{_hint(array, shape)}")
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
    if len(shape) == 3 and array.ndim == 4:
        if array.transpose(0, 3, 1, 2).shape[1:] == tuple(shape):
            return " The channels are last, the model wants them first: x.transpose(0, 3, 1, 2)."
        if array.transpose(0, 2, 3, 1).shape[1:] == tuple(shape):
            return " The channels are first, the model wants them last: x.transpose(0, 2, 3, 1)."
    if array[0].size == np.prod(shape):
        return f" The number of values is right: x.reshape({', '.join(map(str, (-1, *shape)))})."
    return ""


def labels_for(classes: int, samples: int, y: np.ndarray) -> np.ndarray:
    """Check labels against samples and classes and return them as whole numbers.

    Args:
        classes: Outputs of the model.
        samples: Number of samples.
        y: Labels [N], or one-hot [N, classes].

    Raises:
        DataError: Their number, type or range does not fit.
    """
    array = np.asarray(y)
    if array.shape == (samples, classes) and classes > 1:
        array = array.argmax(axis=1)
    array = array.reshape(-1) if array.shape == (samples, 1) else array
    if array.shape != (samples,):
        raise DataError(
            f"y has shape {list(array.shape)} for {samples} samples: it needs one label for each."
        )
    if array.dtype.kind not in "iub" and not (
        array.dtype.kind == "f" and np.array_equal(array, np.floor(array))
    ):
        raise DataError(f"y holds values of type {array.dtype}; labels are whole numbers.")
    array = array.astype(np.int64)
    if array.min() < 0 or array.max() >= classes:
        raise DataError(
            f"y has labels from {array.min()} to {array.max()}; the model has {classes} classes, "
            f"0 to {classes - 1}."
        )
    return array
