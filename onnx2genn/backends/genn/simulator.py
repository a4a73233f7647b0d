"""Runs samples through a loaded model, one window after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.base import NOTHING, Activity, Watch
from onnx2genn.backends.genn.device.assembly import Target
from onnx2genn.backends.genn.device.model import LoadedModel
from onnx2genn.backends.genn.entering import Currents, Spikes, entering_spikes
from onnx2genn.backends.genn.installation import CPU
from onnx2genn.backends.genn.plan import Neurons, Plan
from onnx2genn.backends.genn.traces import Traces

if TYPE_CHECKING:
    from onnx2genn.network import Network

# GeNN's clock counts in float32, which knows whole numbers up to 2^24.
_CLOCK = 2**20


class GennSimulator:
    """Simulates a network on GeNN, with new samples in every window.

    A group of samples (a single one on the CPU) enters every T steps while those before it are
    still on their way. Neurons start their windows by themselves: the host sets the input of a
    group and reads what came of it, once per window each.

    Args:
        network: Network to simulate.
        plan: The network as the device sees it.
        target: What to compile it for.
        batch_size: Samples that one call of ``run`` should have, so that the time to fill and to
            empty the network does not count.

    Raises:
        BackendError: The network cannot be built, or does not fit into memory.
    """

    def __init__(self, network: Network, plan: Plan, target: Target, *, batch_size: int) -> None:
        self.backend = target.backend
        self.batch_size = batch_size
        self._network = network
        self._device_batch = target.batch_size
        self._plan = plan
        self._steps = plan.steps
        self._model = LoadedModel(plan, target)
        self._fed = self._by_phase(item for item in self._plan.neurons if item.is_fed)
        # Whole windows, after which all neurons have started.
        last = max(item.start for item in self._plan.neurons)
        self._settled = -(-last // self._steps) * self._steps

    def run(
        self,
        samples: np.ndarray,
        *,
        first: int = 0,
        record: bool = False,
        watch: Watch = NOTHING,
    ) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        groups = -(-len(samples) // self._device_batch)
        watched = [item for item in self._plan.neurons if item.results]
        log = _Log(watched if record else watched[-1:], groups, self._device_batch)
        source, batch = self._plan.neurons[0], self._device_batch
        spikes = entering_spikes(self._network, source, samples, first, batch)
        traces = Traces(self._plan.neurons, watch, groups, self._device_batch, self._steps)
        leaving = self._by_phase(log.watched, offset=self._steps - 1)
        by_step = []
        self._model.timestep = 0
        with closing(Currents(samples, groups, batch)) as currents:
            for step in range(groups * self._steps + log.last_start):
                self._enter(step, spikes or currents)
                self._step()
                traces.keep(step, self._read)
                for item in leaving.get(step % self._steps, ()):
                    group = (step - item.start) // self._steps
                    if 0 <= group < groups:
                        for name in item.results:
                            log.keep(item, name, group, self._read(item, name))
                if record and 0 <= step - self._plan.readout.start < groups * self._steps:
                    running = self._read(self._plan.readout, self._plan.readout.results[0])
                    by_step.append(running.copy())
        return replace(
            self._activity(samples, log, by_step),
            trains=traces.trains(len(samples)),
            potentials=traces.potentials(len(samples)),
        )

    def close(self) -> None:
        """Free the device."""
        self._model.close()

    def _by_phase(self, items: Iterable[Neurons], offset: int = 0) -> dict[int, list[Neurons]]:
        """Sort neurons by the step of the period that is at an offset in their windows."""
        found = defaultdict(list)
        for item in items:
            found[(item.start + offset) % self._steps].append(item)
        return dict(found)

    def _step(self) -> None:
        self._model.step()
        if self._model.timestep == self._settled + _CLOCK // self._steps * self._steps:
            self._model.timestep = self._settled

    def _enter(self, step: int, entering: Spikes | Currents) -> None:
        """Let in what arrives in a step."""
        if not isinstance(entering, Currents):
            (variable,) = self._biases(self._plan.neurons[0])
            variable.view[...] = entering.at(step).reshape(variable.view.shape)
            variable.push_to_device()
            return
        for item in self._fed.get(step % self._steps, ()):
            group = (step - item.start) // self._steps
            if 0 <= group < entering.groups:
                variables = self._biases(item)
                views = [variable.view for variable in variables]
                entering.write(item, group, views)
                for variable in variables:
                    variable.push_to_device()
                if self.backend != CPU:  # whose memory this is
                    entering.begin(item, group + 1, views)

    def _biases(self, item: Neurons) -> list[Any]:
        return [self._model.group(item.name).vars[name] for name in item.biases]

    def _read(self, item: Neurons, name: str) -> np.ndarray:
        variable = self._model.group(item.name).vars[name]
        variable.pull_from_device()
        return variable.view.reshape(self._device_batch, item.size)

    def _activity(self, samples: np.ndarray, log: _Log, by_step: list[np.ndarray]) -> Activity:
        """Bring what was read into the order and the units of the ANN."""
        readout, count = self._plan.readout, len(samples)
        total = log.ordered(readout, readout.results[0], count)
        constant = readout.currents(samples)
        logits = self._logits(total, self._steps, constant)
        if not by_step:
            return Activity(logits=logits)
        running: np.ndarray = np.stack(by_step).reshape(
            -1, self._steps, self._device_batch, readout.size
        )
        running = running.swapaxes(0, 1).reshape(self._steps, -1, readout.size)
        hidden = [item for item in log.watched if item is not readout]
        return Activity(
            logits=logits,
            logits_by_step=np.stack(
                [
                    self._logits(readout.in_onnx_order(values[:count]), step + 1, constant)
                    for step, values in enumerate(running)
                ]
            ),
            codes={item.name: log.ordered(item, "code", count) for item in hidden},
            spikes={item.name: self._spikes(item, log, count) for item in hidden},
        )

    def _spikes(self, item: Neurons, log: _Log, count: int) -> np.ndarray:
        """Return the number of spikes: counted, or what the code says."""
        if "spikes" in item.results:
            return log.ordered(item, "spikes", count)
        return self._network.coding.spike_count(log.ordered(item, "code", count))

    def _logits(self, total: np.ndarray, elapsed: int, constant: np.ndarray) -> np.ndarray:
        """Return the logits that a sum over the first steps of a window stands for."""
        if not self._network.coding.accumulates:
            total = total / np.float32(elapsed)
        if self._plan.readout.code is not None:
            return total * self._network.coding.unit(self._network.readout_threshold)
        return total + constant


class _Log:
    """What was read of the windows, [groups, batch, neurons] for every variable."""

    def __init__(self, watched: list[Neurons], groups: int, batch: int) -> None:
        self.watched = watched
        self.last_start = max(item.start for item in watched)
        self._values = {
            (item.name, name): np.full((groups, batch, item.size), np.nan, np.float32)
            for item in watched
            for name in item.results
        }

    def keep(self, item: Neurons, name: str, group: int, values: np.ndarray) -> None:
        self._values[item.name, name][group] = values

    def ordered(self, item: Neurons, name: str, count: int) -> np.ndarray:
        """Return the values of the samples in ONNX order, [count, *shape]."""
        values = self._values[item.name, name].reshape(-1, item.size)[:count]
        return item.in_onnx_order(values)
