"""Events of neuromorphic sensors, counted in the time steps of a spiking network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from onnx2genn.data.arrays import Archive, read_npy
from onnx2genn.data.intake import Samples
from onnx2genn.data.reading import is_folder
from onnx2genn.errors import DataError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.model import Model

MOST = 255
"""Events of one place in one step, at most."""
_PLACES = {1: "x", 2: "yx"}


def prepare_events(model: Model, x: Any, steps: int, where: str = "The data") -> np.ndarray:
    """Count the events of samples in time steps.

    The bins of counts are joined or spread over the steps; the time between the first and the last
    event of a sample is cut into equal steps (as by ``tonic.transforms.ToFrame(n_time_bins=T)``).
    No event is lost, so the sum over the steps, which the ANN sees, is that of all events.

    Args:
        model: The model; its one input takes the sum.
        x: Counts [N, bins, *shape]; or for each sample a structured array, as tonic gives them,
            with the fields x and t, y for a plane, and p for the channel of a polarity.
        steps: T, the length of a window in time steps.
        where: What they are, for messages.

    Returns:
        Counts [N, T, *shape], uint8.

    Raises:
        DataError: They do not fit the model, or are no events.
    """
    if len(model.entries) > 1:
        raise DataError(f"{where}: events are for a model with one input, and it has several.")
    ((name, shape),) = model.entries.items()
    counts = _counts(shape, x, steps, where)
    if name in model.limits and (counts.sum(axis=1).max() > model.limits[name][1]):
        raise DataError(
            f"{where} has more events in one place than {model.limits[name][1]:g}, where the model "
            "clips its quantised input. Spikes cannot be clipped: leave some of the events out."
        )
    return counts


def load_events(path: str | Path, model: Model, steps: int, limit: int | None = None) -> Samples:
    """Load samples of events from a file.

    Args:
        path: ``.npz`` with array ``x`` (and ``y``), or ``.npy`` with ``x``: counts [N, bins,
            *shape]. Or events of all samples behind each other, with the fields x, y, p and t, and
            in ``.npz`` an array ``counts`` [N] with the number of events of each sample.
        model: Model that takes their sums.
        steps: T, the length of a window in time steps.
        limit: Use only the first samples.

    Raises:
        DataError: There is no such file, it cannot be read, or it does not fit the model.
    """
    place, y = Path(path), None
    if is_folder(place):
        raise DataError(f"{path} is a folder: events are in .npz or .npy.")
    x: Any = read_npy(place)
    if x is None:
        archive = Archive(place)
        if "x" not in archive.names:
            raise DataError(f"{path} has no array x of events, or of counts.")
        x = archive.array("x")
        y = archive.array("y") if "y" in archive.names else None
        if x.dtype.names and "counts" in archive.names:
            x = _cut(x, archive.array("counts"), path)
        elif x.dtype.names and y is not None and len(y) > 1:
            raise DataError(
                f"{path} has events of {len(y):,} samples behind each other in x, and no array "
                "counts with the number of those of each."
            )
    found = prepare_events(model, x if _is_one_sample(x) else x[:limit], steps, str(path))
    return Samples(x=found, y=y if y is None else y[:limit])


def _cut(events: np.ndarray, counts: np.ndarray, path: str | Path) -> list[np.ndarray]:
    """Cut events that are behind each other into samples."""
    fits = counts.dtype.kind in "iu" and counts.ndim == 1 and counts.min(initial=0) >= 0
    if not fits or counts.sum() != len(events):
        raise DataError(
            f"{path} has {len(events):,} events in x; counts has to be the number of those of each "
            "sample, and to add up to that."
        )
    return np.split(events, np.cumsum(counts)[:-1])


def _is_one_sample(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.names is not None and x.ndim == 1


def _counts(shape: Shape, x: Any, steps: int, where: str) -> np.ndarray:
    samples = [x] if _is_one_sample(x) else x
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub":
        return _rebinned(shape, x, steps, where)
    wanted = (
        f"{where} is neither counts [samples, bins, {', '.join(map(str, shape))}] nor an array of "
        "events with the fields x, y, p and t for each sample."
    )
    if not isinstance(samples, list | tuple | np.ndarray) or not len(samples):
        raise DataError(wanted)
    parts = []
    for index, item in enumerate(samples):
        array = np.asarray(item)
        named = f"{where}, sample {index}"
        if array.dtype.names:
            parts.append(_of_events(shape, array, steps, named))
        elif array.dtype.kind in "fiub":
            parts.append(_rebinned(shape, array[None], steps, named)[0])
        else:
            raise DataError(wanted)
    return np.stack(parts)


def _rebinned(shape: Shape, counts: np.ndarray, steps: int, where: str) -> np.ndarray:
    """Bring counts of any number of bins into T steps."""
    if counts.ndim != len(shape) + 2 or counts.shape[2:] != tuple(shape) or not counts.size:
        raise DataError(
            f"{where} has shape {list(counts.shape)}; events of the network's input are counts "
            f"[samples, bins, {', '.join(map(str, shape))}]."
        )
    found = np.zeros((len(counts), steps, *shape), np.uint8)
    ends = -(-np.arange(steps + 1) * counts.shape[1] // steps)
    for step in range(steps):
        part = counts[:, ends[step] : ends[step + 1]]
        if not part.size:
            continue
        total = part.sum(axis=1, dtype=np.float64)
        if not (part.min() >= 0 and (np.floor(part) == part).all()):
            raise DataError(f"{where} has counts that are no whole numbers from 0 on.")
        _require_few(total, where)
        found[:, step] = total
    return found


def _of_events(shape: Shape, events: np.ndarray, steps: int, where: str) -> np.ndarray:
    """Count one sample's events."""
    names = events.dtype.names or ()
    axes = list(_axes(shape, where))
    needed = ["t", *(axis for axis in axes if axis != "p")]
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise DataError(
            f"{where}: its events have the fields {', '.join(names)}, and lack "
            f"{', '.join(lacking)}, for an input of shape {list(shape)}."
        )
    found = np.zeros((steps, *shape), np.int64)
    if not events.size:
        return found.astype(np.uint8)
    places = [_places(events, axis, size, where) for axis, size in zip(axes, shape, strict=True)]
    np.add.at(found, (_steps_of(events["t"], steps, where), *places), 1)
    _require_few(found, where)
    return found.astype(np.uint8)


def _axes(shape: Shape, where: str) -> Iterator[str]:
    """Return what each axis of an input stands for: channels (p) are first, or last."""
    planes = len(shape) - 1 if len(shape) > 1 else 1
    if planes not in _PLACES:
        raise DataError(f"{where}: an input of shape {list(shape)} is no plane or line of places.")
    places = _PLACES[planes]
    if len(shape) == 1:
        yield from places
    elif shape[-1] in (1, 2) and shape[0] not in (1, 2):
        yield from (*places, "p")
    else:
        yield from ("p", *places)


def _places(events: np.ndarray, axis: str, size: int, where: str) -> np.ndarray:
    """Return where events are along an axis."""
    if axis == "p" and ("p" not in (events.dtype.names or ()) or size == 1):
        return np.zeros(len(events), np.int64)
    found = events[axis]
    if axis == "p" and found.dtype.kind in "ib" and found.min() < 0:
        found = found > 0  # polarities of -1 and 1
    found = found.astype(np.int64)
    if found.min() < 0 or found.max() >= size:
        raise DataError(
            f"{where} has events with {axis} from {found.min()} to {found.max()}; the network has "
            f"0 to {size - 1}."
        )
    return found


def _steps_of(times: np.ndarray, steps: int, where: str) -> np.ndarray:
    """Return the step of each event; times may have any unit."""
    if not np.isfinite(times).all():
        raise DataError(f"{where} has events at an infinite or undefined time.")
    elapsed = times.astype(np.float64) - float(times.min())
    duration = float(elapsed.max()) or 1.0
    return np.minimum((elapsed / duration * steps).astype(np.int64), steps - 1)


def _require_few(counts: np.ndarray, where: str) -> None:
    if counts.max() > MOST:
        raise DataError(
            f"{where} has {counts.max():g} events of one place in one step; {MOST} is the most. "
            "Use more steps, or leave some of the events out."
        )
