"""Projections as custom updates that add to their targets: fast on one CPU thread, only there.

GeNN's synapse groups go through lists of spikes with an index computed for every synapse. Here
neurons write what they send to a buffer, and a custom update goes through that of a whole group and
adds to a buffer of the targets (see ``kernels``). It belongs to a group of one neuron, and so runs
once in a step, as no GPU should.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx2genn.backends.genn.device.kernels import make_kernel
from onnx2genn.backends.genn.device.neurons import ARRIVING, SENT, arriving
from onnx2genn.backends.genn.plan import Neurons, Projection

GROUP = "Scatter"
# No population's name ends so.
_ONE = "scatter_"
_TYPES = {"f": "scalar*", "i": "int*"}


class ScatterUpdates:
    """Connects groups of neurons by custom updates, run before every step."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._one: Any = None

    def connect(self, projection: Projection, source: Neurons, target: Neurons) -> str:
        """Add a projection; return what of it is compiled.

        Args:
            projection: Weights and delay.
            source: Where spikes come from.
            target: Where they go to.
        """
        from pygenn import (
            CustomUpdateVarAccess,
            VarAccessMode,
            create_custom_update_model,
            create_egp_ref,
            create_var_ref,
        )

        code, arrays = _step(projection, source)
        groups = self._model.neuron_populations
        name, buffer = f"{source.name}_to_{target.name}", ARRIVING
        if target.operands > 1:
            name, buffer = f"{name}_{projection.port}", arriving(projection.port)
        model = create_custom_update_model(
            name,
            vars=[("turn", "int", CustomUpdateVarAccess.READ_WRITE)] if projection.delay else [],
            var_refs=[("one", "scalar", VarAccessMode.READ_ONLY)],
            extra_global_params=[(key, _TYPES[item.dtype.kind]) for key, item in arrays.items()],
            extra_global_param_refs=[("sent", "scalar*"), ("target", "scalar*")],
            update_code=code,
        )
        update = self._model.add_custom_update(
            name,
            GROUP,
            model,
            vars={"turn": 0} if projection.delay else {},
            var_refs={"one": create_var_ref(self._owner(), "one")},
            egp_refs={
                "sent": create_egp_ref(groups[source.name], SENT),
                "target": create_egp_ref(groups[target.name], buffer),
            },
        )
        for key, item in arrays.items():
            update.extra_global_params[key].set_init_values(item)
        return f"{name} {code}"

    def _owner(self) -> Any:
        """Return the group of one neuron, which does nothing."""
        from pygenn import create_neuron_model

        if self._one is None:
            nothing = create_neuron_model("nothing", vars=[("one", "scalar")])
            self._one = self._model.add_neuron_population(_ONE, 1, nothing, {}, {"one": 0.0})
        return self._one


def _step(projection: Projection, source: Neurons) -> tuple[str, dict[str, np.ndarray]]:
    """Write what a projection does in a step: add what was sent in the last one, or before it."""
    if not projection.delay:
        kernel = make_kernel(projection.linear, "sent[", graded=source.graded)
        return kernel.code, kernel.arrays
    # A ring of what was sent in the last steps, with one place for each step of delay.
    kernel = make_kernel(projection.linear, "earlier[slot + ", graded=source.graded)
    code = f"""
        const int slot = turn * {source.size};
        {kernel.code}
        for(int j = 0; j < {source.size}; j++) {{
            earlier[slot + j] = sent[j];
        }}
        turn = (turn == {projection.delay - 1}) ? 0 : turn + 1;"""
    ring = np.zeros(projection.delay * source.size, np.float32)
    return code, {**kernel.arrays, "earlier": ring}
