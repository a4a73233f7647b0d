"""Passes of the ANN over calibration samples, here or on other processes and machines."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.data import Progress
from onnx2genn.errors import CalibrationError
from onnx2genn.evaluate.spread import Shared, read, spread
from onnx2genn.evaluate.workers import Workers
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import Runner

# The cuts are the same wherever samples are run: sums of other batches differ in their last digits.
_TASK = 250
# Samples at once: what they take stays small, since fresh memory costs as much time as the ANN.
_FEWEST, _AT_ONCE = 8, 50
_BYTES = 2**28

Found = Sequence[tuple[str, Statistics]]
"""Tensors, and what is to be found of each."""


class Passes:
    """Runs the ANN on all samples, once or more often, and says how far it is.

    Attributes:
        tasks: Parts that the samples are cut into.
        hands: What runs them; None for this process.

    Args:
        model: Canonical model.
        samples: Samples, as the network takes them.
        passes: Number of passes.
        progress: Called with the number of samples done and the total.
    """

    def __init__(
        self, model: Model, samples: np.ndarray, passes: int, progress: Progress | None = None
    ) -> None:
        self.hands: Executor | Workers | None = None
        self.tasks = -(-len(samples) // _TASK)
        self._model, self._samples, self._progress = model, samples, progress
        self._passes, self._done = passes, 0

    def gather(self, update: Found, *, lower: Found = ()) -> None:
        """Run one pass.

        Args:
            update: Statistics to add the values of tensors to.
            lower: Statistics whose offset is lowered to the smallest values, in a first pass.

        Raises:
            CalibrationError: The ANN computes what is not finite.
        """
        names = [name for name, _ in (*update, *lower)]
        size = 4 * sum(int(np.prod(self._model.graph.shapes[name])) for name in names)
        fewer = min(_AT_ONCE, max(_FEWEST, _BYTES // max(size, 1)))
        look = _Look(
            model=replace(self._model, verify=None),
            update=update,
            lower=lower,
            at_once=self._model.samples_that_fit(names, fewer),
        )
        for done in self._runs(look):
            self._done += done
            if self._progress is not None:
                self._progress(self._done // self._passes, len(self._samples))

    def _runs(self, look: _Look) -> Iterator[int]:
        """Let samples be looked at, and return how many were, part by part."""
        tasks = [
            self._samples[start : start + _TASK] for start in range(0, len(self._samples), _TASK)
        ]
        if self.hands is None:
            for task in tasks:
                yield from look.at(task)
            return
        results = spread(_look, pickle.dumps(look), tasks, self.hands)
        for task, (updated, lowest) in zip(tasks, results, strict=True):
            for (_, statistics), other in zip(look.update, updated, strict=True):
                statistics.merge(other)
            for (_, statistics), values in zip(look.lower, lowest, strict=True):
                statistics.lower_to(values)
            yield len(task)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What is to be found of which tensors, and how many samples are run at once."""

    model: Model
    update: Found
    lower: Found
    at_once: int

    @cached_property
    def _runner(self) -> Runner:
        names = [name for name, _ in (*self.update, *self.lower)]
        return self.model.runner(list(dict.fromkeys(names)))

    def afresh(self) -> _Look:
        """Return the same with statistics that have nothing yet."""
        found = copy(self)  # with its runner
        for field, pairs in (("update", self.update), ("lower", self.lower)):
            vars(found)[field] = [(name, copy(statistics)) for name, statistics in pairs]
        return found

    def at(self, samples: np.ndarray) -> Iterator[int]:
        """Look at samples, and return how many were looked at, batch by batch."""
        (entry,) = self.model.graph.inputs
        feeds = {entry: np.ascontiguousarray(self.model.summed(samples), np.float32)}
        for tensors in self._runner.batches(feeds, self.at_once):
            for name, values in tensors.items():
                if not np.isfinite(values).all():
                    raise CalibrationError(
                        f"The ANN computes infinite or undefined values in {name!r} on the "
                        "calibration samples. Check their scaling."
                    )
            for name, statistics in self.update:
                statistics.update(tensors[name])
            for name, statistics in self.lower:
                statistics.lower(tensors[name])
            count = len(values)
            del values, tensors  # before there are others
            yield count


_open: dict[str, _Look] = {}
"""What this worker is to find."""


def _look(
    key: str, shared: Shared, samples: np.ndarray
) -> tuple[list[Statistics], list[np.ndarray]]:
    """Look at some samples, in a worker."""
    if key not in _open:
        _open.clear()
        _open[key] = pickle.loads(read(shared))  # noqa: S301 - the process that asks has written it
    found = _open[key].afresh()
    for _ in found.at(samples):
        pass
    return [item for _, item in found.update], [item.offset for _, item in found.lower]
