"""Tables and lines for a terminal, as rich renderables; the command line prints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from onnx2genn.errors import printable
from onnx2genn.evaluate.cross_check import CrossCheck
from onnx2genn.evaluate.diagnosis import diagnose
from onnx2genn.evaluate.result import Evaluation, PopulationActivity
from onnx2genn.report import digits
from onnx2genn.report.scores import all_rows, percent, quantity, span

if TYPE_CHECKING:
    from onnx2genn.backends.base import Backend, Finding
    from onnx2genn.ir.outputs import Output
    from onnx2genn.network import Network

_SHOWN_STEPS = 10
_OF_PARTS = ("Concat", "Slice")
_PLACE_WIDTH = 24
LOW_CORRELATION = 0.95
"""Correlation with the ANN below which activity is said to follow it poorly."""
MANY_SATURATED = 0.05
"""Share of activity at the highest level from which on thresholds are called too low."""


def _name(text: str) -> Text:
    """Show a name of the model, which may look like markup, as it is."""
    return Text(printable(text))


def _span(values: np.ndarray) -> str:
    return span(float(values.min()), float(values.max()))


def findings(found: Sequence[Finding]) -> Table:
    """One line for each thing that a backend needs: what was found, or what to do."""
    table = Table(box=box.SIMPLE_HEAD, title="What backends need", title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column("found", overflow="fold", max_width=_PLACE_WIDTH)
    table.add_column("what to do", overflow="fold")
    for item in found:
        table.add_row(
            item.name,
            Text(item.found) if item.found else Text("no", "yellow"),
            "" if item.found else Text(item.remedy),
        )
    return table


def backends(entries: Iterable[Backend]) -> Table:
    """One line for each backend: what it is, and what it lacks on this machine."""
    table = Table(box=box.SIMPLE_HEAD, title="Backends on this machine", title_justify="left")
    for item in entries:
        lacking = ", ".join(finding.name for finding in item.missing())
        state = Text(f"lacks {lacking}", "yellow") if lacking else Text("ready")
        table.add_row(item.name, item.description, state)
    return table


def layers(network: Network) -> Table:
    """One line for each population: where it comes from, its neurons and its thresholds."""
    table = Table(box=box.SIMPLE_HEAD, title="Populations", title_justify="left")
    table.add_column("ONNX node", overflow="fold")
    table.add_column("kind")
    fewer = ["digits"] if network.digits else []
    for name in ("shape", "neurons", "threshold", *fewer, "depth"):
        table.add_column(name, justify="right")
    for item in network.populations:
        shape = " x ".join(map(str, item.shape))
        neurons = f"{int(np.prod(item.shape)):,}"
        threshold = _span(network.thresholds[item.name])
        own = [str(network.digits_of(item)) for _ in fewer]
        cells = item.kind, shape, neurons, threshold, *own, str(item.depth)
        table.add_row(_name(item.node.name), *cells)
    readout = network.model.parts.readout
    kind = "readout, fires" if network.firing_readout else "readout"
    shape = " x ".join(map(str, readout.shape))
    neurons = f"{int(np.prod(readout.shape)):,}"
    threshold = _span(network.readout_threshold) if network.firing_readout else "-"
    depth = str(network.model.parts.depth)
    cells = kind, shape, neurons, threshold, *("-" for _ in fewer), depth
    table.add_row(_name(readout.target), *cells, style="dim")
    return table


def heads(network: Network) -> list[str]:
    """Say which heads were taken off: the network answers with what comes before them."""
    return [
        f"Output {printable(item.name)}: "
        f"{', '.join(_ending(item))} taken off, the answers are "
        "logits. In Python, predict(x, heads=True) gives what the model gives."
        for item in network.model.parts.outputs
        if item.heads
    ]


def _ending(item: Output) -> list[str]:
    """List the operators that were taken off; not those that tell parts of the output apart."""
    return list(dict.fromkeys(node.op for node in item.heads if node.op not in _OF_PARTS))


def activity(evaluation: Evaluation) -> Table:
    """One line for each population: what it did, and how that compares with the ANN."""
    table = Table(box=box.SIMPLE_HEAD, title="Activity", title_justify="left")
    table.add_column("ONNX node", overflow="fold")
    for name in ("spikes / sample", "spikes / neuron", "correlation", "saturated", "silent"):
        table.add_column(name, justify="right")
    for item in evaluation.populations:
        spikes = item.spikes / evaluation.samples
        table.add_row(
            _name(item.node),
            quantity(spikes),
            f"{spikes / item.neurons:.2f}",
            "-" if item.correlation is None else f"{item.correlation:.4f}",
            percent(item.saturated),
            percent(item.silent),
        )
    return table


def cross_check(found: CrossCheck) -> Table:
    """One line for each population: how far two backends agree on it."""
    title = f"{found.backend} against {found.reference}, {found.samples:,} samples"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("ONNX node", overflow="fold")
    for name in ("neurons", "spikes", f"on {found.reference}", "different", "first here"):
        table.add_column(name, justify="right")
    table.add_column("")
    for item in found.populations:
        spikes = (f"{count:,}" for count in reversed(item.spikes))
        counts = f"{item.different:,}", f"{item.own:,}"
        verdict = _verdict(wrong=item.wrong, equal=not item.different, follows=not item.own)
        table.add_row(_name(item.node), f"{item.neurons:,}", *spikes, *counts, verdict)
    verdict = _verdict(wrong=found.logits_wrong, equal=found.logits == 0, follows=False)
    table.add_row("readout", "", "", "", f"{found.logits:.2g}", "", verdict, style="dim")
    return table


def _verdict(*, wrong: bool, equal: bool, follows: bool) -> Text:
    if wrong:
        return Text("differs", "red")
    return Text("equal" if equal else "follows" if follows else "rounding")


def agreement_of_backends(found: CrossCheck) -> str:
    """Say in a line whether two backends agree."""
    answers = f"logits differ by {100 * found.error:.2g} % of their spread"
    if found.identical:
        return f"Every neuron sends the same spikes; {answers}."
    return (
        "The same up to the order of float sums, where these lie on a threshold (rounding), and "
        f"what follows from that; {answers}."
    )


def over_time(evaluation: Evaluation) -> Table:
    """The first output's metric (against the ANN, without labels) after a choice of steps."""
    score = evaluation.score
    values, what, ann = score.by_step, score.title, score.ann
    if values is None:
        values, ann = score.to_ann_by_step, float(score.more)
        what = "agreement" if score.is_accuracy else f"{score.title}, against the ANN"
    factor = 1 if score.units else 100
    title = f"{what.capitalize()} over time" + ("" if score.units else ", in %")
    table = Table(box=box.SIMPLE_HEAD, title=_name(title), title_justify="left")
    table.add_column("step", no_wrap=True)
    steps = _some(range(1, evaluation.steps + 1))
    for step in steps:
        table.add_column(str(step), justify="right")
    table.add_column("ANN", justify="right")
    digits = ".4g" if score.units else ".1f"
    shown = [f"{factor * values[step - 1]:{digits}}" for step in steps]
    table.add_row("SNN", *shown, f"{factor * (ann or 0.0):{digits}}")
    return table


def _some(steps: Sequence[int]) -> list[int]:
    """Take a few steps in equal ratios, first and last included."""
    wanted = np.geomspace(steps[0], steps[-1], min(_SHOWN_STEPS, len(steps)))
    return sorted({round(step) for step in wanted})


def summary(evaluation: Evaluation) -> Table:
    """How each output does, cost and speed, one line each."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows: dict[str, str | Text] = {
        name: Text(value, "bold" if "SNN " in name else "")
        for name, value in all_rows(evaluation).items()
    }
    fewer = digits.of_evaluation(evaluation)
    rows |= {
        "samples": f"{evaluation.samples:,}",
        "time steps": f"{evaluation.steps} a sample; first answer after "
        f"{evaluation.latency_steps}, then one every {evaluation.steps}",
        **({"digits": fewer} if fewer else {}),
        "spikes / sample": quantity(evaluation.spikes_per_sample),
        "synaptic operations": f"{quantity(evaluation.sops_per_sample)} a sample, against "
        f"{quantity(evaluation.macs_per_sample)} MACs of the ANN",
        "samples / second": f"{quantity(evaluation.samples_per_second)} on {evaluation.backend}",
    }
    for name, value in rows.items():
        table.add_row(_name(name), value)
    return table


def advice(evaluation: Evaluation) -> list[str]:
    """Say what is wrong, where it starts, what to change, and what that brought if it was tried."""
    return [*(item.text for item in diagnose(evaluation)), *evaluation.tried]


def is_poor(item: PopulationActivity) -> bool:
    """Whether the decoded activity of a population follows the ANN's poorly."""
    return item.correlation is not None and item.correlation < LOW_CORRELATION
