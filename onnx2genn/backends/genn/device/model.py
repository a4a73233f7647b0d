"""A plan as a PyGeNN model: assembled, compiled and loaded."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onnx2genn.backends.genn.device.cache import CodeDirectory, key_of
from onnx2genn.backends.genn.device.neurons import add_neurons
from onnx2genn.backends.genn.device.portable import SynapseGroups
from onnx2genn.backends.genn.device.scatter import GROUP, ScatterUpdates
from onnx2genn.backends.genn.installation import CPU, INSTALLATION
from onnx2genn.backends.genn.plan import Plan
from onnx2genn.errors import BackendError

_NAME = "network"
_TAIL = 12


class LoadedModel:
    """A network on the device.

    Args:
        plan: What to simulate.
        backend: GeNN backend.
        batch_size: Samples that the device simulates at once.
        connectivity: ``portable`` (synapse groups) or ``scatter`` (custom updates; CPU only).

    Raises:
        BackendError: It cannot be built.
    """

    def __init__(self, plan: Plan, *, backend: str, batch_size: int, connectivity: str) -> None:
        import pygenn

        self._scatter = connectivity == "scatter"
        model = pygenn.GeNNModel("float", _NAME, backend=backend, optimize_code=True)
        model.dt = 1.0
        model.batch_size = batch_size
        model.fuse_postsynaptic_models = True
        connector: ScatterUpdates | SynapseGroups = ScatterUpdates(model)
        if not self._scatter:
            connector = SynapseGroups(model, parallel=backend != CPU)
        texts = [
            *(backend, str(batch_size), connectivity, pygenn.__version__, sys.platform),
            *(os.environ.get(name, "") for name in ("CXX", "CUDA_PATH", "CUDA_VISIBLE_DEVICES")),
        ]
        for item in plan.neurons:
            texts.append(add_neurons(model, item, plan.steps, scatter=self._scatter))
        for item in plan.neurons:
            texts += [
                connector.connect(projection, plan.by_name[projection.source], item)
                for projection in item.projections
            ]
        self._updates = self._scatter and any(item.projections for item in plan.neurons)
        self._model = model
        self._directory = CodeDirectory(key_of(texts))
        try:
            with _quiet(backend):
                model.build(str(self._directory.path), never_rebuild=self._directory.is_built)
                model.load()
            self._directory.publish()
        except BaseException:
            self._directory.release()
            raise

    def group(self, name: str) -> Any:
        """Return PyGeNN's neuron group of a name."""
        return self._model.neuron_populations[name]

    @property
    def timestep(self) -> int:
        """Steps of GeNN's clock."""
        return self._model.timestep

    @timestep.setter
    def timestep(self, value: int) -> None:
        self._model.timestep = value

    def step(self) -> None:
        """Simulate one step: deliver the spikes of the last one, then update all neurons."""
        if self._updates:
            self._model.custom_update(GROUP)
        self._model.step_time()

    def close(self) -> None:
        """Free the device."""
        self._model.unload()
        self._directory.release()


@contextmanager
def _quiet(backend: str) -> Iterator[None]:
    """Keep the output of GeNN, make and the compilers from the terminal, unless they fail."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        except Exception as error:  # PyGeNN raises what its C++ exceptions happen to become
            log.seek(0)
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line]
            raise BackendError(
                f"GeNN cannot build the network for {backend}: {error}\n"
                + "\n".join(f"  {line}" for line in lines[-_TAIL:])
                + "\nRun 'onnx2genn --doctor' to see what is missing; how to install GeNN and its "
                f"compilers: {INSTALLATION}"
            ) from error
        finally:
            for target, copy in enumerate(saved, start=1):
                os.dup2(copy, target)
                os.close(copy)
