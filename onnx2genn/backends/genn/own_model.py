"""A network as a part of a PyGeNN model that belongs to somebody else."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from onnx2genn.backends.genn.device.neurons import OUTPUT, add_neurons, describe_neurons
from onnx2genn.backends.genn.device.portable import SynapseGroups, safe_limits
from onnx2genn.backends.genn.plan import INPUT, Neurons, Plan
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.data import Inputs, prepare
from onnx2genn.errors import BackendError, DataError

if TYPE_CHECKING:
    from onnx2genn.network import Network

# What PyGeNN reads until a model is built and does not keep alive.
_KEPT: WeakKeyDictionary[Any, list[list[Any]]] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class AddedPopulation:
    """A population of a network in the user's model.

    Attributes:
        group: PyGeNN's neuron group.
        neurons: What it simulates.
    """

    group: Any
    neurons: Neurons

    @property
    def order(self) -> np.ndarray:
        """Element of the flat ONNX tensor, without the batch, that each neuron is."""
        return self.neurons.order

    def read(self, name: str) -> np.ndarray:
        """Fetch a variable from the device, in ONNX order, [batch, *shape]."""
        variable = self.group.vars[name]
        variable.pull_from_device()
        return self.neurons.in_onnx_order(variable.view.reshape(-1, self.neurons.size))


class AddedInput:
    """The currents by which samples enter.

    Args:
        network: The network.
        model: The user's model.
        steps: T, the period of samples.
        fed: Populations that read the input.
        due: Step of the period zero after which the answer is complete.
    """

    def __init__(
        self, network: Network, model: Any, steps: int, fed: list[AddedPopulation], due: int
    ) -> None:
        self._network = network
        self._model = model
        self._steps = steps
        self._fed = fed
        self._due = due
        starts = [item.neurons.start for item in fed] or [0]
        self._first = min(starts)
        # Windows that begin before the last population has taken what the first one had.
        self._pending = 2 + (max(starts) - self._first) // steps
        self._currents: dict[int, list[np.ndarray]] = {}

    def set(self, x: Inputs) -> int:
        """Show samples from the next window on, until others are set.

        Args:
            x: One sample for each instance of the model's batch, [batch, ...], as for ``predict``.

        Returns:
            The timestep of the model at which the readout has the answer.

        Raises:
            DataError: The samples do not fit.
            BackendError: The input is a population of the user's.
        """
        if not self._fed:
            raise BackendError("There are no currents to set: the input is spikes of your own.")
        samples = prepare(self._network.model, x)
        if len(samples) != self._model.batch_size:
            raise DataError(
                f"{len(samples)} samples for a model with batch_size {self._model.batch_size}: "
                "give one for each."
            )
        window = max(0, -((self._first - self._model.timestep) // self._steps))
        # Whatever was set for later belongs to a run before this one.
        earlier = [item for item in sorted(self._currents) if item < window]
        self._currents = {item: self._currents[item] for item in earlier[-self._pending :]}
        self._currents[window] = [item.neurons.entering(samples) for item in self._fed]
        return self._due + (window * self._steps)

    def update(self) -> None:
        """Hand over to the device what begins in the next step; call it before every step."""
        for index, item in enumerate(self._fed):
            window, phase = divmod(self._model.timestep - item.neurons.start, self._steps)
            shown = [key for key in self._currents if key <= window]
            if phase == 0 and shown:
                currents = self._currents[max(shown)][index]
                for name, current in zip(item.neurons.biases, currents, strict=True):
                    variable = item.group.vars[name]
                    variable.view[...] = current.reshape(variable.view.shape)
                    variable.push_to_device()


class AddedReadout(AddedPopulation):
    """The output neurons; their variable ``out`` keeps the last answer on the device."""

    def logits(self) -> np.ndarray:
        """Fetch the answer of the last window that has ended, in ANN units, [batch, ...]."""
        return self.read(OUTPUT)


@dataclass(frozen=True, kw_only=True)
class AddedNetwork:
    """Handles of a network in the user's model.

    Attributes:
        steps: T: samples follow each other in windows of as many steps.
        input: Sets the currents of samples.
        populations: By the name of their ONNX node.
        readout: Has the answers.
    """

    steps: int
    input: AddedInput
    populations: Mapping[str, AddedPopulation]
    readout: AddedReadout


def add_to(
    network: Network,
    model: Any,
    *,
    prefix: str,
    spikes: Any = None,
    relays: str | Collection[str] = "auto",
) -> AddedNetwork:
    """Add a network to a PyGeNN model that is not built yet.

    Args:
        network: What to add.
        model: The user's model.
        prefix: What the names of populations begin with.
        spikes: Neuron group of the user's whose spikes are the input; None for currents.
        relays: As of :func:`onnx2genn.backends.genn.build_on_gpu`.

    Raises:
        BackendError: The names or the input do not fit, or a projection does not fit into memory.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
        raise BackendError(
            f"prefix={prefix!r}: names of GeNN have letters, digits and underscores, and begin "
            "with no digit."
        )
    _require_input(network, spikes)
    plan = _plan(network, prefix, spikes, relays)
    if taken := sorted(set(plan.by_name).intersection(model.neuron_populations) - {_name(spikes)}):
        raise BackendError(f"The model has populations {', '.join(taken)}: choose another prefix.")
    connector = SynapseGroups(model, safe_limits(model.backend_name), plan)
    _KEPT.setdefault(model, []).append(connector.kept)
    added = [item for item in plan.neurons if item.name != _name(spikes)]
    for item in added:
        add_neurons(model, describe_neurons(item, plan.steps, scatter=False))
    for item in added:
        for projection in item.projections:
            connector.connect(projection, plan.by_name[projection.source], item)
    handles = {
        item.name: AddedPopulation(group=model.neuron_populations[item.name], neurons=item)
        for item in added
    }
    readout = AddedReadout(group=handles[plan.readout.name].group, neurons=plan.readout)
    return AddedNetwork(
        steps=plan.steps,
        input=AddedInput(
            network,
            model,
            plan.steps,
            [item for item in handles.values() if item.neurons.is_fed],
            plan.readout.start + plan.steps,
        ),
        populations={item.node.name: handles[prefix + item.name] for item in network.populations},
        readout=readout,
    )


def _name(spikes: Any) -> str:
    return "" if spikes is None else spikes.name


def _require_input(network: Network, spikes: Any) -> None:
    if network.spiking_input and spikes is None:
        raise BackendError(
            "This coding takes spikes: give a population of your own (input=...), or convert with "
            "input='constant'."
        )
    if spikes is None:
        return
    if not network.spiking_input:
        raise BackendError(
            "This coding takes currents: convert with coding='rate', input='events' (or "
            "'poisson') for a network that takes spikes, or leave input away."
        )
    size = int(np.prod(network.input_shape))
    if spikes.num_neurons != size:
        raise BackendError(
            f"The input has {size} elements {list(network.input_shape)}, and population "
            f"{spikes.name!r} has {spikes.num_neurons} neurons."
        )


def _plan(network: Network, prefix: str, spikes: Any, relays: str | Collection[str]) -> Plan:
    """Give a plan the names of the user's model, and a readout that keeps its answer."""
    plan = make_plan(network, relays)
    names = {item.name: prefix + item.name for item in plan.neurons}
    names[INPUT] = _name(spikes)
    neurons = [
        replace(
            item,
            name=names[item.name],
            projections=tuple(
                replace(part, source=names[part.source]) for part in item.projections
            ),
        )
        for item in plan.neurons
    ]
    if spikes is not None:
        neurons[0] = replace(neurons[0], signed=False, largest=1)
    neurons[-1] = answering(network, neurons[-1])
    return replace(plan, neurons=tuple(neurons))


def answering(network: Network, readout: Neurons) -> Neurons:
    """Let the readout keep the logits of the last window, in ANN units."""
    share = "" if network.coding.accumulates else f" / {network.coding.steps}.0"
    if readout.code is None:
        return replace(readout, output=f"(V{share}) + bias")
    unit = network.coding.unit(network.readout_threshold)
    return replace(
        readout, output=f"(code{share}) * unit", constants={**readout.constants, "unit": unit}
    )
