"""Whether a model can be converted, as a page: its graph, with what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnx2genn.errors import Problem
from onnx2genn.frontend.raw import label
from onnx2genn.ir.model import Model
from onnx2genn.report.html import rendered, versions
from onnx2genn.report.layout import HEIGHT, WIDTH, layout

_MOST_BOXES = 150
_HOPS = 2


@dataclass(frozen=True, kw_only=True)
class Box:
    """A node, a population or an input.

    Attributes:
        label: Its name.
        kind: Its operator.
        note: What else to say of it.
        refused: Why it is refused; empty if it is not.
    """

    label: str
    kind: str
    note: str = ""
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Way:
    """What a box reads.

    Attributes:
        target: The box.
        sources: The boxes that it reads.
    """

    target: str
    sources: list[str]


def refused(
    proto: onnx.ModelProto, problems: Sequence[Problem], title: str, facts: Mapping[str, str]
) -> str:
    """Return a page of a model that cannot be converted.

    Args:
        proto: The model.
        problems: What stands in the way.
        title: Name of the model.
        facts: What else to say of the run, by name.

    Raises:
        DataError: jinja2 is missing.
    """
    boxes, ways = _nodes(proto, problems)
    shown = _near(boxes, ways) if len(boxes) > _MOST_BOXES else set(boxes)
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    return _page(
        title,
        f"This model cannot be converted: {count}.",
        {name: box for name, box in boxes.items() if name in shown},
        [
            Way(target=item.target, sources=[name for name in item.sources if name in shown])
            for item in ways
            if item.target in shown
        ],
        facts,
        problems=problems,
        partial=len(shown) < len(boxes),
    )


def accepted(model: Model, title: str, facts: Mapping[str, str]) -> str:
    """Return a page of a model that can be converted, with its populations.

    Args:
        model: The model.
        title: Its name.
        facts: What else to say of the run, by name.

    Raises:
        DataError: jinja2 is missing.
    """
    parts = model.parts
    names = {item.tensor: item.name for item in parts.populations}
    boxes = {name: Box(label=name, kind="input") for name in parts.inputs}
    ways = []
    for item in parts.populations:
        neurons = int(np.prod(item.shape))
        boxes[item.name] = Box(
            label=item.node.name or item.name, kind=item.kind, note=f"{neurons:,} neurons"
        )
        sources = [names.get(source, source) for source in item.segment.sources]
        ways.append(Way(target=item.name, sources=sources))
    readout = parts.readout
    boxes[readout.target] = Box(label=readout.target, kind="readout")
    sources = [names.get(source, source) for source in readout.sources]
    ways.append(Way(target=readout.target, sources=sources))
    verdict = (
        f"This model can be converted: {parts.neurons:,} neurons in {len(parts.populations)} "
        "populations."
    )
    return _page(title, verdict, boxes, ways, facts)


def _page(
    title: str,
    verdict: str,
    boxes: Mapping[str, Box],
    ways: Sequence[Way],
    facts: Mapping[str, str],
    *,
    problems: Sequence[Problem] = (),
    partial: bool = False,
) -> str:
    targets = {item.target for item in ways}
    return rendered(
        "refusal.html",
        title=title,
        verdict=verdict,
        problems=problems,
        partial=partial,
        boxes=boxes,
        layout=layout([name for name in boxes if name not in targets], ways),
        box=(WIDTH, HEIGHT),
        facts={**facts, **versions()},
    )


def _nodes(proto: onnx.ModelProto, problems: Sequence[Problem]) -> tuple[dict[str, Box], list[Way]]:
    """Make a box of every node and input, and say which reads which."""
    constant = {item.name for item in proto.graph.initializer}
    boxes = {
        f"input {item.name}": Box(label=item.name, kind="input")
        for item in proto.graph.input
        if item.name not in constant
    }
    made = {item.name: f"input {item.name}" for item in proto.graph.input}
    ways = []
    labels: set[str] = set()
    places: dict[str, str] = {}
    for index, node in enumerate(proto.graph.node):
        if node.op_type == "Constant":
            continue
        name, known = f"node {index}", label(node, index, labels)
        labels.add(known)
        boxes[name] = Box(label=known, kind=node.op_type)
        places[known] = name
        sources = dict.fromkeys(made[item] for item in node.input if item in made)
        ways.append(Way(target=name, sources=[item for item in sources if item in boxes]))
        made.update(dict.fromkeys(filter(None, node.output), name))
    places = {**made, **places}
    why: dict[str, list[str]] = {}
    for item in problems:
        why.setdefault(_origin(item.node, places), []).append(item.reason)
    return {
        name: replace(box, refused=" ".join(why.get(name, ()))) for name, box in boxes.items()
    }, ways


def _origin(name: str, places: Mapping[str, str]) -> str:
    """Find the box that a node comes from: it has the name of the node in the file, or of a tensor.

    What a pass writes in place of a node begins with the name of that node, or of its output.
    """
    while name and name not in places:
        name = name[: max(name.rfind("/"), name.rfind("_"), 0)]
    return places.get(name, "")


def _near(boxes: Mapping[str, Box], ways: Sequence[Way]) -> set[str]:
    """Find the boxes near refused ones; the first ones of the model if none is."""
    found = {name for name, box in boxes.items() if box.refused}
    for _ in range(_HOPS):
        reached = set(found)
        for item in ways:
            if item.target in found:
                reached.update(item.sources)
            if found.intersection(item.sources):
                reached.add(item.target)
        found = reached if len(reached) <= _MOST_BOXES else found
    return found or set(list(boxes)[:_MOST_BOXES])
