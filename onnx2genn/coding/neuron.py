"""A coding's neuron as text, for simulators that compile their neurons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuronCode:
    """Update equations of a neuron in units (threshold 1), in the C-like language of GeNN.

    The simulator keeps the time, the counters and the delivery of spikes. In every step, for every
    neuron, it runs::

        phase = (step - window start) mod T
        S = 0
        if phase == 0:    begin
        step
        if the first window has not started:    S = 0
        if S != 0:    send S;  code += S weight;  spikes += cost

    and what ``send`` sends arrives in the target as ``arrived``, the sum of w S over its sources,
    in the step of the same phase. Samples follow each other every T steps without any reset from
    outside: ``begin`` has to give every variable that a window depends on its first value.

    The texts may use these names, and the variables:

    =========== ==================================================================================
    ``phase``   int, step within the population's own window, 0 to T-1
    ``weight``  scalar, value of ``weight`` in this step
    ``total``   scalar, in ``begin``: value of ``collected``, or of a function of it
    ``arrived`` scalar, what the sources sent, summed over the synapses
    ``bias``    scalar, the constant part b = f(0) of the neuron's input
    ``S``       scalar, to be set: what is sent in this step; 0 sends nothing
    =========== ==================================================================================

    Neurons that fire while they integrate send a function by the same equations: the simulator
    collects for a window, and then puts the function of the mean in place of ``bias``, and 0 in
    place of ``arrived``.

    Attributes:
        variables: State of a neuron, scalars that are 0 before the first step.
        begin: Statements of the first step of a window.
        step: Statements of every step.
        weight: Value, in units, that S = 1 stands for, by ``phase``; receivers multiply what
            arrives by it, which keeps the synapses free of it.
        collected: For neurons that accumulate first: what they have collected when ``begin`` runs.
            Activations other than Relu put their function around it. ``begin`` then takes the code
            from :meth:`Quantiser.expression` of ``total``.
        cost: Number of binary spikes that S counts as, by ``S``.
        largest: Largest value that S takes, which is a whole number.
        signed: Whether S also takes negative values, down to ``-largest``.
    """

    variables: tuple[str, ...]
    begin: str
    step: str
    weight: str = "1.0"
    collected: str = ""
    cost: str = "1"
    largest: int = 1
    signed: bool = False

    @property
    def graded(self) -> bool:
        """Whether S takes other values than 0 and 1; the synapses then carry w S instead of w."""
        return self.signed or self.largest > 1
