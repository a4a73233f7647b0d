"""What an evaluation has found so far, in a file from which it goes on."""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from onnx2genn import files
from onnx2genn.errors import DataError
from onnx2genn.evaluate.comparison import Job, Part

_KEY = "key"
# Seconds between two writes: what is lost by an interruption.
_EVERY = 10.0


class Progressed:
    """Keeps the sums of an evaluation in a file.

    Args:
        path: The file, or None to keep nothing.
        job: What is compared.
        samples: All samples.
        labels: What the answers should be, by output.
        size: Samples of a stretch: sums of other stretches differ in their last digits.
    """

    def __init__(
        self,
        path: Path | None,
        job: Job,
        samples: np.ndarray,
        labels: Mapping[str, np.ndarray | None],
        size: int,
    ) -> None:
        self._path = path
        self._total, self._written = len(samples), time.monotonic()
        self._key = "" if path is None else _key(job, samples, labels, size)

    def restore(self, found: Part) -> None:
        """Take what an earlier run has found, if there is something.

        Raises:
            DataError: The file is damaged, or of another evaluation.
        """
        if self._path is None or not self._path.exists():
            return
        try:
            with np.load(self._path, allow_pickle=False) as content:
                state = {name: content[name] for name in content.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self._path} is not what an earlier evaluation has left, or it is damaged. Name "
                "another file, or remove this one."
            ) from error
        if str(state.pop(_KEY, "")) != self._key:
            raise DataError(
                f"{self._path} is of another evaluation: of another network, coding, backend, "
                "metric or size of batches, or of other samples. Remove it, or name another file."
            )
        try:
            found.restore(state)
        except (LookupError, ValueError) as error:
            raise DataError(
                f"{self._path} is damaged: {error}. Remove it, or name another file."
            ) from error

    def save(self, found: Part) -> None:
        """Write what was found so far, now and then and at the end."""
        if self._path is None:
            return
        now = time.monotonic()
        if found.samples < self._total and now - self._written < _EVERY:
            return
        content = io.BytesIO()
        np.savez(content, **{_KEY: np.asarray(self._key)}, **found.state())  # type: ignore[arg-type]
        files.write(self._path, content.getvalue())
        self._written = now


def _key(job: Job, samples: np.ndarray, labels: Mapping[str, np.ndarray | None], size: int) -> str:
    """Return a hash of all that the result depends on."""
    digest = hashlib.sha256()
    network = job.network
    arrays = {
        **network.model.graph.constants,
        **network.thresholds,
        **network.offsets,
        **network.corrections,
        "readout": network.readout_threshold,
        "samples": samples,
        **{f"labels of {name}": item for name, item in labels.items() if item is not None},
    }
    metrics = [item.metric.name for item in job.questions.values()]
    words = [
        network.coding,
        network.digits,
        network.input_scales,
        network.model.graph.nodes,
        metrics,
        job.backend,
        job.options,
        size,
    ]
    digest.update(repr([*words, sorted(arrays)]).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
