"""Parts of the samples on many processes and machines, by any executor."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np

from onnx2genn.errors import BackendError
from onnx2genn.evaluate.comparison import Comparison, Job, Part, Stretch, comparison
from onnx2genn.network import Network

State = dict[str, np.ndarray]
# Stretches that wait at the executor: enough for many machines, and no more than memory holds.
_WAITING = 64
# Times that workers may be lost without a result in between.
_PATIENCE = 3


class Workers:
    """Processes of this machine. A lost one costs time, but no samples.

    Args:
        count: Number of processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor = self._new()

    def _new(self) -> ProcessPoolExecutor:
        # Forked children would share the libraries of GeNN and the threads of onnxruntime.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, mp_context=context)

    def submit(self, *call: object) -> Future[State]:
        """Submit a call, as :meth:`concurrent.futures.Executor.submit` does."""
        with without_interrupts():  # the first process ends the others
            return self._executor.submit(*call)  # type: ignore[arg-type]

    def renew(self) -> None:
        """Start new processes after some were lost."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._new()

    def close(self) -> None:
        """Let the processes finish what they are at, and end."""
        self._executor.shutdown(cancel_futures=True)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Let processes that start within take no notice of Ctrl-C; here it is heard right after."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def spread(job: Job, stretches: Iterable[Stretch], executor: Executor | Workers) -> Iterator[Part]:
    """Compare on stretches of samples wherever an executor runs them; return them in order.

    Every task brings the network along, and a worker builds it once.

    Args:
        job: What to compare.
        stretches: The samples.
        executor: Anything with the interface of :class:`concurrent.futures.Executor`.

    Raises:
        BackendError: Workers cannot run the network, or are lost again and again.
    """
    content = pickle.dumps(replace(job, network=_plain(job)))
    key = hashlib.sha256(content).hexdigest()
    waiting: deque[tuple[Stretch, Future[State] | None]] = deque()
    coming, patience = iter(stretches), _PATIENCE
    while True:
        try:
            while len(waiting) < _WAITING and (stretch := next(coming, None)) is not None:
                waiting.append((stretch, None))
            if not waiting:
                return
            for index, (stretch, future) in enumerate(waiting):
                if future is None:
                    future = executor.submit(_compare, key, content, stretch)
                    waiting[index] = stretch, future
            first = waiting[0][1]
            assert first is not None
            state = first.result()
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


def _kept(future: Future[State] | None) -> Future[State] | None:
    """Return a future that has its result; what was lost is asked for again."""
    if future is None or not future.done() or future.cancelled() or future.exception():
        return None
    return future


_open: dict[str, tuple[Comparison, ExitStack]] = {}
"""The network that this worker has built."""


def _compare(key: str, content: bytes, stretch: Stretch) -> State:
    """Compare on some samples, in a worker."""
    if key not in _open:
        for _, stack in _open.values():
            stack.close()
        _open.clear()
        stack = ExitStack()
        job = pickle.loads(content)  # noqa: S301 - the process that asks has written it
        _open[key] = stack.enter_context(comparison(job)), stack
    return _open[key][0].part(stretch).state()
