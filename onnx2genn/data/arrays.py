"""Arrays of .npy and .npz files: what their headers say is checked before it is believed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from onnx2genn.data.reading import reading, require_room
from onnx2genn.errors import DataError

_NPY, _NPZ = b"\x93NUMPY", b"PK"
_FORMATS = (
    "Use .npz with arrays x (and y), .npy with x alone, a folder of class folders of images, or "
    ".csv with paths of images and labels."
)
_FLOAT_BYTES = 4


def read_npy(path: Path, *, single: bool = False) -> np.ndarray | None:
    """Read the array of a ``.npy`` file; None if the file is a ``.npz``.

    Args:
        path: The file.
        single: Whether it may be a single value, without an axis.

    Raises:
        DataError: It cannot be read, or is neither of them.
    """
    with reading(path), path.open("rb") as file:
        start = file.read(len(_NPY))
        if start.startswith(_NPZ):
            return None
        if start != _NPY:
            raise DataError(f"{path} cannot be read as an array of numbers. {_FORMATS}")
        file.seek(0)
        return _array(path, "the array", file, path.stat().st_size, single=single)


class Archive:
    """A ``.npz`` file.

    Args:
        path: The file.

    Raises:
        DataError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(path), zipfile.ZipFile(path) as archive:
            self.names = [name.removesuffix(".npy") for name in archive.namelist()]

    def array(self, name: str) -> np.ndarray:
        """Read one of its arrays, which has at least one axis.

        Raises:
            DataError: It cannot be read, or is no plain array of numbers.
        """
        with reading(self._path), zipfile.ZipFile(self._path) as archive:
            member = archive.getinfo(f"{name}.npy")
            with archive.open(member) as file:
                return _array(self._path, f"array {name}", file, member.file_size)


def _array(
    path: Path, what: str, file: IO[bytes], size: int, *, single: bool = False
) -> np.ndarray:
    """Read an array from an open file of so many bytes."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise DataError(f"{path}: {what} holds Python objects, not numbers. {_FORMATS}")
    if not shape and not single:
        raise DataError(f"{path}: {what} is a single value, without an axis of samples.")
    count = 1
    for length in shape:
        count *= length
    if min(shape, default=0) < 0 or count * dtype.itemsize > size:
        raise DataError(
            f"{path}: {what} should have the shape {list(shape)} and type {dtype}, but there are "
            f"{size:,} bytes. The file is damaged or was cut off."
        )
    require_room(path, count * max(dtype.itemsize, _FLOAT_BYTES))
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)
