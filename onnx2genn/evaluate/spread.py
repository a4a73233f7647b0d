"""Tasks on many processes and machines, by any executor."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from onnx2genn.errors import BackendError, CodingError
from onnx2genn.evaluate.workers import Workers

Shared = bytes | Path
# Tasks that wait at the executor: enough for many machines, and no more than memory holds.
_WAITING = 64
# Times that workers may be lost without a result in between.
_PATIENCE = 3


@contextmanager
def hands(
    executor: Executor | None, workers: int | None, tasks: int
) -> Iterator[Executor | Workers | None]:
    """Return what is to carry out tasks: an executor, processes of this machine, or nothing.

    Args:
        executor: Executor, if one was given.
        workers: Number of processes, if they were asked for instead.
        tasks: Number of tasks; more processes would have nothing to do.

    Raises:
        CodingError: There are both.
    """
    if executor is not None and workers is not None:
        raise CodingError("executor and workers are two ways to the same: give one.")
    count = min(workers or 1, tasks)
    if count < 2:
        yield executor
        return
    found = Workers(count)
    try:
        yield found
    finally:
        found.close()


def spread(
    call: Callable[[str, Shared, Any], Any],
    content: bytes,
    tasks: Iterable[Any],
    executor: Executor | Workers,
) -> Iterator[Any]:
    """Carry out tasks wherever an executor does; return what they gave, in their order.

    Every task brings along what all have in common, but for processes of this machine, which find
    it in a file. A task that failed elsewhere is given once more: where a worker is lost while its
    result is on the way, a cluster may say so by an error of its own.

    Args:
        call: Function of a module: of a key, the content or where it is, and a task. The same key
            means the same content, of which a worker may keep what it has made.
        content: What all tasks need.
        tasks: The tasks.
        executor: Anything with the interface of :class:`concurrent.futures.Executor`, or workers.

    Raises:
        BackendError: Workers are lost again and again.
    """
    key = hashlib.sha256(content).hexdigest()
    shared = executor.share(content) if isinstance(executor, Workers) else content
    waiting: deque[tuple[Any, Future[Any] | None]] = deque()
    coming, patience = iter(tasks), _PATIENCE
    ended = object()
    while True:
        try:
            while len(waiting) < _WAITING and (task := next(coming, ended)) is not ended:
                waiting.append((task, None))
            if not waiting:
                return
            for index, (task, future) in enumerate(waiting):
                if future is None:
                    future = executor.submit(call, key, shared, task)
                    waiting[index] = task, future
            task, first = waiting[0]
            assert first is not None
            if isinstance(executor, Workers):
                found = executor.result(first)
            else:
                found = _result(first, partial(executor.submit, call, key, shared, task))
        except BrokenExecutor as error:
            patience -= 1
            if not isinstance(executor, Workers) or not patience:
                raise BackendError(
                    "Worker processes ended unexpectedly, perhaps for lack of memory. Use fewer "
                    "workers or smaller batches; what a file to resume from has is not lost."
                ) from error
            executor.renew()
            waiting = deque((task, _kept(future)) for task, future in waiting)
            continue
        patience = _PATIENCE
        waiting.popleft()
        yield found


def read(shared: Shared) -> bytes:
    """Return what all tasks have in common, in a worker."""
    return shared if isinstance(shared, bytes) else shared.read_bytes()


def _result(future: Future[Any], again: Callable[[], Future[Any]]) -> Any:
    """Return the result of a task, or of its second try."""
    try:
        return future.result()
    except BrokenExecutor:
        raise
    except Exception:  # noqa: BLE001 - the second try raises it, if it is the task's own
        return again().result()


def _kept(future: Future[Any] | None) -> Future[Any] | None:
    """Return a future that has its result; what was lost is asked for again."""
    if future is None or not future.done() or future.cancelled() or future.exception():
        return None
    return future
