"""Energy by published models: operations counted, times what one of each was said to take."""

from __future__ import annotations

from dataclasses import dataclass

from onnx2genn.evaluate.result import Evaluation


@dataclass(frozen=True, kw_only=True)
class EnergyModel:
    """What one operation takes, in pJ.

    Attributes:
        name: What is modelled.
        synaptic: One synaptic operation of the SNN.
        update: One neuron in one time step.
        mac: One multiply-accumulate, of the ANN and of a constant input to the SNN; None where
            the model has none.
        source: Who published the constants.
        leaves_out: What it takes no notice of.
    """

    name: str
    synaptic: float
    update: float = 0.0
    mac: float | None
    source: str
    leaves_out: str


MODELS = (
    EnergyModel(
        name="45 nm, 32-bit floating point",
        synaptic=0.9,
        mac=4.6,
        source="Horowitz, ISSCC 2014: addition 0.9 pJ, multiplication 3.7 pJ",
        leaves_out="Memory, which often takes more than arithmetic; updates of neurons; leakage. "
        "An ANN seldom runs on 32-bit floats where energy matters.",
    ),
    EnergyModel(
        name="45 nm, 8-bit weights, 32-bit sums",
        synaptic=0.1,
        mac=0.3,
        source="Horowitz, ISSCC 2014: multiplication of 8 bits 0.2 pJ, addition of 32 bits 0.1 pJ",
        leaves_out="Memory; updates of neurons; leakage; what rounding weights to 8 bits costs in "
        "accuracy, for both.",
    ),
    EnergyModel(
        name="Loihi, digital neuromorphic chip",
        synaptic=23.6,
        update=52.0,
        mac=None,
        source="Davies et al., IEEE Micro 2018: 23.6 pJ for a synaptic operation at least, 52 pJ "
        "for the update of an inactive neuron",
        leaves_out="Transport of spikes between cores, active updates (81 pJ), the constant input "
        "current, leakage, the host. There is no ANN to compare with on this chip.",
    ),
    EnergyModel(
        name="ROLLS against a processor",
        synaptic=0.077,
        mac=12.5,
        source="Qiao et al., Frontiers in Neuroscience 2015: 77 fJ for a synaptic operation; "
        "12.5 pJ for a floating point operation, as in Bu et al., ICLR 2022, here one for a MAC",
        leaves_out="Nearly all: an analog array of 180 nm with weights of its own kind is set "
        "against a general processor. The most flattering model that is in use.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What one sample takes by a model, in pJ; the ANN None where the model has none."""

    model: EnergyModel
    snn: float
    ann: float | None


def energies(evaluation: Evaluation) -> list[Energy]:
    """Estimate what one sample takes, by every model.

    ::

        E_SNN = SOPs e_synaptic + (neurons) T e_update + (MACs of a constant input) e_mac
        E_ANN = MACs e_mac
    """
    updates = evaluation.steps * sum(item.neurons for item in evaluation.populations)
    currents = sum(item.current_macs for item in evaluation.projections)
    return [
        Energy(
            model=model,
            snn=evaluation.sops_per_sample * model.synaptic
            + updates * model.update
            + currents * (model.mac or 0.0),
            ann=None if model.mac is None else evaluation.macs_per_sample * model.mac,
        )
        for model in MODELS
    ]
