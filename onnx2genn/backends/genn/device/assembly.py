"""A plan as a PyGeNN model that is not built yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onnx2genn.backends.genn.device.neurons import add_neurons, describe_neurons
from onnx2genn.backends.genn.device.portable import Limits, SynapseGroups, safe_limits
from onnx2genn.backends.genn.device.scatter import ScatterUpdates
from onnx2genn.backends.genn.plan import Plan

_NAME = "network"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a model is compiled for.

    Attributes:
        backend: GeNN backend.
        batch_size: Samples that the device simulates at once.
        connectivity: ``portable`` (synapse groups) or ``scatter`` (custom updates; CPU only).
        limits: Which synapse groups are safe; by default, as the backend needs.
    """

    backend: str
    batch_size: int
    connectivity: str
    limits: Limits | None = None

    @property
    def scatters(self) -> bool:
        """Whether spikes arrive by custom updates."""
        return self.connectivity == "scatter"


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembly:
    """A model, and what PyGeNN needs to be alive until it is built.

    Attributes:
        model: PyGeNN model.
        connector: What connected its neurons.
        texts: All that will be compiled.
    """

    model: Any
    connector: ScatterUpdates | SynapseGroups
    texts: tuple[str, ...]


def assemble(plan: Plan, target: Target) -> Assembly:
    """Write a plan as a PyGeNN model.

    Args:
        plan: What to simulate.
        target: What to compile it for.

    Raises:
        BackendError: A projection would not fit into memory.
    """
    import pygenn

    model = pygenn.GeNNModel("float", _NAME, backend=target.backend, optimize_code=True)
    model.dt = 1.0
    model.batch_size = target.batch_size
    model.fuse_postsynaptic_models = True
    connector: ScatterUpdates | SynapseGroups = ScatterUpdates(model)
    if not target.scatters:
        connector = SynapseGroups(model, target.limits or safe_limits(target.backend), plan)
    texts = [str(target), pygenn.__version__]
    for item in plan.neurons:
        texts.append(
            add_neurons(model, describe_neurons(item, plan.steps, scatter=target.scatters))
        )
    for item in plan.neurons:
        texts += [
            connector.connect(projection, plan.by_name[projection.source], item)
            for projection in item.projections
        ]
    return Assembly(model=model, connector=connector, texts=tuple(texts))
