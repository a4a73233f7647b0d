"""A plan as a PyGeNN model: assembled, compiled and loaded."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onnx2genn.backends.genn.cache import CodeDirectory, key_of
from onnx2genn.backends.genn.device.assembly import Target, assemble
from onnx2genn.backends.genn.device.compile import compile_apart, failure
from onnx2genn.backends.genn.device.scatter import GROUP
from onnx2genn.backends.genn.installation import toolchain
from onnx2genn.backends.genn.plan import Plan


class LoadedModel:
    """A network on the device.

    Args:
        plan: What to simulate.
        target: What to compile it for.

    Raises:
        BackendError: It cannot be built.
    """

    def __init__(self, plan: Plan, target: Target) -> None:
        assembly = assemble(plan, target)
        self._updates = target.scatters and any(item.projections for item in plan.neurons)
        self._model = assembly.model
        self._directory = CodeDirectory(key_of([*toolchain(target.backend), *assembly.texts]))
        try:
            if not self._directory.is_built:
                compile_apart(plan, target, assembly.texts, self._directory.path)
            with _quiet(target.backend):
                self._model.build(str(self._directory.path), never_rebuild=True)
                self._model.load()
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
    """Keep GeNN's output from the terminal, unless it fails."""
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
            raise failure(backend, str(error), lines) from error
        finally:
            for target, copy in enumerate(saved, start=1):
                os.dup2(copy, target)
                os.close(copy)
