"""Processes of this machine that carry out calls, of which any may be lost at any time."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from onnx2genn.ir.memory import budget, set_budget
from onnx2genn.ir.parallel import cores, set_cores


class Workers:
    """Processes of this machine. A lost one costs time, but no samples.

    Calls and results travel as files, and only their names by the pipes that the processes share:
    of a process that is killed while it writes more than a pipe takes at once, the others would
    wait for the rest for ever.

    Args:
        count: Number of processes, which share the memory budget.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._folder = TemporaryDirectory(prefix="onnx2genn-")
        self._numbers = itertools.count()
        self._executor = self._new()

    def _new(self) -> ProcessPoolExecutor:
        # Forked children would share the libraries of GeNN and the threads of onnxruntime.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            self._count,
            context,
            initializer=_start,
            initargs=(
                self._folder.name,
                budget() // self._count,
                max(1, cores() // self._count),
            ),
        )

    def _place(self) -> Path:
        return Path(self._folder.name, str(next(self._numbers)))

    def share(self, content: bytes) -> Path:
        """Keep what all calls need, and return where workers find it."""
        place = self._place()
        place.write_bytes(content)
        return place

    def submit(self, call: Callable[..., Any], *arguments: object) -> Future[Path]:
        """Submit a call; :meth:`result` gives what it returned.

        Raises:
            BrokenExecutor: A process was lost; :meth:`renew` starts others.
        """
        place = self._place()
        _write(place, (call, arguments))
        with _without_interrupts():  # the first process ends the others
            return self._executor.submit(_carry_out, place)

    def result(self, future: Future[Path]) -> Any:
        """Wait for what a call returns, and return it, once.

        Raises:
            BrokenExecutor: The process that was at it was lost.
        """
        return _read(future.result())

    def renew(self) -> None:
        """Start new processes after some were lost."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._new()

    def close(self) -> None:
        """Let the processes finish what they are at, and end."""
        self._executor.shutdown(cancel_futures=True)
        self._folder.cleanup()


def _write(place: Path, content: object) -> None:
    with place.open("wb") as file:
        pickle.dump(content, file, protocol=pickle.HIGHEST_PROTOCOL)


def _read(place: Path) -> Any:
    with place.open("rb") as file:
        content = pickle.load(file)  # noqa: S301 - in a folder that only this user can write to
    place.unlink()
    return content


def _carry_out(place: Path) -> Path:
    """Carry out a call, in a worker, and return where its result lies."""
    call, arguments = _read(place)
    found = place.with_suffix(".found")
    _write(found, call(*arguments))
    return found


def _start(folder: str, memory: int, threads: int) -> None:
    """Make this process a worker, which ends with the one that asks: it would wait for ever."""
    set_budget(memory)
    set_cores(threads)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    Thread(target=wait, daemon=True).start()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let processes that start within take no notice of Ctrl-C; here it is heard right after."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
