"""Recordings as a file: arrays in ``.npz`` or HDF5, written as they come."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from onnx2genn import files
from onnx2genn.backends.recording import Recording
from onnx2genn.errors import DataError
from onnx2genn.network import Network

_HDF5 = (".h5", ".hdf5")
_CHUNK = 2**15


def require(path: Path) -> None:
    """Find out before the work that a recording can be written.

    Args:
        path: File to write.

    Raises:
        DataError: It is HDF5, and h5py is missing.
    """
    if path.suffix.lower() in _HDF5:
        try:
            import h5py  # noqa: F401
        except ImportError as error:
            raise DataError(
                f"{path} needs h5py: pip install 'onnx2genn[hdf5]'. Or record as .npz."
            ) from error


def write(
    recordings: Iterable[Recording],
    network: Network,
    path: Path,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write recordings as one file; memory does not grow with their number.

    ``logits`` has the answers [N, ...]; for each population, ``NAME.sample``, ``NAME.step``,
    ``NAME.neuron``, ``NAME.value`` and ``NAME.time`` have one element for each spike, and
    ``NAME.potential`` is [N, T, *shape]. ``about`` is JSON: the steps, and of each population its
    ONNX node, shape and first step.

    Args:
        recordings: What was recorded.
        network: Of what.
        path: File to write: HDF5 if it ends in ``.h5`` or ``.hdf5``, else ``.npz``.
        progress: Called with the number of samples written.

    Returns:
        The number of spikes.

    Raises:
        DataError: It cannot be written; a file that was there before is left as it was. Or it is
            HDF5, and h5py is missing.
    """
    require(path)
    spikes = 0
    with tempfile.TemporaryDirectory(prefix="onnx2genn-") as folder:
        whole = Path(folder) / "whole"
        is_hdf5 = path.suffix.lower() in _HDF5
        with _Hdf5(whole) if is_hdf5 else _Npz(whole) as arrays:
            for item in recordings:
                spikes += _add(arrays, item)
                if progress is not None:
                    progress(item.first + item.samples)
            arrays.finish(json.dumps(_about(network)))
        files.copy(whole, path)
    return spikes


def _add(arrays: _Arrays, item: Recording) -> int:
    """Add what was recorded of some samples; return the number of spikes."""
    arrays.add("logits", item.logits)
    for name, events in item.spikes.items():
        for kind in ("sample", "step", "neuron", "value", "time"):
            arrays.add(f"{name}.{kind}", getattr(events, kind))
    for name, values in item.potentials.items():
        arrays.add(f"{name}.potential", values)
    return sum(len(events.sample) for events in item.spikes.values())


def _about(network: Network) -> dict[str, object]:
    coding = network.coding
    return {
        "coding": str(coding),
        "steps": coding.steps,
        "populations": {
            item.name: {
                "node": item.node.name,
                "kind": item.kind,
                "shape": list(item.shape),
                "start": coding.window_start(item.depth),
            }
            for item in network.populations
        },
    }


class _Arrays(Protocol):
    """Arrays that grow along their first axis, in a file."""

    def add(self, name: str, part: np.ndarray) -> None:
        """Append to an array."""

    def finish(self, about: str) -> None:
        """Write what the arrays are, and all that is not written yet."""


class _Hdf5:
    """In HDF5, where each array is a data set of its own."""

    def __init__(self, path: Path) -> None:
        import h5py

        self._file = h5py.File(path, "w")

    def __enter__(self) -> _Arrays:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, part: np.ndarray) -> None:
        if name not in self._file:
            chunks = (_CHUNK,) if part.ndim == 1 else True  # of few spikes so far
            longest = (None, *part.shape[1:])
            self._file.create_dataset(
                name, data=part, maxshape=longest, chunks=chunks, compression="gzip"
            )
            return
        known = self._file[name]
        known.resize(len(known) + len(part), axis=0)
        known[len(known) - len(part) :] = part

    def finish(self, about: str) -> None:
        self._file["about"] = about


class _Npz:
    """In ``.npz``, whose arrays follow each other: each is gathered in a file before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[np.dtype, tuple[int, ...], Path]] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> _Arrays:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, name: str, part: np.ndarray) -> None:
        if name not in self._known:
            place = self._path.with_name(f"{len(self._known)}.raw")
            self._known[name] = part.dtype, part.shape[1:], place
            self._rows[name] = 0
        self._rows[name] += len(part)
        with self._known[name][2].open("ab") as file:
            file.write(np.ascontiguousarray(part).tobytes())

    def finish(self, about: str) -> None:
        with zipfile.ZipFile(self._path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (dtype, shape, place) in self._known.items():
                header = {
                    "descr": np.lib.format.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": (self._rows[name], *shape),
                }
                member = archive.open(f"{name}.npy", "w", force_zip64=True)
                with member, place.open("rb") as raw:
                    np.lib.format.write_array_header_2_0(_binary(member), header)
                    shutil.copyfileobj(raw, member)
            with archive.open("about.npy", "w") as member:
                np.lib.format.write_array(member, np.array(about))


def _binary(member: object) -> BinaryIO:
    return member  # type: ignore[return-value]
