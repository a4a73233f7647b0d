"""Several processes that share the samples, each with its own copy of a built network."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.backends.genn.installation import CPU
from onnx2genn.errors import BackendError

if TYPE_CHECKING:
    from onnx2genn.backends.genn.simulator import GennSimulator
    from onnx2genn.network import Network

# The simulator of a worker's process.
_OWN: list[GennSimulator] = []


class Workers:
    """Runs parts of the samples in processes of their own, since GeNN's CPU backend is serial.

    Args:
        network: Network to simulate, which has been built before.
        workers: Number of processes.
        batch_size: Samples of one call for each process.
        connectivity: As for :func:`onnx2genn.backends.genn.build`.
    """

    backend = CPU

    def __init__(
        self, network: Network, *, workers: int, batch_size: int, connectivity: str
    ) -> None:
        self.batch_size = batch_size * workers
        self._workers = workers
        # Forked children would share the libraries of GeNN and the threads of onnxruntime.
        self._pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_open,
            initargs=(network, batch_size, connectivity),
        )

    def run(self, samples: np.ndarray, *, first: int = 0, record: bool = False) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        size = -(-len(samples) // self._workers)
        starts = range(0, len(samples), size)
        try:
            parts = list(
                self._pool.map(
                    _run,
                    [samples[start : start + size] for start in starts],
                    [first + start for start in starts],
                    [record] * len(starts),
                )
            )
        except BrokenProcessPool as error:
            raise BackendError(
                "A worker process of GeNN ended unexpectedly, perhaps for lack of memory. "
                "Use fewer workers."
            ) from error
        return _joined(parts)

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()


def _open(network: Network, batch_size: int, connectivity: str) -> None:
    from onnx2genn.backends.genn.simulator import GennSimulator

    _OWN.append(
        GennSimulator(
            network,
            backend=CPU,
            device_batch=1,
            batch_size=batch_size,
            connectivity=connectivity,
        )
    )


def _run(samples: np.ndarray, first: int, record: bool) -> Activity:
    return _OWN[0].run(samples, first=first, record=record)


def _joined(parts: list[Activity]) -> Activity:
    logits = np.concatenate([part.logits for part in parts])
    if parts[0].logits_by_step is None:
        return Activity(logits=logits)

    def join(dictionaries: list[dict[str, np.ndarray] | None]) -> dict[str, np.ndarray]:
        given = [item for item in dictionaries if item is not None]
        return {name: np.concatenate([item[name] for item in given]) for name in given[0]}

    return Activity(
        logits=logits,
        logits_by_step=np.concatenate(
            [part.logits_by_step for part in parts if part.logits_by_step is not None], axis=1
        ),
        spikes=join([part.spikes for part in parts]),
        codes=join([part.codes for part in parts]),
    )
