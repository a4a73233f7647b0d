"""Neuron models: the text around a coding's equation that keeps time and counters."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx2genn.backends.genn.plan import Neurons

ARRIVING = "arriving"
"""Buffer of a target that the scatter connectivity adds to."""


def add_neurons(model: Any, item: Neurons, steps: int, *, scatter: bool) -> str:
    """Add a group of neurons to a PyGeNN model; return what of it is compiled.

    On the device the neurons keep the input of the current sample (``bias``) and count what they
    sent in the current window (``code``, and ``spikes`` where these are not known from the code).
    A readout keeps the sum of what arrived in the current window (``V``).

    Args:
        model: PyGeNN model.
        item: The neurons.
        steps: T, the period of samples.
        scatter: Whether spikes arrive in a buffer instead of by synapse groups.
    """
    from pygenn import VarAccess, create_neuron_model

    states = _states(item)
    constants = _constants(item)
    access = dict.fromkeys(constants, VarAccess.READ_ONLY)
    if item.is_fed:
        access["bias"] = VarAccess.READ_ONLY_DUPLICATE
    buffered = scatter and bool(item.projections)
    code = _simulation(item, steps, buffered=buffered, scatter=scatter)
    neuron = create_neuron_model(
        item.name,
        vars=[*states.items(), *((name, "scalar", mode) for name, mode in access.items())],
        sim_code=code,
        additional_input_vars=[
            (port(index), "scalar", 0.0) for index in range(item.ports) if item.ports > 1
        ],
        threshold_condition_code="" if scatter or "S" not in states else "S != 0.0",
        extra_global_params=[(ARRIVING, "scalar*")] if buffered else [],
    )
    initial = {**dict.fromkeys(states, 0), **constants}
    group = model.add_neuron_population(item.name, item.size, neuron, {}, initial)
    if buffered:
        group.extra_global_params[ARRIVING].set_init_values(
            np.zeros(item.size * item.ports, np.float32)
        )
    return f"{item.name} {item.size} {states} {access} {code}"


def port(index: int) -> str:
    """Return the input variable of one of several ports."""
    return f"port_{index}"


def _states(item: Neurons) -> dict[str, str]:
    """Name the state of one neuron, with its types."""
    if item.segment is None:
        return {"S": "scalar"}
    if item.code is None:
        return {"V": "scalar"}
    own = dict.fromkeys((*item.code.variables, "S", "code", *_collected(item)), "scalar")
    return {**own, "spikes": "int"} if item.code.graded else own


def _collected(item: Neurons) -> list[str]:
    """Name the sums of the ports of a max pooling, and the largest of them."""
    if item.ports == 1:
        return []
    return [*(f"sum_{index}" for index in range(item.ports)), "largest"]


def _constants(item: Neurons) -> dict[str, np.ndarray]:
    """Return what neurons read and do not change: f(0), unless the host sets f(x), and others.

    What a max pooling reads has no constant part.
    """
    if item.segment is not None and item.code is None:
        return {}
    bias = np.zeros(item.shape, np.float32)
    if item.segment is not None and not item.is_fed and item.ports == 1:
        bias = item.currents(None)[0]
    return {
        name: np.broadcast_to(values, item.shape).ravel()[item.order]
        for name, values in {"bias": bias, **item.constants}.items()
    }


def _simulation(item: Neurons, steps: int, *, buffered: bool, scatter: bool) -> str:
    if item.segment is None:
        return "S = (gennrand_uniform() < fabs(bias)) ? ((bias > 0.0) ? 1.0 : -1.0) : 0.0;"
    lines = [
        f"const int step = (int)t - {item.start};",
        # A multiple of T is added, since the remainder of a negative number is negative.
        f"const int phase = (step + {-(-item.start // steps) * steps}) % {steps};",
        f"const scalar weight = {item.weight};",
    ]
    lines += _arrival(item, buffered=buffered, scatter=scatter)
    if item.code is None:
        lines += ["if(phase == 0) { V = 0.0; }", "V += arrived * weight;"]
        return "\n".join(lines)
    lines += [
        "S = 0.0;",
        "if(phase == 0) {",
        "code = 0.0;",
        *(["spikes = 0;"] if item.code.graded else []),
        *([f"const scalar total = {item.code.collected};"] if item.code.collected else []),
        item.code.begin,
        "}",
        item.code.step,
        "S = (step < 0) ? 0.0 : S;",
        "code += S * weight;",
        *([f"spikes += (S != 0.0) ? {item.code.cost} : 0;"] if item.code.graded else []),
    ]
    return "\n".join(lines)


def _arrival(item: Neurons, *, buffered: bool, scatter: bool) -> list[str]:
    """Write how ``arrived`` comes from the synapses."""
    ports = range(item.ports)
    if buffered:
        inputs = [f"{ARRIVING}[(id * {item.ports}) + {index}]" for index in ports]
    elif scatter or not item.projections:
        inputs = ["0.0" for _ in ports]
    else:
        inputs = ["Isyn"] if item.ports == 1 else [port(index) for index in ports]
    emptied = [f"{name} = 0.0;" for name in inputs if buffered]
    if item.ports == 1:
        return [f"const scalar arrived = {inputs[0]};", *emptied]
    *sums, largest = _collected(item)
    return [
        f"if(phase == 0) {{ {' '.join(f'{name} = 0.0;' for name in (*sums, largest))} }}",
        *(f"{total} += {name} * weight;" for total, name in zip(sums, inputs, strict=True)),
        *emptied,
        f"scalar now = {sums[0]};",
        *(f"now = fmax(now, {name});" for name in sums[1:]),
        # In the worth of this step, as all that arrives.
        f"const scalar arrived = (now - {largest}) / weight;",
        f"{largest} = now;",
    ]
