"""Recordings as a file: arrays in ``.npz``, written as they come."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from onnx2genn import files
from onnx2genn.backends.recording import Recording
from onnx2genn.network import Network

_SUFFIX = ".npz"


def write(recordings: Iterable[Recording], network: Network, path: Path) -> int:
    """Write recordings as one ``.npz``; memory does not grow with their number.

    ``logits`` has the answers [N, ...]; for each population, ``NAME.sample``, ``NAME.step``,
    ``NAME.neuron``, ``NAME.value`` and ``NAME.time`` have one element for each spike, and
    ``NAME.potential`` is [N, T, *shape]. ``about`` is JSON: the steps, and of each population its
    ONNX node, shape and first step.

    Args:
        recordings: What was recorded.
        network: Of what.
        path: File to write.

    Returns:
        The number of spikes.

    Raises:
        DataError: It cannot be written; a file that was there before is left as it was.
    """
    spikes = 0
    with tempfile.TemporaryDirectory(prefix="onnx2genn-") as folder:
        arrays = _Arrays(Path(folder))
        for item in recordings:
            arrays.add("logits", item.logits)
            for name, events in item.spikes.items():
                spikes += len(events.sample)
                for kind in ("sample", "step", "neuron", "value", "time"):
                    arrays.add(f"{name}.{kind}", getattr(events, kind))
            for name, values in item.potentials.items():
                arrays.add(f"{name}.potential", values)
        whole = Path(folder) / "whole"
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            arrays.write_to(archive)
            with archive.open("about.npy", "w") as member:
                np.lib.format.write_array(member, np.array(json.dumps(_about(network))))
        files.copy(whole, path)
    return spikes


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


class _Arrays:
    """Arrays that grow along their first axis, each in a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[np.dtype, tuple[int, ...], Path]] = {}
        self._rows: dict[str, int] = {}

    def add(self, name: str, part: np.ndarray) -> None:
        if name not in self._known:
            place = self._folder / f"{len(self._known)}.raw"
            self._known[name] = part.dtype, part.shape[1:], place
            self._rows[name] = 0
        self._rows[name] += len(part)
        with self._known[name][2].open("ab") as file:
            file.write(np.ascontiguousarray(part).tobytes())

    def write_to(self, archive: zipfile.ZipFile) -> None:
        for name, (dtype, shape, place) in self._known.items():
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": (self._rows[name], *shape),
            }
            place_in_archive = archive.open(f"{name}.npy", "w", force_zip64=True)
            with place_in_archive as member, place.open("rb") as raw:
                np.lib.format.write_array_header_2_0(_binary(member), header)
                shutil.copyfileobj(raw, member)


def _binary(member: object) -> BinaryIO:
    return member  # type: ignore[return-value]
