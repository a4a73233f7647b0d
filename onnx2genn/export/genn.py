"""A spiking network as a PyGeNN script with its weights, which runs without onnx2genn."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import numpy as np

from onnx2genn import files
from onnx2genn.backends.genn.device.groups import NeuronGroup, SynapseGroup
from onnx2genn.backends.genn.device.neurons import describe_neurons
from onnx2genn.backends.genn.device.portable import PARALLEL, describe_projection, sources_of_events
from onnx2genn.backends.genn.own_model import answering
from onnx2genn.backends.genn.plan import Plan
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.errors import BackendError, printable
from onnx2genn.export.functions import FUNCTIONS
from onnx2genn.ir.run import serialised
from onnx2genn.network import Network

_IMPORTS = """
import argparse
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession
from pygenn import (
    GeNNModel,
    ParallelismHint,
    VarAccess,
    VarAccessMode,
    create_neuron_model,
    create_toeplitz_connect_init_snippet,
    create_weight_update_model,
    init_postsynaptic,
    init_toeplitz_connectivity,
    init_weight_update,
)
"""
_MODEL = '''

def make_model(backend="single_threaded_cpu", batch_size=1):
    """Write the network as a PyGeNN model, to be built and loaded."""
    model = GeNNModel("float", "network", backend=backend, optimize_code=True)
    model.dt = 1.0
    model.batch_size = batch_size
    model.fuse_postsynaptic_models = True
'''


def export(network: Network, folder: Path, relays: str | Collection[str] = "none") -> None:
    """Write a network as ``network.py``, ``weights.npz`` and what computes its input currents.

    The synapses are those that a GPU runs safely; every GeNN backend has them.

    Args:
        network: Network to write.
        folder: Where to; it is made if it is missing.
        relays: As of :func:`onnx2genn.backends.genn.build_on_gpu`; the files are smallest without.

    Raises:
        BackendError: The input is spikes, or the network does not fit into memory.
        DataError: The folder cannot be written.
    """
    if network.spiking_input:
        raise BackendError(
            "A network whose input is spikes cannot be exported: onnx2genn makes the spikes of "
            "every sample. Convert with input='constant'."
        )
    plan = make_plan(network, relays)
    neurons = (*plan.neurons[:-1], answering(network, plan.readout))
    plan = replace(plan, neurons=neurons)
    groups = [describe_neurons(item, plan.steps, scatter=False) for item in neurons]
    by_events = sources_of_events(plan, PARALLEL)
    synapses = [
        group
        for item in neurons
        for projection in item.projections
        for group in describe_projection(
            projection,
            plan.by_name[projection.source],
            item,
            PARALLEL,
            events=projection.source in by_events,
        )
    ]
    content = io.BytesIO()
    np.savez_compressed(content, **_arrays(plan, groups, synapses))  # type: ignore[arg-type]
    files.make_folder(folder)
    for item in neurons:
        if item.is_fed:
            assert item.segment is not None
            model = serialised(item.segment.to_onnx())
            files.write(folder / f"currents_{item.name}.onnx", model)
    files.write(folder / "weights.npz", content.getvalue())
    files.write(folder / "network.py", _script(network, plan, groups, synapses).encode())


def _arrays(
    plan: Plan, groups: list[NeuronGroup], synapses: list[SynapseGroup]
) -> dict[str, np.ndarray]:
    found = {f"{group.name}/{name}": values for group in groups for name, values in _stored(group)}
    found |= {f"{item.name}/order": item.order for item in plan.neurons if item.is_fed}
    found[f"{plan.readout.name}/order"] = plan.readout.order
    for group in synapses:
        found[group.projection] = group.synapses.weights.astype(np.float32)
        names = (f"{group.projection}/source", f"{group.projection}/target")
        found |= dict(zip(names, group.synapses.places, strict=False))
    return found


def _stored(group: NeuronGroup) -> list[tuple[str, np.ndarray]]:
    return [(name, values.astype(np.float32)) for name, values in group.constants.items()]


def _script(
    network: Network, plan: Plan, groups: list[NeuronGroup], synapses: list[SynapseGroup]
) -> str:
    readout = plan.readout
    limits = {name: (float(low), float(high)) for name, (low, high) in network.model.limits.items()}
    shapes = {name: tuple(shape) for name, shape in network.entries.items()}
    values = {
        "STEPS": plan.steps,
        "INPUTS": shapes,
        "LIMITS": limits,
        "INPUT": network.input_name,
        "FED": {item.name: (item.start, item.biases) for item in plan.neurons if item.is_fed},
        "READOUT": readout.name,
        "READOUT_START": readout.start,
        "OUTPUT_SHAPE": tuple(readout.shape),
    }
    nodes = {item.name: item.node.name for item in network.populations}
    return "".join(
        (
            f'"""A spiking network on GeNN: {network.neurons:,} neurons, coding '
            f"{network.coding.name}, {plan.steps} steps a sample.\n\n"
            "Written by onnx2genn, which it does not need: it takes PyGeNN, numpy, onnxruntime.\n"
            '"""\n',
            _IMPORTS,
            "\n# T; shapes and ranges of inputs; populations that read them, with the first step\n"
            "# of their windows; the output.\n",
            *(f"{name} = {value!r}\n" for name, value in values.items()),
            FUNCTIONS.split("\n\ndef main")[0],
            _MODEL,
            *(_neurons(item, nodes) for item in groups),
            *(_synapses(item) for item in synapses),
            "    return model\n\n\ndef main",
            FUNCTIONS.split("\n\ndef main")[1],
        )
    )


def _neurons(group: NeuronGroup, nodes: Mapping[str, str]) -> str:
    options: dict[str, Any] = {
        "states": dict(group.states),
        "constants": list(group.constants),
        "threshold": group.threshold,
        "inputs": list(group.inputs),
        "fed": list(group.fed),
    }
    node = nodes.get(group.name)
    comment = f"    # {printable(' '.join(node.split()))}\n" if node else ""
    return comment + _call("add_neurons", [group.name, group.size, _Text(group.code)], options)


def _synapses(group: SynapseGroup) -> str:
    toeplitz = group.synapses.toeplitz
    options = {
        "update": dict(group.update),
        "graded": group.graded,
        "variable": group.variable if group.variable != "Isyn" else "",
        "delay": group.delay,
        "by_source": group.by_source,
    }
    if toeplitz is not None:
        options["toeplitz"] = (toeplitz.longest, toeplitz.kernel_size, _Text(toeplitz.code))
    kind = group.synapses.kind
    return _call(
        "connect", [group.name, kind, group.source, group.target, group.projection], options
    )


class _Text(str):
    """Code of several lines."""

    def __repr__(self) -> str:
        return f'"""\n{indent(dedent(self).strip(), " " * 12)}\n        """'


def _call(function: str, values: list[Any], options: Mapping[str, Any]) -> str:
    """Write a call; options that are not set are left out, but for dictionaries and lists."""
    given = [f"{name}={value!r}" for name, value in options.items() if value]
    lines = "".join(f"        {item},\n" for item in ["model", *map(repr, values), *given])
    return f"    {function}(\n{lines}    )\n"
