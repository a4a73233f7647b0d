"""Samples and labels from files and folders."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnx2genn.data.arrays import Archive, read_npy
from onnx2genn.data.fitting import Inputs, Progress, samples_of
from onnx2genn.data.image_lists import listed, names_images
from onnx2genn.data.images import load_images
from onnx2genn.data.reading import is_folder
from onnx2genn.errors import DataError
from onnx2genn.frontend.input_values import FIX_INPUT
from onnx2genn.ir.front import Front
from onnx2genn.ir.graph import Shape


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples as :func:`samples_of` gives them and, where known, their labels [N].

    ``names`` are those of the classes, in their order, where they have some.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    names: tuple[str, ...] = ()


def load_samples(
    path: str | Path,
    entries: Mapping[str, Shape],
    limit: int | None = None,
    front: Front | None = None,
    *,
    resize: str | int | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Load samples from a file or folder.

    Args:
        path: ``.npz`` with array ``x`` (and ``y``), ``.npy`` with ``x``, or images as
            :func:`listed` takes them. For a model with several inputs, ``.npz`` with arrays of
            their names (and ``y``).
        entries: Inputs that the model takes, with the shape of one sample.
        limit: Use only the first samples; of images, the first of every class in turn.
        front: What comes before the network, if samples are of the inputs that this takes.
        resize: What to do with images of another size, as of ``Preprocessing``.
        progress: Called with the number of images read and the total.

    Raises:
        DataError: There is no such file, it cannot be read, or it does not fit the model.
    """
    place = Path(path)
    taken = entries if front is None else front.entries
    if not names_images(place):
        arrays, y = load_arrays(place, taken)
        first: Inputs = {name: array[:limit] for name, array in arrays.items()}
        if front is not None and len(arrays) == 1:  # which may be of either
            (first,) = (array[:limit] for array in arrays.values())
        x = samples_of(entries, first, str(path), front)
        return Samples(x=x, y=y if y is None else y[:limit])
    if len(taken) > 1:
        raise DataError(
            f"{path} has images, but the model takes several inputs. " + _how_to_save(taken)
        )
    (shape,) = taken.values()
    found = listed(place, limit)
    x = samples_of(entries, load_images(found.files, shape, resize, progress), str(path), front)
    y = None if found.labels is None else np.array(found.labels)
    return Samples(x=x, y=y, names=found.names)


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
    return f"Save .npz with numpy.savez(file, **{{{arrays}}}, y=labels). {FIX_INPUT}"
