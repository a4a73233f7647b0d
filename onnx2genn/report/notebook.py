"""Networks and evaluations as tables of a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from onnx2genn.errors import printable
from onnx2genn.evaluate.result import Evaluation
from onnx2genn.network import Network
from onnx2genn.report import digits
from onnx2genn.report.scores import all_rows, percent, quantity, span
from onnx2genn.report.terminal import advice

_MOST_ROWS = 40


def network(given: Network) -> str:
    """Return a network as HTML: its populations with their neurons and thresholds."""
    rows = []
    for item in given.populations:
        threshold = given.thresholds[item.name]
        rows.append([
            item.node.name,
            item.kind,
            " x ".join(map(str, item.shape)),
            f"{int(np.prod(item.shape)):,}",
            span(float(threshold.min()), float(threshold.max())),
        ])  # fmt: skip
    head = (
        f"{given.model.graph.name}: {given.neurons:,} neurons in {len(given.populations)} "
        f"populations, {given.coding.name}, {given.coding.steps} steps"
    )
    fewer = digits.of_network(given)
    return _paragraph(f"{head}; {fewer}" if fewer else head) + _table(
        ["ONNX node", "kind", "shape", "neurons", "threshold"], rows
    )


def evaluation(given: Evaluation) -> str:
    """Return an evaluation as HTML: its scores and cost, what is wrong, and its populations."""
    facts = {
        **all_rows(given),
        "samples": f"{given.samples:,}",
        "steps": f"{given.steps}, first answer after {given.latency_steps}",
        "spikes a sample": quantity(given.spikes_per_sample),
        "synaptic operations a sample": quantity(given.sops_per_sample),
    }
    rows = [
        [
            item.node,
            f"{item.spikes / given.samples / item.neurons:.2f}",
            "-" if item.correlation is None else f"{item.correlation:.4f}",
            percent(item.saturated),
            percent(item.silent),
        ]
        for item in given.populations
    ]
    heads = ["ONNX node", "spikes / neuron", "correlation", "saturated", "silent"]
    return (
        _table([f"{given.model}, {given.coding}", ""], [[*item] for item in facts.items()])
        + "".join(map(_paragraph, advice(given)))
        + _table(heads, rows)
    )


def _paragraph(text: str) -> str:
    return f"<p>{escape(printable(text))}</p>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_row("th", heads), *(_row("td", cells) for cells in rows[:_MOST_ROWS])]
    if len(rows) > _MOST_ROWS:
        lines.append(_row("td", [f"and {len(rows) - _MOST_ROWS} more"]))
    return f"<table>{''.join(lines)}</table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(printable(cell))}</{tag}>' for cell in cells)}</tr>"
