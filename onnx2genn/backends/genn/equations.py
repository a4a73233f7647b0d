"""The equations of a network's populations: those of its coding, around what each one computes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.genn.functions import expression, varying
from onnx2genn.coding import Coding
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.ir.partition import Population

if TYPE_CHECKING:
    from onnx2genn.network import Network

_OFFSET, _UNIT = "offset", "unit"
_DRIVE = "drive"
_AT_ONCE = NeuronCode(variables=(), begin="", step="S = arrived;")


def neuron_code(network: Network, population: Population) -> NeuronCode:
    """Return the equation of a population.

    What arrives in a max pooling is by how much the largest of its ports has grown. Neurons that
    accumulate first then send it as any other sum; others pass it on at once. Neurons that send a
    function accumulate its argument in ANN units. Sums of products arrive as a whole in the first
    step of a window. With fewer digits, what exceeds the largest code of these is cut off.
    """
    code = network.coding.neuron()
    if passes_on(network, population):
        return replace(_AT_ONCE, largest=code.largest, signed=code.signed)
    if population.is_function:
        if not network.coding.accumulates:
            return _driven(network.coding, population)
        code = _of_function(code, population)
    if network.digits_of(population) == network.coding.steps:
        return code
    # What is no number has the code 0, as all below it.
    largest = float(network.coding_of(population).quantiser.levels)
    return replace(code, collected=f"fmin(fmax({code.collected}, 0.0), {largest})")


def _of_function(code: NeuronCode, population: Population) -> NeuronCode:
    """Let a neuron that accumulates first send a function of what it collected."""
    if population.multiplies:
        return replace(code, collected=f"(arrived - {_OFFSET}) / {_UNIT}")
    if population.ports > 1:
        code, arguments = _apart(code, population.ports)
    else:
        arguments = [code.collected]
    value = expression(population, arguments)
    return replace(code, collected=f"({value} - {_OFFSET}) / {_UNIT}")


def _apart(code: NeuronCode, count: int) -> tuple[NeuronCode, list[str]]:
    """Let a neuron collect several sums; return their expressions, too."""
    ports = range(count)
    apart = replace(
        code,
        variables=(*code.variables, *(f"sum_{index}" for index in ports)),
        begin=f"{code.begin} {_resets(ports)}",
        step=f"{_adds(ports)} {code.step}",
    )
    return apart, [f"sum_{index} + bias_{index}" for index in ports]


def _driven(coding: Coding, population: Population) -> NeuronCode:
    """Return the equation of neurons that else fire while they integrate, for a function.

    They collect what arrives over the window of their sources. In the next one a function of the
    mean drives them, as a constant current.
    """
    code, ports = coding.neuron(), range(population.ports)
    value, adds, sums = "arrived", "", tuple(f"sum_{index}" for index in ports)
    if population.multiplies:  # others have added up, and taken the mean
        sums = ()
    else:
        means = [f"(sum_{index} / {coding.steps}.0) + {name}" for index, name in _biases(ports)]
        value, adds = expression(population, means), _adds(ports)
    begin, step = (
        re.sub(r"\bbias\b", _DRIVE, re.sub(r"\barrived\b", "0.0", text))
        for text in (code.begin, code.step)
    )
    drive = f"{_DRIVE} = ({value} - {_OFFSET}) / {_UNIT};"
    return replace(
        code,
        variables=(*code.variables, *sums, _DRIVE),
        begin=f"{drive} {_resets(range(len(sums)))} {begin}",
        step=f"{adds} {step}",
    )


def multiplying(coding: Coding) -> NeuronCode:
    """Return the equation of neurons that collect two factors and send their product, in ANN units.

    They send it as one spike, in the last step of the window of their sources.
    """
    share = "" if coding.accumulates else f" / {coding.steps}.0"
    product = f"((sum_0{share}) + bias_0) * ((sum_1{share}) + bias_1)"
    last = f"if(phase == {coding.steps - 1}) {{ S = {product}; {_resets(range(2))} }}"
    return NeuronCode(
        variables=("sum_0", "sum_1"),
        begin="",
        step=f"{_adds(range(2))} {last}",
        weight=coding.neuron().weight,
        signed=True,
    )


def relaying(coding: Coding, *, at_once: bool) -> NeuronCode:
    """Return the equation of relays, in ANN units.

    Those that do not send at once send one spike, in the last step of a window. It arrives in the
    last step of the window of its target, and is divided by what it is worth there.

    Args:
        coding: What sums arrive by.
        at_once: Whether they send the sum of every step in that step.
    """
    code = replace(_AT_ONCE, weight=coding.neuron().weight, signed=True)
    if at_once:
        return code
    last = f"if(phase == {coding.steps - 1}) {{ S = sum / weight; sum = 0.0; }}"
    return replace(code, variables=("sum",), step=f"sum += arrived * weight; {last}")


def passes_on(network: Network, population: Population) -> bool:
    """Whether a population sends at once what arrives: a max pooling of stepwise spikes."""
    return population.pools and not network.coding.accumulates


def _biases(ports: range) -> list[tuple[int, str]]:
    """Name the constant part of each sum."""
    return [(index, f"bias_{index}" if len(ports) > 1 else "bias") for index in ports]


def _adds(ports: range) -> str:
    return " ".join(
        f"sum_{index} += arrived{f'_{index}' if len(ports) > 1 else ''} * weight;"
        for index in ports
    )


def _resets(ports: range) -> str:
    return " ".join(f"sum_{index} = 0.0;" for index in ports)


def function_constants(network: Network, population: Population) -> dict[str, np.ndarray]:
    """Return what the equation of a function reads beside its sums, by name."""
    own = {} if population.multiplies else varying(population)
    return {
        **{name: values for name, (_, values) in own.items()},
        _OFFSET: network.offsets[population.name],
        _UNIT: network.units[population.tensor],
    }
