"""Parts of an evaluation that other processes and machines find."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from onnx2genn.evaluate.comparison import Comparison, Job, Part, Stretch, comparison
from onnx2genn.evaluate.spread import Shared, read, spread
from onnx2genn.evaluate.workers import Workers


def elsewhere(
    job: Job, stretches: Iterable[Stretch], executor: Executor | Workers
) -> Iterator[Part]:
    """Compare on stretches of samples wherever an executor runs them; return them in order.

    A worker builds the network once.

    Args:
        job: What to compare.
        stretches: The samples.
        executor: Anything with the interface of :class:`concurrent.futures.Executor`, or workers.

    Raises:
        BackendError: Workers cannot run the network, or are lost again and again.
    """
    # Without what this process has made of it for itself.
    network = replace(job.network, model=replace(job.network.model, verify=None))
    content = pickle.dumps(replace(job, network=network))
    for state in spread(_compare, content, stretches, executor):
        found = Part(job)
        found.restore(state)
        yield found


_open: dict[str, tuple[Comparison, ExitStack]] = {}
"""The network that this worker has built."""


def _compare(key: str, shared: Shared, stretch: Stretch) -> dict[str, np.ndarray]:
    """Compare on some samples, in a worker."""
    if key not in _open:
        for _, stack in _open.values():
            stack.close()
        _open.clear()
        stack = ExitStack()
        job = pickle.loads(read(shared))  # noqa: S301 - the process that asks has written it
        _open[key] = stack.enter_context(comparison(job)), stack
    return _open[key][0].part(stretch).state()
