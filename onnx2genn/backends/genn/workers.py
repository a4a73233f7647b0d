"""Several processes that share the samples, each with its own copy of a built network."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.base import NOTHING, Activity, Watch
from onnx2genn.backends.genn.device.assembly import Target
from onnx2genn.backends.genn.plan import Plan
from onnx2genn.errors import BackendError

if TYPE_CHECKING:
    from onnx2genn.network import Network


class Workers:
    """Runs parts of the samples in processes of their own, since GeNN's CPU backend is serial.

    Args:
        network: Network to simulate.
        plan: The network as the device sees it.
        target: What it has been compiled for before.
        workers: Number of processes.
        batch_size: Samples of one call for each process.
    """

    def __init__(
        self, network: Network, plan: Plan, target: Target, *, workers: int, batch_size: int
    ) -> None:
        self.backend = target.backend
        self.batch_size = batch_size * workers
        # Forked children would share the libraries of GeNN and the threads of onnxruntime.
        context = multiprocessing.get_context("spawn")
        self._processes, self._links = [], []
        for _ in range(workers):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there,), daemon=True)
            with _without_interrupts():
                process.start()
            there.close()
            self._processes.append(process)
            self._links.append(here)
        for link in self._links:
            link.send((network, plan.plain(), target))

    def run(
        self,
        samples: np.ndarray,
        *,
        first: int = 0,
        record: bool = False,
        watch: Watch = NOTHING,
    ) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        size = -(-len(samples) // len(self._links))
        starts = range(0, len(samples), size)
        links = self._links[: len(starts)]
        try:
            for link, start in zip(links, starts, strict=True):
                link.send((samples[start : start + size], first + start, record, watch))
            parts = [link.recv() for link in links]
        except (EOFError, OSError) as error:
            raise BackendError(
                "A worker process of GeNN ended unexpectedly, perhaps for lack of memory. "
                "Use fewer workers."
            ) from error
        for part in parts:
            if isinstance(part, BackendError):
                raise part
        return _joined(parts)

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for process, link in zip(self._processes, self._links, strict=True):
            process.terminate()
            process.join()
            link.close()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let processes that start within take no notice of Ctrl-C: the first process ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(link: Connection) -> None:
    """Answer the first process until it hangs up."""
    from onnx2genn.backends.genn.simulator import GennSimulator

    try:
        network, plan, target = link.recv()
        simulator = GennSimulator(network, plan, target, batch_size=1)
        while True:
            samples, first, record, watch = link.recv()
            link.send(simulator.run(samples, first=first, record=record, watch=watch))
    except BackendError as error:
        link.send(error)
    except EOFError:
        return


def _joined(parts: list[Activity]) -> Activity:
    logits = np.concatenate([part.logits for part in parts])
    trains, potentials = (
        {
            name: np.concatenate([getattr(part, kind)[name] for part in parts], axis=1)
            for name in getattr(parts[0], kind)
        }
        for kind in ("trains", "potentials")
    )
    if parts[0].logits_by_step is None:
        return Activity(logits=logits, trains=trains, potentials=potentials)

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
        trains=trains,
        potentials=potentials,
    )
