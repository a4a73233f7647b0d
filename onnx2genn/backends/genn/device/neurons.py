"""Neuron models: the text around a coding's equation that keeps time and counters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from onnx2genn.backends.genn.device.groups import NeuronGroup
from onnx2genn.backends.genn.plan import Neurons

ARRIVING = "arriving"
"""Buffer of a target that the scatter connectivity adds to, one element for each port."""
SENT = "sent"
"""Buffer of a source that the scatter connectivity reads: what each neuron sent in this step."""
OUTPUT = "out"
"""What the last whole window of a readout gave."""
_SUMS = "sums"
"""What arrived there in the window of a max pooling."""


def describe_neurons(item: Neurons, steps: int, *, scatter: bool) -> NeuronGroup:
    """Write a group of neurons for PyGeNN.

    Neurons rest until their first input arrives, so that nothing of an earlier run, in their state
    or still on its way to them, has an effect. On the device they keep the input of the current
    sample (``bias``) and count what they sent in the current window (``code``, and ``spikes``
    where these are not known from the code). A readout keeps the sum of what arrived in the
    current window (``V``).

    Args:
        item: The neurons.
        steps: T, the period of samples.
        scatter: Whether spikes arrive in a buffer instead of by synapse groups.
    """
    buffered = scatter and bool(item.projections)
    buffers = [ARRIVING, *([_SUMS] if item.ports > 1 else [])] if buffered else []
    states = states_of(item, buffered=buffered)
    sends = "S" in states
    if scatter:
        states.pop("S", None)
    ports = 0 if buffered else max(item.ports, item.operands)
    places = dict.fromkeys(buffers, item.size * item.ports)
    if buffered and item.operands > 1:
        places = dict.fromkeys(map(arriving, range(item.operands)), item.size)
    if scatter and sends:
        places[SENT] = item.size
    return NeuronGroup(
        name=item.name,
        size=item.size,
        states=states,
        constants=_constants(item),
        fed=item.biases if item.is_fed or item.segment is None else (),
        code=_simulation(item, steps, states, buffered=buffered, scatter=scatter),
        threshold="S != 0.0" if sends and not scatter else "",
        inputs=tuple(map(port, range(ports))) if ports > 1 else (),
        buffers={name: np.zeros(size, np.float32) for name, size in places.items()},
    )


def add_neurons(model: Any, group: NeuronGroup) -> str:
    """Add a group of neurons to a PyGeNN model; return what of it is compiled."""
    from pygenn import VarAccess, create_neuron_model

    access = dict.fromkeys(group.constants, VarAccess.READ_ONLY)
    access |= dict.fromkeys(group.fed, VarAccess.READ_ONLY_DUPLICATE)
    neuron = create_neuron_model(
        group.name,
        vars=[*group.states.items(), *((name, "scalar", mode) for name, mode in access.items())],
        sim_code=group.code,
        additional_input_vars=[(name, "scalar", 0.0) for name in group.inputs],
        threshold_condition_code=group.threshold,
        extra_global_params=[(name, "scalar*") for name in group.buffers],
    )
    initial = {**dict.fromkeys(group.states, 0), **group.constants}
    added = model.add_neuron_population(group.name, group.size, neuron, {}, initial)
    for name, values in group.buffers.items():
        added.extra_global_params[name].set_init_values(values)
    return f"{group.name} {group.size} {group.states} {access} {group.code}"


def arriving(index: int) -> str:
    """Return the buffer of one of several operands."""
    return f"{ARRIVING}_{index}"


def port(index: int) -> str:
    """Return the input variable of one of several ports."""
    return f"port_{index}"


def states_of(item: Neurons, *, buffered: bool) -> dict[str, str]:
    """Name the state of one neuron, with its types."""
    if item.segment is None:
        return {"S": "scalar"}
    output = dict.fromkeys([OUTPUT] if item.output else [], "scalar")
    if item.code is None:
        return {"V": "scalar", **output}
    pooled = [*_collected(item, buffered=buffered), "largest"] if item.ports > 1 else []
    own = dict.fromkeys((*item.code.variables, "S", *item.results, *pooled), "scalar")
    return own | {name: "int" for name in item.results if name == "spikes"} | output


def _collected(item: Neurons, *, buffered: bool) -> list[str]:
    """Name the variables that hold the sums of the ports of a max pooling, if they do."""
    return [] if buffered else [f"sum_{index}" for index in range(item.ports)]


def _constants(item: Neurons) -> dict[str, np.ndarray]:
    """Return what neurons read and do not change: f(0), unless the host sets f(x), and others.

    What a max pooling reads has no constant part.
    """
    if item.segment is not None and item.code is None and not item.output:
        return {}
    biases = dict.fromkeys(item.biases, np.zeros(item.size, np.float32))
    if item.segment is not None and item.biases and not item.is_fed and item.ports == 1:
        fed = item.entering(None)[:, 0]
        biases = dict(zip(item.biases, fed, strict=True))
    return biases | {
        name: np.broadcast_to(values, item.shape).ravel()[item.order]
        for name, values in item.constants.items()
    }


def _simulation(
    item: Neurons, steps: int, states: Iterable[str], *, buffered: bool, scatter: bool
) -> str:
    if item.segment is None:
        return f"{SENT}[id] = bias;" if scatter else "S = bias;"
    lines = [
        f"const int step = (int)((t / dt) + 0.5) - {item.start};",
        # A multiple of T is added, since the remainder of a negative number is negative.
        f"const int phase = (step + {-(-item.start // steps) * steps}) % {steps};",
        f"const scalar weight = {item.weight};",
        *_arrival(item, buffered=buffered, scatter=scatter),
    ]
    output = [f"if(phase == {steps - 1}) {{ {OUTPUT} = {item.output}; }}"] if item.output else []
    if item.code is None:
        add = ["if(phase == 0) { V = 0.0; }", "V += arrived * weight;"]
        return "\n".join([*lines, *add, *output])
    if scatter:
        lines.append("scalar S = 0.0;")
    counts = {"code": "S * weight", "spikes": f"(S != 0.0) ? {item.code.cost} : 0"}
    kept = [name for name in counts if name in item.results]
    begin = [
        *(f"{name} = 0;" for name in kept),
        *([f"const scalar total = {item.code.collected};"] if item.code.collected else []),
        *([item.code.begin] if item.code.begin else []),
    ]
    lines += [
        f"if(step < {-item.ahead}) {{ {' '.join(f'{name} = 0;' for name in states)} }}",
        "else {",
        "S = 0.0;",
        *(["if(phase == 0) {", *begin, "}"] if begin else []),
        item.code.step,
        *(["S = (step < 0) ? 0.0 : S;"] if item.ahead else []),
        *(f"{name} += {counts[name]};" for name in kept),
        *output,
        "}",
        *([f"{SENT}[id] = S;"] if scatter else []),
    ]
    return "\n".join(lines)


def _arrival(item: Neurons, *, buffered: bool, scatter: bool) -> list[str]:
    """Write how ``arrived`` comes from the synapses."""
    if item.ports > 1:
        sums = _sums_in_buffer(item) if buffered else _sums_in_variables(item)
        # In the worth of this step, as all that arrives.
        return [*sums, "const scalar arrived = (now - largest) / weight;", "largest = now;"]
    if item.operands > 1:
        parts = [
            f"const scalar arrived_{index} = {arriving(index)}[id]; {arriving(index)}[id] = 0.0;"
            if buffered
            else f"const scalar arrived_{index} = {port(index)};"
            for index in range(item.operands)
        ]
        return ["const scalar arrived = 0.0;", *parts]
    if not buffered:
        source = "0.0" if scatter or not item.projections else "Isyn"
        return [f"const scalar arrived = {source};"]
    return [f"const scalar arrived = {ARRIVING}[id];", f"{ARRIVING}[id] = 0.0;"]


def _sums_in_variables(item: Neurons) -> list[str]:
    """Add what arrives at each port to a variable of its own; write the largest sum as ``now``."""
    sums = _collected(item, buffered=False)
    return [
        f"if(phase == 0) {{ {' '.join(f'{name} = 0.0;' for name in (*sums, 'largest'))} }}",
        *(f"{total} += {port(index)} * weight;" for index, total in enumerate(sums)),
        f"scalar now = {sums[0]};",
        *(f"now = fmax(now, {name});" for name in sums[1:]),
    ]


def _sums_in_buffer(item: Neurons) -> list[str]:
    """Likewise in a loop: the text does not grow with the window, and nor does compiling it."""
    return [
        f"const int first = (int)id * {item.ports};",
        "if(phase == 0) {",
        "largest = 0.0;",
        f"for(int k = 0; k < {item.ports}; k++) {{ {_SUMS}[first + k] = 0.0; }}",
        "}",
        "scalar now = 0.0;",
        f"for(int k = 0; k < {item.ports}; k++) {{",
        f"const scalar sum = {_SUMS}[first + k] + ({ARRIVING}[first + k] * weight);",
        f"{_SUMS}[first + k] = sum;",
        f"{ARRIVING}[first + k] = 0.0;",
        "now = (k == 0) ? sum : fmax(now, sum);",
        "}",
    ]
