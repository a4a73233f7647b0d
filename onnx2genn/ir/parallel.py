"""Samples shared between the cores of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise

import numpy as np
import onnx

from onnx2genn.ir.run import Runner

_chosen: int | None = None


def set_cores(count: int) -> None:
    """Say for the rest of a process how many cores it may use, as for one of several workers."""
    global _chosen
    _chosen = count


def cores() -> int:
    """Return how many cores this process may use."""
    if _chosen is not None:
        return _chosen
    if hasattr(os, "sched_getaffinity"):  # Linux: where a container or a cluster binds it to some
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ParallelRunner:
    """Runs a model on few samples at a time, each time on one thread.

    What lies between the operators then stays in the cache of one core, and no core waits for the
    others after each operator. Samples that are too few to be shared are run on all threads.

    Args:
        model: Makes the model.
        at_once: Samples at a time.
        threads: Threads to use; one per core if None.
    """

    def __init__(
        self, model: Callable[[], onnx.ModelProto], *, at_once: int, threads: int | None = None
    ) -> None:
        self._model, self._at_once = model, at_once
        self._wanted, self._count = threads, threads or cores()

    def __call__(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Run on arrays [N, ...] by name; return some outputs.

        Raises:
            UnsupportedModelError: onnxruntime cannot run the model on them.
        """
        parts = _parts(len(next(iter(feeds.values()))), self._at_once)
        shared = len(parts) > 1 and self._count > 1
        # The rest of many samples needs no session of its own.
        many = shared or "_on_one_thread" in self.__dict__
        runner = self._on_one_thread if many else self._on_all_threads

        def run(part: slice) -> dict[str, np.ndarray]:
            return runner({name: array[part] for name, array in feeds.items()}, outputs)

        found = list((self._threads.map if shared else map)(run, parts))
        if len(found) == 1:
            return found[0]
        return {name: np.concatenate([item[name] for item in found]) for name in outputs}

    def close(self) -> None:
        """Stop the threads."""
        if "_threads" in self.__dict__:
            self._threads.shutdown()

    @cached_property
    def _on_all_threads(self) -> Runner:
        return Runner(self._model(), threads=self._wanted or 0)

    @cached_property
    def _on_one_thread(self) -> Runner:
        return Runner(self._model(), threads=1)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count)


def _parts(count: int, at_once: int) -> list[slice]:
    """Cut samples into parts of nearly the same size, on any machine the same.

    There are as many as a power of two, which threads share evenly, or one for each sample.
    """
    wanted = max(1, -(-count // at_once))
    number = max(1, min(count, 1 << (wanted - 1).bit_length()))
    ends = [count * index // number for index in range(number + 1)]
    return [slice(*pair) for pair in pairwise(ends)]
