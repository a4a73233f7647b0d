"""Parts of the samples on many processes and machines, by any executor."""

from __future__ import annotations

import hashlib
import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnx2genn.errors import BackendError
from onnx2genn.evaluate.comparison import Comparison, Job, Part, Stretch, comparison
from onnx2genn.evaluate.workers import Workers
from onnx2genn.network import Network

State = dict[str, np.ndarray]
# Stretches that wait at the executor: enough for many machines, and no more than memory holds.
_WAITING = 64
# Times that workers may be lost without a result in between.
_PATIENCE = 3


def spread(job: Job, stretches: Iterable[Stretch], executor: Executor | Workers) -> Iterator[Part]:
    """Compare on stretches of samples wherever an executor runs them; return them in order.

    A worker builds the network once. Every task brings it along, but for processes of this machine,
    which find it in a file.

    Args:
        job: What to compare.
        stretches: The samples.
        executor: Anything with the interface of :class:`concurrent.futures.Executor`, or workers.

    Raises:
        BackendError: Workers cannot run the network, or are lost again and again.
    """
    content = pickle.dumps(replace(job, network=_plain(job)))
    key = hashlib.sha256(content).hexdigest()
    network = executor.share(content) if isinstance(executor, Workers) else content
    waiting: deque[tuple[Stretch, Future[Any] | None]] = deque()
    coming, patience = iter(stretches), _PATIENCE
    while True:
        try:
            while len(waiting) < _WAITING and (stretch := next(coming, None)) is not None:
                waiting.append((stretch, None))
            if not waiting:
                return
            for index, (stretch, future) in enumerate(waiting):
                if future is None:
                    future = executor.submit(_compare, key, network, stretch)
                    waiting[index] = stretch, future
            first = waiting[0][1]
            assert first is not None
            state = executor.result(first) if isinstance(executor, Workers) else first.result()
        except BrokenExecutor as error:
            patience -= 1
            if not isinstance(executor, Workers) or not patience:
                raise BackendError(
                    "Worker processes ended unexpectedly, perhaps for lack of memory. Use fewer "
                    "workers or smaller batches; what a file to resume from has is not lost."
                ) from error
            executor.renew()
            waiting = deque((stretch, _kept(future)) for stretch, future in waiting)
            continue
        patience = _PATIENCE
        found = Part(job)
        found.restore(state)
        waiting.popleft()
        yield found


def _plain(job: Job) -> Network:
    """Return the network without what this process has made of it for itself."""
    return replace(job.network, model=replace(job.network.model, verify=None))


def _kept(future: Future[Any] | None) -> Future[Any] | None:
    """Return a future that has its result; what was lost is asked for again."""
    if future is None or not future.done() or future.cancelled() or future.exception():
        return None
    return future


_open: dict[str, tuple[Comparison, ExitStack]] = {}
"""The network that this worker has built."""


def _compare(key: str, network: bytes | Path, stretch: Stretch) -> State:
    """Compare on some samples, in a worker."""
    if key not in _open:
        for _, stack in _open.values():
            stack.close()
        _open.clear()
        stack = ExitStack()
        content = network if isinstance(network, bytes) else network.read_bytes()
        job = pickle.loads(content)  # noqa: S301 - the process that asks has written it
        _open[key] = stack.enter_context(comparison(job)), stack
    return _open[key][0].part(stretch).state()
