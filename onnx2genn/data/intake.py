"""Samples and labels from files and folders."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnx2genn.data.arrays import Archive, read_npy
from onnx2genn.data.fitting import Inputs, samples_for, samples_of
from onnx2genn.data.images import load_images
from onnx2genn.data.reading import is_folder
from onnx2genn.errors import DataError
from onnx2genn.ir.front import Front
from onnx2genn.ir.graph import Shape


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples as :func:`samples_of` gives them and, where known, their labels [N]."""

    x: np.ndarray
    y: np.ndarray | None = None


def load_samples(
    path: str | Path,
    entries: Mapping[str, Shape],
    limit: int | None = None,
    front: Front | None = None,
) -> Samples:
    """Load samples from a file or folder.

    Args:
        path: ``.npz`` with array ``x`` (and ``y``), ``.npy`` with ``x``, or a folder with one
            folder of images for each class, in the order of their names. For a model with several
            inputs, ``.npz`` with arrays of their names (and ``y``).
        entries: Inputs that the model takes, with the shape of one sample.
        limit: Use only the first samples; of images, the first of every class in turn.
        front: What comes before the network, if samples are of the inputs that this takes.

    Raises:
        DataError: There is no such file, it cannot be read, or it does not fit the model.
    """
    place = Path(path)
    if not is_folder(place):
        arrays, y = load_arrays(place, entries if front is None else front.entries)
        first: Inputs = {name: array[:limit] for name, array in arrays.items()}
        if front is not None and len(arrays) == 1:  # which may be of either
            (first,) = (array[:limit] for array in arrays.values())
        x = samples_of(entries, first, str(path), front)
        return Samples(x=x, y=y if y is None else y[:limit])
    if len(entries) > 1:
        raise DataError(
            f"{path} is a folder of images, but the model takes several inputs. "
            + _how_to_save(entries)
        )
    (shape,) = entries.values()
    x, y = load_images(place, shape, limit)
    return Samples(x=samples_for(shape, x, str(path)), y=y)


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
    if is_folder(path):
        raise DataError(f"{path} is a folder, not .npz or .npy.")
    single = read_npy(path)
    if single is not None:
        if len(names) > 1:
            raise DataError(
                f"{path} has one array, but the model takes several inputs. {_how_to_save(names)}"
            )
        return dict.fromkeys(names, single), None
    called = dict.fromkeys(names, "x") if len(names) == 1 else {name: name for name in names}
    archive = Archive(path)
    lacking = [key for key in called.values() if key not in archive.names]
    if lacking:
        raise DataError(
            f"{path} has the arrays {', '.join(archive.names) or '(none)'}, but none is called "
            f"{' or '.join(lacking)}. {_how_to_save(names)}"
        )
    labelled = "y" in archive.names and "y" not in called.values()
    arrays = {name: archive.array(key) for name, key in called.items()}
    return arrays, archive.array("y") if labelled else None


def _how_to_save(names: Collection[str]) -> str:
    if len(names) == 1:
        return "Save it with numpy.savez(file, x=samples, y=labels)."
    arrays = ", ".join(f"{name!r}: samples" for name in names)
    return f"Save .npz with numpy.savez(file, **{{{arrays}}}, y=labels)."
